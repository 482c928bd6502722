#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 039-unix.sh: who talks through Unix sockets notices nothing
# where: both
# check: native
# timeout: 300
#
# A program that holds them in every state is checkpointed, loses its keeper at each point of the
# reading, and is restored, twice; then it checks itself.
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/assert.sh"
. "$CKPT_REPO/tests/e2e/lib/group.sh"
. "$CKPT_REPO/tests/e2e/lib/sizes.sh"
. "$CKPT_REPO/tests/e2e/lib/story.sh"

group=unix
file=$base/$group/said

start_program $group "$file" sh -c "cd '$base/$group' && exec '$programs/unix_sockets' >'$file'"
take $group
for point in keeper.registers keeper.peeked keeper.looked keeper.asked keeper.answered; do
	CKPT_FAULT=$point CKPT_FAULT_REACHED=$base/reached \
		"$inject_tool" checkpoint $group >"$base/killed" 2>&1 || true
done
ok "a keeper was killed while it looked into a socket" grep -q keeper.peeked "$base/reached"
take $group
ok "it is killed" kill_group $group
ok "it is restored" "$tool" restore $group
take $group
ok "it is killed once more" kill_group $group
ok "it is restored once more" "$tool" restore $group
touch "$base/$group/go"
ok "it says how it is" wait_for 60 grep -q well "$file"
is "nothing is missing" "$(cat "$file")" "all is set up
ready
all well"
done_testing
