#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# check.sh: everything make check runs, and the line that sums it up
#
# A step goes on after another one failed. What exists in the tree must be tested: a module
# without KUnit suites or selftests is a failure, not a pass.
set -uo pipefail
repo=$(cd "$(dirname "$0")/../.." && pwd)
cd "$repo" || exit 1
export CKPT_RESULTS=$repo/build/results/check
mkdir -p build/results
: >"$CKPT_RESULTS"
status=0

step() {	# NAME COMMAND...
	local name=$1 before start=$SECONDS

	shift
	echo "== $name"
	before=$(awk '{ f += $2 } END { print f + 0 }' "$CKPT_RESULTS")
	if ! "$@" </dev/null; then
		status=1
		# a step that broke before it could count counts as one failure
		[ "$before" != "$(awk '{ f += $2 } END { print f + 0 }' "$CKPT_RESULTS")" ] ||
			echo "0 1 0 $name" >>"$CKPT_RESULTS"
	fi
	echo "== $name: $((SECONDS - start)) s"
}
have() { compgen -G "$1" >/dev/null; }
needs() {	# PATTERN: what must be there once the module is
	have "$1" || { echo "not ok - $1: the module has no such tests"; return 1; }
}

step setup tests/setup/packages.sh
step tools make tools
step lint tests/lint/lint.sh
! have 'tests/unit/*_test.c' || step unit make unit
if [ -e kmod/Kbuild ]; then
	step kmod make kmod
	step "kunit suites" needs 'tests/kunit/*_kunit.c'
	step "selftest programs" needs 'tests/selftests/*_test.c'
	step kunit make kunit
	step selftest make selftest
	step "selftest on 6.12" make selftest KERNEL=6.12
fi
step vm-test make vm-test
tests/run/sum.sh "$CKPT_RESULTS" "$status"
