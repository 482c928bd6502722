#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# audit-long.sh: 10^7 random operations on memory and files, one seed after the other
#
# CKPT_VM_ARGS: ops=N in all, each=N of one seed, seconds=N in all, pace=N: how many times
# longer epochs are than in audit.sh. CKPT_SEED is the first seed: what was broken off goes on
# with the seed behind the last that has its line.
#
# timeout: 90000
# check: no
# swap: 512
# kernel-args: numa=fake=2 proc_mem.force_override=always
set -euo pipefail
ops=10000000 each=100000 seconds=86000 pace=16
for arg in ${CKPT_VM_ARGS:-}; do
	case $arg in
	ops=* | each=* | seconds=* | pace=*) declare "$arg" ;;
	*) echo "audit-long: $arg is unknown" >&2; exit 2 ;;
	esac
done
seed=${CKPT_SEED:-1}
for ((done = 0; done < ops && SECONDS < seconds; done += each, seed++)); do
	"$CKPT_REPO/build/audit/audit" "$each" "$seed" $((seconds - SECONDS)) "$pace"
	rm -rf /scratch/audit.* /tmp/audit.*
	echo "# seed $seed is done: $((done + each)) operations in $SECONDS s"
done
echo "1..1"
[ "$done" -ge "$ops" ] || { echo "not ok 1 - $done operations of $ops"; exit 1; }
echo "ok 1 - $done operations, the next seed is $seed"
