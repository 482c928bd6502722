#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# debug.sh: what the debug kernel is for: KUnit and the selftests, with a sweep for leaks at the end
#
# usage: debug.sh [SELFTEST]...     (default: all of them; they are built already)
# Without a name it restores areas that have names, too: no other kernel names any.
set -uo pipefail
repo=$(cd "$(dirname "$0")/../.." && pwd)
rc=0
"$repo/tests/kunit/run.sh" --kernel debug || rc=1
"$repo/tests/run/selftests.sh" --kernel debug "$@" || rc=1
if [ $# = 0 ]; then
	make -s -C "$repo" -f tools/Makefile D=asan build/asan/unit/proc_names_test || rc=1
	"$repo/tests/run/vm-tests.sh" --kernel debug area-names || rc=1
fi
exit $rc
