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
. "${CKPT_REPO:?}/tests/e2e/lib/objects.sh"

"$programs/tcp_outside" "$base/port" &
outside_pid=$!
at_exit "kill $outside_pid"
ok "somebody outside listens" wait_for 60 has_lines "$base/port" 1
port=$(cat "$base/port")

points=(keeper.looked keeper.repair keeper.repair:2 keeper.repairing keeper.answered)
dead_twice() { rm "$base/port"; }
hold_and_restore tcp tcp_sockets "$port"
done_testing
