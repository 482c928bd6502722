# SPDX-License-Identifier: GPL-2.0-or-later
#
# found.sh: what shows that a test has found a fault, read in (".") by mutants.sh and its guest
#
# A test that merely ended badly has found nothing: it may be unlucky, out of time, or not there.
# So there must be a case that failed, or what the fault's entry in tests/run/mutants says:
#
#	a text		only a case that says this
#	(hangs)		the test runs past its time limit
#	(dies)		the kernel dies, or complains: its log says so
#
# The first line with TEXT of all: who stopped reading would end the writer by a signal.
first_with() {	# TEXT
	TEXT=$1 awk '
		!found && (ENVIRON["TEXT"] == "" || index($0, ENVIRON["TEXT"])) { print; found = 1 }
		END { exit !found }'
}

# found_by TEST STATUS LOG [EXPECTED]: print the line that shows it; status 1: nothing does
found_by() {
	local test=$1 status=$2 log=$3 expected=${4:-}

	case $expected in
	"(dies)") return 1 ;;
	"(hangs)")
		[ "$status" = 124 ] || [ "$status" = 137 ] || return 1
		echo "its time limit"
		return ;;
	esac
	case $test in
	# it fails as well for want of time
	audit) grep -m 1 '^# LOST ' "$log" ;;
	# a case of that suite; what the runner adds has no number
	kunit:*)
		awk -v suite="${test#kunit:}" '
			/^ *# Subtest: / { inside = index($NF, suite) == 1 }
			inside && /^ +not ok [0-9]+ /' "$log" | first_with "$expected" ;;
	*) grep -E '^not ok [0-9]+ - ' "$log" | first_with "$expected" ;;
	esac
}
