#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 048-ptys.sh: who lives on a pseudo terminal keeps it, its number, its jobs and its control
# where: both
# check: native
# timeout: 300
#
# A program with terminals in every state, one that drives an interactive bash, and one in whose
# terminals input and output waits, are checkpointed, lose their keeper at each point of the
# reading, and are restored, twice; then each checks itself.
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/objects.sh"

points+=(keeper.line keeper.pty)
hold_and_restore ptys ptys
hold_and_restore pty_shell pty_shell
hold_and_restore pty_queues pty_queues
done_testing
