#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# bench-smoke.sh: each bench at its smallest size: that it measures what it says it does
set -u
results=/tmp/bench-results
names=()
for f in tests/bench/*_bench.c; do
	names+=("$(basename "$f" _bench.c)")
done
rc=0
CKPT_BENCH=small CKPT_BENCH_RESULTS=$results tests/bench/guest.sh "${names[@]}" || rc=1
number='[0-9.]+'
line="\{\"name\": \"[^\"]+\", \"ratio\": $number, \"min\": $number, \"max\": $number, "
line+="\"times\": $number, \"against\": \"[^\"]+\"\}"
wrong=$(grep -cvxE "$line" $results)
if [ "$(wc -l <$results)" -ge "${#names[@]}" ] && [ "$wrong" = 0 ]; then
	echo "ok 1 - every bench has results"
else
	echo "not ok 1 - every bench has results ($wrong lines are wrong)"
	rc=1
fi
echo 1..1
exit $rc
