#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 044-io-uring.sh: who makes requests by io_urings notices nothing
# where: both
# check: native
# timeout: 300
#
# A program that holds rings in every state at rest is checkpointed, loses its keeper at each point
# of the reading, and is restored, twice; then it checks itself and goes on to use them.
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/objects.sh"

hold_and_restore uring uring
done_testing
