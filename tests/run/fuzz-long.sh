#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# fuzz-long.sh: 10^6 messages of fuzz_test under KASAN, each seed in a fresh boot
#
# usage: fuzz-long.sh [--kernel K] [--messages N] [--each N of one seed]
# CKPT_SEED is the first seed. Each seed has its line and keeps its logs in
# build/fuzz-long/<kernel>/<seed>: what was broken off goes on with the seed behind the last
# that has its line, and with the messages that are left. A seed that fails fails the run,
# which goes on with the next.
set -euo pipefail
repo=$(cd "$(dirname "$0")/../.." && pwd)
kernel=debug messages=1000000 each=100000 seed=${CKPT_SEED:-1}
while [ $# -gt 0 ]; do
	case $1 in
	--kernel) kernel=$2; shift ;;
	--messages) messages=$2; shift ;;
	--each) each=$2; shift ;;
	*) echo "fuzz-long: $1 is unknown" >&2; exit 2 ;;
	esac
	shift
done
out=$repo/build/vm/selftests/$kernel/out
work=$repo/build/fuzz-long/$kernel
log=$work/log
export CKPT_RESULTS=$work/results CKPT_MESSAGES=$each
# ten times that on the debug kernel: for a tenth of what it does on idle cores
export CKPT_TEST_TIMEOUT=${CKPT_TEST_TIMEOUT:-$((180 + each / 600))}

make -s -C "$repo" test-programs
mkdir -p "$work"
: >"$CKPT_RESULTS"
failed=0
for ((done = 0; done < messages; done += each, seed++)); do
	start=$SECONDS
	if CKPT_SEED=$seed "$repo/tests/run/selftests.sh" --kernel "$kernel" fuzz >"$log" 2>&1; then
		word=passed
	else
		word=FAILED failed=$((failed + 1))
		cat "$log"
	fi
	rm -rf "${work:?}/$seed"
	cp -r "$out" "$work/$seed"
	mv "$log" "$work/$seed/"
	said=$(sed -n 's/^# //; /messages in/p' "$out/fuzz_test.log" | tail -n 1)
	read -r passed bad skipped _ < <(tail -n 1 "$CKPT_RESULTS")
	# messages that were not sent prove nothing
	[ "$skipped" = 0 ] || [ "$word" != passed ] || word=SKIPPED failed=$((failed + 1))
	echo "# seed $seed $word: $passed passed, $bad failed, $skipped skipped; $said," \
		"$((SECONDS - start)) with the boot"
done
echo "# $done messages, $failed seeds failed, in $SECONDS seconds; the next seed is $seed"
[ "$failed" = 0 ]
