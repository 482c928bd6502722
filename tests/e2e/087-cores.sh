#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 087-cores.sh: a checkpoint and a restore use all processors
# where: both
# check: native
#
# How much of its processor time ckpt-tool spends in other threads than its first one, which does by
# itself what cannot be shared: it copies memory and writes the store.  On two processors it is a
# third of a checkpoint that stores everything, and up to half of a restore.
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/assert.sh"
. "$CKPT_REPO/tests/e2e/lib/group.sh"
. "$CKPT_REPO/tests/e2e/lib/story.sh"

if [ "$(nproc)" -lt 2 ]; then
	echo "1..0 # SKIP there is one processor"
	exit 0
fi
group=cores
mib=200
[ -z "${CKPT_IN_VM:-}" ] || mib=40

shares() {	# WHAT COMMAND...: what others take, in percent, in $share
	ok "$1" "$CKPT_REPO/tests/e2e/lib/cores.py" "$base/shares" "${@:2}"
	read -r share _ <"$base/shares"
	note "$1: $(<"$base/shares") (percent in other threads, ms in the first, ms)"
}

# text that can be compressed, no line of it twice
start_program $group "$base/$group/lines" /usr/bin/python3 -c '
import sys, time
text = [b"".join(b"line %d of part %d, %x\n" % (line, part, line * part * 0x9e3779b1)
                 for line in range(26000)) for part in range(int(sys.argv[2]))]
with open(sys.argv[1], "a", encoding="ascii") as file:
    while True:
        print(len(text), file=file, flush=True)
        time.sleep(0.1)' "$base/$group/lines" $mib
shares "a checkpoint" "$tool" checkpoint $group
at_least "its work is shared" "$share" 15
shares "one that may use one processor alone" taskset -c 0 "$tool" checkpoint $group --full
at_most "shares next to nothing" "$share" 5
ok "it is killed" kill_group $group
shares "a restore" "$tool" restore $group
at_least "its work is shared" "$share" 15
ok "it gets on" wait_for 60 has_lines "$base/$group/lines" $(($(lines "$base/$group/lines") + 2))
done_testing
