#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# bench.sh: run benches in one emulated machine, and tell their ratios
#
# usage: bench.sh [--kernel K] [--json] [NAME]...      (they are built already; default: all)
#
# The machine counts instructions instead of time (vm.sh --icount): what a figure says does not
# depend on what else this machine does. BENCH_CLOCK=time measures time, on two processors.
# Results are in build/bench/results.json; --json prints them instead of the table.
set -euo pipefail
repo=$(cd "$(dirname "$0")/../.." && pwd)
cd "$repo"
kernel=6.1 json=
while [ $# -gt 0 ]; do
	case $1 in
	--kernel) kernel=$2; shift ;;
	--json) json=1 ;;
	*) break ;;
	esac
	shift
done
case ${BENCH_CLOCK:-instructions} in
instructions) clock=(--icount 0) ;;
time) clock=() ;;
*) echo "bench: BENCH_CLOCK is instructions or time" >&2; exit 1 ;;
esac
names=("$@")
if [ $# = 0 ]; then
	for f in tests/bench/*_bench.c; do
		names+=("$(basename "$f" _bench.c)")
	done
fi
out=build/bench/out
rm -rf "$out"
mkdir -p "$out"

rc=0
tests/vm/runner/vm.sh --kernel "$kernel" --mem 8192 --timeout 7200 --module "${clock[@]}" \
	--out "$out" --env CKPT_BENCH_RESULTS=/out/results --env "CKPT_FILES=${CKPT_FILES:-}" \
	--env "CKPT_BENCH=${CKPT_BENCH:-}" \
	-- tests/bench/guest.sh "${names[@]}" >"$out/log" 2>&1 || rc=$?
touch "$out/results"
{
	printf '{"kernel": "%s", "clock": "%s", "passed": %s, "results": [\n' "$kernel" \
		"${BENCH_CLOCK:-instructions}" "$([ $rc = 0 ] && echo true || echo false)"
	sed '$!s/$/,/' "$out/results"
	echo ']}'
} >build/bench/results.json
if [ -n "$json" ]; then
	cat build/bench/results.json
else
	grep -E '^# .*(, against |misses the target)' "$out/log" | sed 's/^# //' || true
fi
# a bench that measured nothing, or something else than it meant to, says so
grep -vE '^(ok|#|1\.\.|TAP version )' "$out/log" >&2 || true
[ -s "$out/results" ] || { echo "bench: nothing was measured, see $out/log" >&2; rc=1; }
[ "$rc" = 0 ] || { echo "bench: failed, see $out/log" >&2; exit 1; }
