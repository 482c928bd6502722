#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# area-names.sh: names of areas over a restore, on a kernel that has them
#
# check: no
# timeout: 300
#
# No kernel of Debian has CONFIG_ANON_VMA_NAME; the debug kernel does, and debug.sh runs this.
set -uo pipefail
log=/tmp/area-names.log
CMOCKA_MESSAGE_OUTPUT=TAP build/asan/unit/proc_names_test </dev/null >"$log" 2>&1
rc=$?
grep -E '^(not )?ok' "$log"
n=$(grep -cE '^(not )?ok' "$log")
verdict=ok
[ $rc = 0 ] && ! grep -q 'left out' "$log" || { verdict="not ok"; sed 's/^/# /' "$log"; }
echo "$verdict $((n + 1)) - areas have names here, and nothing is left out"
echo "1..$((n + 1))"
