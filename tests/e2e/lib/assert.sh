# SPDX-License-Identifier: GPL-2.0-or-later
#
# assert.sh: cases in TAP, read in (".") by the tests of this folder
#
# A case is one call of ok, is, at_most, ... A test ends with done_testing, which prints
# the plan and exits 1 when a case has failed; one that stops before has no plan and fails.
# With CKPT_DEMO set the same cases are told to a person, and the first failure is the end.
cases=0 failures=0 prefix='# '
[ -z "${CKPT_DEMO:-}" ] || prefix=
work=$(mktemp -d "${TMPDIR:-/tmp}/ckpt-e2e.XXXXXX")
cleanups=('rm -rf "$work"')

cleanup() {	# run what at_exit was given, newest first
	local i

	set +eu
	for ((i = ${#cleanups[@]} - 1; i >= 0; i--)); do
		eval "${cleanups[i]}"
	done
}
trap cleanup EXIT
trap 'exit 130' INT TERM

at_exit() { cleanups+=("$1"); }

note() { printf "$prefix%s\n" "$@"; }

bail() { echo "Bail out! $*"; exit 1; }

case_result() {	# STATUS NAME [DETAIL]...
	local status=$1 name=$2

	shift 2
	cases=$((cases + 1))
	if [ "$status" = 0 ]; then
		if [ -n "${CKPT_DEMO:-}" ]; then
			echo "   + $name"
		else
			echo "ok $cases - $name"
		fi
		return 0
	fi
	failures=$((failures + 1))
	echo "not ok $cases - $name"
	[ $# = 0 ] || printf '%s\n' "$@" | sed 's/^/#   /'
	[ -z "${CKPT_DEMO:-}" ] || exit 1
}

ok() {	# NAME COMMAND...: the command succeeds
	local name=$1 said rc=0

	shift
	said=$("$@" 2>&1) || rc=$?
	case_result $rc "$name" "status $rc of: $*" "$said"
}

not_ok() {	# NAME COMMAND...: the command fails
	local name=$1 said rc=0

	shift
	said=$("$@" 2>&1) || rc=$?
	[ $rc != 0 ] && rc=0 || rc=1
	case_result $rc "$name" "should have failed: $*" "$said"
}

is() {	# NAME GOT EXPECTED
	local rc=0

	[ "$2" = "$3" ] || rc=1
	case_result $rc "$1" "got      $2" "expected $3"
}

isnt() {	# NAME GOT UNEXPECTED
	local rc=0

	[ "$2" != "$3" ] || rc=1
	case_result $rc "$1" "got $2"
}

at_most() {	# NAME GOT LIMIT
	local rc=0

	{ [ -n "$2" ] && [ "$2" -le "$3" ]; } 2>/dev/null || rc=1
	case_result $rc "$1" "got   $2" "limit $3"
}

at_least() {	# NAME GOT LIMIT
	local rc=0

	{ [ -n "$2" ] && [ "$2" -ge "$3" ]; } 2>/dev/null || rc=1
	case_result $rc "$1" "got   $2" "limit $3"
}

like() {	# NAME GOT PATTERN: an extended regular expression
	local rc=0

	[[ $2 =~ $3 ]] || rc=1
	case_result $rc "$1" "got     $2" "pattern $3"
}

wait_for() {	# SECONDS COMMAND...: until it succeeds
	local end=$((SECONDS + $1))

	shift
	until "$@" 2>/dev/null; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.05
	done
}

done_testing() {
	[ -n "${CKPT_DEMO:-}" ] || echo "1..$cases"
	[ $failures = 0 ] && [ $cases -gt 0 ]
	exit
}
