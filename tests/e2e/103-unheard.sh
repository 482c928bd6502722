#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 103-unheard.sh: who watches the readers of its files, or has leases, hears of no checkpoint
# where: both
# check: native
# timeout: 300
#
# A program that watches a file and a directory of its root for whatever happens there, and has
# leases on files in it and outside, is checkpointed in full and incrementally, loses its keeper,
# and is restored twice.  In the end no event waits, and no lease was to be given up.
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/objects.sh"

hold_and_restore unheard unheard "$base/outside"
done_testing
