#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 010-main-job.sh: the demo with the module, and what must hold at each of its steps
# boots: 2
# timeout: 900
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/assert.sh"
. "$CKPT_REPO/tests/e2e/lib/group.sh"
. "$CKPT_REPO/tests/e2e/lib/sizes.sh"
tracker=kmod
. "$CKPT_REPO/tests/e2e/lib/main-job.sh"

if [ "$CKPT_BOOT" = 1 ]; then run_main_job; else run_second_boot; fi
done_testing
