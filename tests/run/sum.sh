#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# sum.sh: add up the results of all runners; the last line is "N passed, N failed, N skipped"
#
# usage: sum.sh RESULTS [STATUS]
# Exit status 1 when something failed or was skipped: every kind of test that make check
# runs must really run. STATUS other than 0 says that a step failed outside the tests.
[ ! -s "${1:-}.failed" ] || cat "$1.failed"
awk -v status="${2:-0}" '
{ p += $1; f += $2; s += $3; if ($2) bad = bad "\n#   " $4; if ($3) skip = skip "\n#   " $4 }
END {
	if (bad) print "# failed:" bad
	if (skip) print "# skipped:" skip
	if (status != 0 && !f) f = 1
	printf "%d passed, %d failed, %d skipped\n", p, f, s
	exit f || s || !p
}' "${1:?usage: sum.sh RESULTS [STATUS]}"
