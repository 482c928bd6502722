#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 043-inotify.sh: who watches files and processes is told of what happens afterwards, and no more
# where: both
# check: native
# timeout: 300
#
# A program that watches files and directories of its root by inotifies, and processes by pidfds,
# is checkpointed, loses its keeper at each point of the reading, and is restored, twice: once its
# root was emptied in between, so that all that is watched is made anew.  Then it checks itself.
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/assert.sh"
. "$CKPT_REPO/tests/e2e/lib/group.sh"
. "$CKPT_REPO/tests/e2e/lib/sizes.sh"
. "$CKPT_REPO/tests/e2e/lib/story.sh"

group=watchers
file=$base/$group/said

start_program $group "$file" sh -c \
	"cd '$base/$group' && exec '$programs/watchers' '$base/quiet' >'$file'"
take $group
for point in keeper.mapped keeper.looked keeper.asked keeper.answered; do
	CKPT_FAULT=$point "$inject_tool" checkpoint $group >"$base/killed" 2>&1 || true
done
take $group
ok "it is killed" kill_group $group
find "$base/$group" -mindepth 1 -delete
ok "it is restored where nothing is left" "$tool" restore $group
take $group
ok "it is killed once more" kill_group $group
ok "it is restored once more" "$tool" restore $group
touch "$base/$group/go"
ok "it says how it is" wait_for 60 grep -q well "$file"
is "nothing is missing" "$(cat "$file")" "all is set up
ready
all well"
done_testing
