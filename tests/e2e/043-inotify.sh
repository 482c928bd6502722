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
. "${CKPT_REPO:?}/tests/e2e/lib/objects.sh"

# all that is watched is made anew
dead_once() { find "$base/$1" -mindepth 1 -delete; }
hold_and_restore watchers watchers "$base/quiet"
done_testing
