# SPDX-License-Identifier: GPL-2.0-or-later
#
# tap.sh: counting of test cases, read in (".") by the runners
#
# Every runner appends one line "passed failed skipped name" per test program to
# $CKPT_RESULTS, which sum.sh adds up.
CKPT_RESULTS=${CKPT_RESULTS:-$repo/build/results/last}
mkdir -p "$(dirname "$CKPT_RESULTS")"

# tap_count FILE [ktap]: "passed failed skipped" of a TAP log. A plan that is not kept is
# a failure. A plan of no case that says SKIP is one skip, the whole program. With ktap the
# cases are the indented lines, the others are their sums.
tap_count() {
	awk -v ktap="${2:-}" '
	{ sub(/\r$/, "") }
	ktap && !/^ / { next }
	ktap { sub(/^ +/, "") }
	/^ok( |$)/ { if ($0 ~ /# *[Ss][Kk][Ii][Pp]/) s++; else p++ }
	/^not ok( |$)/ { if ($0 ~ /# *[Ss][Kk][Ii][Pp]/) s++; else f++ }
	/^Bail out!/ { f++ }
	/^1\.\.0( |$)/ && /# *[Ss][Kk][Ii][Pp]/ { s++ }
	/^1\.\.[0-9]+/ { plan += substr($1, 4) }
	END {
		if (plan && plan > p + f + s)
			f += plan - p - f - s
		print p + 0, f + 0, s + 0
	}' "$1"
}

# tap_record NAME FILE STATUS [ktap]: count, complain, append to the results. A program
# that fails without saying which case, that has no case, or that never said how many it
# would have (it ended before it was done), counts as one failure. Status 4 is no failure of
# one that says what it leaves out: the skip is what counts, and sum.sh lets none pass.
tap_record() {
	local p f s status=$3

	read -r p f s < <(tap_count "$2" "${4:-}")
	[ "$status" != 4 ] || [ "$s" = 0 ] || status=0
	if [ "$status" != 0 ] && [ "$f" = 0 ]; then
		f=1
		echo "not ok - $1: exit status $status"
	elif [ $((p + f + s)) = 0 ]; then
		f=1
		echo "not ok - $1: no test case ran"
	elif [ -z "${4:-}" ] && [ "$f" = 0 ] && ! grep -qE '^1\.\.[0-9]' "$2"; then
		f=1
		echo "not ok - $1: there is no plan, it ended before it was done"
	fi
	echo "$p $f $s $1" >>"$CKPT_RESULTS"
	# what sum.sh shows at the end, where an hour's output may be cut off
	if [ "$f" != 0 ] && [ -n "${CKPT_FAILED:-}" ]; then
		{
			echo "# $1, status $3:"
			grep -aE -A 6 '^ *(not ok|Bail out!|ERROR:)|^# .*ERROR: ' "$2" |
				head -n 40 || :
			echo "# the end of it:"
			tail -n 5 "$2"
		} >>"$CKPT_FAILED"
	fi
	echo "# $1: $p passed, $f failed, $s skipped"
	[ "$f" = 0 ]
}

# tap_header FILE KEY DEFAULT: the value of a "# key: value" line in a test's first comment
tap_header() {
	local v

	v=$(sed -n "1,/^[^#]/s/^# $2: *//p" "$1" | head -n 1)
	echo "${v:-$3}"
}
