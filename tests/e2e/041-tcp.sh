#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 041-tcp.sh: connections inside the tree go on, those to the outside are reset
# where: both
# check: native
# timeout: 300
#
# A program with TCP sockets in every state is checkpointed, loses its keeper at each point of the
# reading, and is restored, twice; then it checks itself.
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/assert.sh"
. "$CKPT_REPO/tests/e2e/lib/group.sh"
. "$CKPT_REPO/tests/e2e/lib/sizes.sh"
. "$CKPT_REPO/tests/e2e/lib/story.sh"

group=tcp
file=$base/$group/said
mkdir -p "$base/$group"
"$programs/tcp_sockets" outside "$base/port" &
outside_pid=$!
at_exit "kill $outside_pid"
ok "somebody outside listens" wait_for 60 has_lines "$base/port" 1

start_program $group "$file" sh -c \
	"cd '$base/$group' && exec '$programs/tcp_sockets' $(cat "$base/port") >'$file'"
take $group
for point in keeper.looked keeper.repair keeper.repair:2 keeper.repairing keeper.answered; do
	CKPT_FAULT=$point "$inject_tool" checkpoint $group >"$base/killed" 2>&1 || true
done
take $group
ok "it is killed" kill_group $group
ok "it is restored" "$tool" restore $group
take $group
ok "it is killed once more" kill_group $group
rm "$base/port"
ok "it is restored once more" "$tool" restore $group
touch "$base/$group/go"
ok "it says how it is" wait_for 60 grep -q well "$file"
is "nothing is missing" "$(cat "$file")" "all is set up
ready
all well"
done_testing
