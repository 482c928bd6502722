#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 038-events.sh: who waits by eventfds, timerfds, signalfds and epolls notices nothing
# where: both
# check: native
# timeout: 300
#
# A program that holds them in every state is checkpointed, loses its keeper at each point of the
# reading, and is restored, twice; then it checks itself.
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/objects.sh"

hold_and_restore events event_objects
done_testing
