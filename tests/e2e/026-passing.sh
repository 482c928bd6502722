#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 026-passing.sh: what cannot be restored and is gone in a moment is waited out
# where: both
# check: native
#
# Sockets of a look-up of names, connections that nobody has accepted, a walk through /proc/self/fd,
# files of procfs, and numbers that are another file each time, half of the time. Who keeps such a
# thing is refused by name, after two seconds.
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/assert.sh"
. "$CKPT_REPO/tests/e2e/lib/group.sh"
. "$CKPT_REPO/tests/e2e/lib/story.sh"

RANDOM=${CKPT_SEED:-2}
count=20 tracker=kmod some=60
[ -n "${CKPT_IN_VM:-}" ] || tracker=$(native_tracker) some=20
[ -z "${CKPT_FULL:-}" ] || count=200
program=$CKPT_REPO/tests/workloads/programs/passing.py

group=passing
start_program $group "$base/$group/turns" sh -c "cd '$base/$group' && exec '$program'"
for ((i = 1; i <= count; i++)); do
	nap "$(printf '0.%03d' $((RANDOM % 200)))"
	take $group
	is "its tracker is $tracker" "$(json tracker "$said")" "$tracker"
done
ok "nothing traces or freezes it" let_go $group
ok "it is killed" kill_group $group
ok "it is restored" "$tool" restore $group
ok "it gets on" wait_for 60 has_lines "$base/$group/turns" $(($(lines "$base/$group/turns") + 2))
ok "it is killed once more" kill_group $group

group=staying
start_program $group "$base/$group/turns" sh -c "cd '$base/$group' && exec '$program' stay"
start=$SECONDS rc=0
said=$("$tool" checkpoint $group 2>&1) || rc=$?
is "who keeps one is refused" $rc 4
like "by name" "$said" 'pid [0-9]+ \(passing\.py\) holds netlink socket [0-9]+ of another protocol'
at_least "after two seconds" $((SECONDS - start)) 2
at_most "and no more than some" $((SECONDS - start)) $some
ok "nothing traces or freezes it" let_go $group
ok "it gets on" wait_for 60 has_lines "$base/$group/turns" $(($(lines "$base/$group/turns") + 2))
done_testing
