#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 039-unix.sh: who talks through Unix sockets notices nothing
# where: both
# check: native
# timeout: 300
#
# A program that holds them in every state is checkpointed, loses its keeper at each point of the
# reading, and is restored, twice; then it checks itself.  So do one whose files wait in them, and
# one that has not accepted who has connected.
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/objects.sh"

points=(keeper.registers keeper.peeked keeper.looked keeper.asked keeper.answered)
hold_and_restore unix unix_sockets
hold_and_restore flight files_in_flight
points=(keeper.waiting keeper.looked)
hold_and_restore waiting unix_waiting
done_testing
