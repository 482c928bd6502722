#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 062-small-pages.sh: what is run has neither huge pages nor merged ones, whoever starts it
# where: native
# module: no
#
# One bit for 2 MiB, and pages that have no bit of their own, would make each checkpoint large.
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/assert.sh"
. "$CKPT_REPO/tests/e2e/lib/group.sh"

group=small-pages
said=$base/$group/said
# PR_SET_MEMORY_MERGE, PR_GET_MEMORY_MERGE
merging='
import ctypes, os, sys
libc = ctypes.CDLL(None)
if libc.prctl(67, 1, 0, 0, 0) or libc.prctl(68, 0, 0, 0, 0) != 1:
    sys.exit("this kernel merges nothing for a process")
os.execvp(sys.argv[1], sys.argv[1:])
'
asks='
import ctypes, sys, time
libc = ctypes.CDLL(None)
get = lambda option: libc.prctl(option, 0, 0, 0, 0)
with open(sys.argv[1], "w") as file:
    file.write("merged %d\nhuge pages off %d\n" % (get(68), get(42)))
time.sleep(1000000)
'
mkdir -p "$base/$group"
at_exit "end_group $group"
/usr/bin/python3 -c "$merging" "$tool" run --name $group --root "$base/$group" \
	--private-dir "$base/private" -- /usr/bin/python3 -c "$asks" "$said" \
	>"$base/$group.run" 2>&1 &
ok "it runs, of one whose pages are merged" wait_for 60 has_lines "$said" 2
is "its pages are not, and it has no huge ones" "$(xargs <"$said")" "merged 0 huge pages off 1"
done_testing
