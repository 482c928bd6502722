#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# bench-native-smoke.sh: a native bench at its smallest size, without CRIU: that it measures
# what it says it does, which it checks itself
# where: native
# module: no
set -u
work=$(mktemp -d "${TMPDIR:-/tmp}/ckpt-bench.XXXXXX")
trap 'rm -rf "$work"' EXIT
rc=0
CKPT_BENCH=small CKPT_BENCH_CRIU=no CKPT_BENCH_RESULTS=$work/results PYTHONDONTWRITEBYTECODE=1 \
	tests/bench/native/memory_bench.py "$work" || rc=1
number='[0-9.e-]+'
line="\{\"name\": \"[^\"]+\", \"ratio\": $number, \"min\": $number, \"max\": $number, "
line+="\"times\": $number, \"against\": \"[^\"]+\", \"unit\": \"(ns|bytes)\", \"p50\": $number, "
line+="\"p99\": $number, \"most\": $number, \"against_p50\": $number\}"
wrong=$(grep -cvxE "$line" "$work/results")
shares=$(grep -oE '"memory, [0-9]+ %: full, total"' "$work/results" | sort -u | wc -l)
if [ "$shares" = 3 ] && [ "$wrong" = 0 ]; then
	echo "ok 1 - it has results of each share"
else
	echo "not ok 1 - it has results of each share ($shares shares, $wrong lines are wrong)"
	rc=1
fi
echo 1..1
exit $rc
