#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# selftests.sh: run the programs of tests/selftests in one VM, with ckpt.ko loaded
#
# usage: selftests.sh [--kernel K] [NAME]...    (they are built already)
# A program whose first comment has a line " * kernel: K" runs on that kernel alone.
set -euo pipefail
repo=$(cd "$(dirname "$0")/../.." && pwd)
. "$repo/tests/run/tap.sh"
kernel=6.1
if [ "${1:-}" = --kernel ]; then
	kernel=$2
	shift 2
fi
names=("$@")
only_on() {	# FILE: the kernel that it runs on alone; nothing: it runs on all
	sed -n '1,/\*\//s/^ \* kernel: //p' "$1"
}
if [ $# = 0 ]; then
	for f in "$repo"/tests/selftests/*_test.c; do
		[ -f "$f" ] || continue
		on=$(only_on "$f")
		[ "${on:-$kernel}" != "$kernel" ] || names+=("$(basename "$f" .c)")
	done
fi
for n in "$@"; do
	f=$repo/tests/selftests/${n%_test}_test.c
	[ -f "$f" ] || continue
	on=$(only_on "$f")
	if [ "${on:-$kernel}" != "$kernel" ]; then
		echo "selftest: $n runs with KERNEL=$on alone" >&2
		exit 1
	fi
done
[ ${#names[@]} -gt 0 ] || exit 0
out=$repo/build/vm/selftests/$kernel/out
# the sum prints one word: the kernel is part of it
kind=selftests
[ "$kernel" = 6.1 ] || kind=selftests-$kernel
rm -rf "$out"
mkdir -p "$out"
# the debug kernel takes its time
limit=${CKPT_TEST_TIMEOUT:-180}
all=$((limit > 1200 ? 2 * limit : 2400))
files=${CKPT_FILES:-}
[ "$kernel" != debug ] || { limit=$((limit * 10)) files=${files:-10000}; }

machine() {	# NAME...: a machine that runs these
	# Newer kernels let nobody but a tracer write to read-only memory, as a debugger does; and a
	# part of memory is taken for one that keeps its content, of which files are mapped directly
	"$repo/tests/vm/runner/vm.sh" --kernel "$kernel" --timeout "$all" --out "$out" --module \
		--append "proc_mem.force_override=always memmap=64M!1G secretmem.enable=1" \
		--env "CKPT_TEST_TIMEOUT=$limit" \
		--env "CKPT_SEED=${CKPT_SEED:-}" --env "CKPT_EPOCHS=${CKPT_EPOCHS:-}" \
		--env "CKPT_UNLOADS=${CKPT_UNLOADS:-}" \
		--env "CKPT_MESSAGES=${CKPT_MESSAGES:-}" ${files:+--env "CKPT_FILES=$files"} \
		-- tests/run/selftests-guest.sh "${@/%_test/}"
}
not_ended() {
	local n

	for n in "${names[@]}"; do
		n=${n%_test}_test
		[ -e "$out/$n.status" ] || echo "$n"
	done
}

rc=0
machine "${names[@]}" || rc=$?
if [ "$rc" = 126 ]; then
	# the one that ran, and those after it
	mapfile -t rest < <(not_ended)
	rc=0
	machine "${rest[@]}" || rc=$?
fi
bad=0
for n in "${names[@]}"; do
	n=${n%_test}_test
	[ -e "$out/$n.log" ] || : >"$out/$n.log"
	status=1
	[ ! -e "$out/$n.status" ] || status=$(cat "$out/$n.status")
	tap_record "$kind/$n" "$out/$n.log" "$status" || bad=1
done
if [ "$rc" != 0 ] && [ $bad = 0 ]; then
	echo "not ok - $kind: the machine ended with status $rc"
	echo "0 1 0 $kind" >>"$CKPT_RESULTS"
	bad=1
fi
exit $bad
