#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# bench.sh: run benches, and tell their ratios
#
# usage: bench.sh [--kernel K] [--json] [NAME]...      (they are built already; default: all)
#
# NAME_bench.c runs in one emulated machine with the others of its kind. That machine counts
# instructions instead of time (vm.sh --icount): what a figure says does not depend on what else
# this machine does. BENCH_CLOCK=time measures time, on two processors.
# native/NAME_bench.py runs on this machine itself, as root, and measures time.
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
emulated=() native=()
if [ $# = 0 ]; then
	for f in tests/bench/*_bench.c tests/bench/native/*_bench.py; do
		set -- "$@" "$(basename "${f%_bench.*}")"
	done
fi
for name; do
	if [ -e "tests/bench/native/${name}_bench.py" ]; then
		native+=("$name")
	else
		emulated+=("$name")
	fi
done
out=build/bench/out
rm -rf "$out"
mkdir -p "$out"

in_machine() {	# NAME...: all in one boot
	tests/vm/runner/vm.sh --kernel "$kernel" --mem 8192 --timeout 7200 --module "${clock[@]}" \
		--out "$out" --env CKPT_BENCH_RESULTS=/out/results \
		--env "CKPT_FILES=${CKPT_FILES:-}" --env "CKPT_BENCH=${CKPT_BENCH:-}" \
		-- tests/bench/guest.sh "$@"
}

natively() {	# NAME...: one after the other; one that fails does not keep the others from running
	local name bad=0

	for name; do
		echo "# bench $name"
		CKPT_BENCH_RESULTS=$out/native PYTHONDONTWRITEBYTECODE=1 \
			"tests/bench/native/${name}_bench.py" "$work" </dev/null || bad=1
	done
	return $bad
}

results() {	# FILE KERNEL CLOCK STATUS
	printf '"kernel": "%s", "clock": "%s", "passed": %s, "results": [\n' "$2" "$3" \
		"$([ "$4" = 0 ] && echo true || echo false)"
	sed '$!s/$/,/' "$1"
	printf ']'
}

rc=0 native_rc=0
touch "$out/results" "$out/native"
if [ ${#native[@]} -gt 0 ]; then
	# not in a tmpfs: what is written there lands on no disk
	work=$(mktemp -d "$repo/build/bench/work.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	natively "${native[@]}" >>"$out/log" 2>&1 || native_rc=$?
fi
[ ${#emulated[@]} = 0 ] || in_machine "${emulated[@]}" >>"$out/log" 2>&1 || rc=$?
{
	printf '{'
	results "$out/results" "$kernel" "${BENCH_CLOCK:-instructions}" "$rc"
	printf ', "native": {'
	results "$out/native" "$(uname -r)" time "$native_rc"
	echo '}}'
} >build/bench/results.json
if [ -n "$json" ]; then
	cat build/bench/results.json
else
	grep -E '^# .*(, against |misses the target|seed |refused )' "$out/log" |
		sed 's/^# //' || true
fi
# a bench that measured nothing, or something else than it meant to, says so
grep -vE '^(ok|#|1\.\.|TAP version )' "$out/log" >&2 || true
[ ${#native[@]} = 0 ] || [ -s "$out/native" ] || native_rc=1
[ ${#emulated[@]} = 0 ] || [ -s "$out/results" ] || rc=1
[ "$rc$native_rc" = 00 ] || { echo "bench: failed, see $out/log" >&2; exit 1; }
