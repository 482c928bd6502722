#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 020-main-job-nomodule.sh: the demo without the module, several hundred MB, natively
# where: native
# module: no
# timeout: 300
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/assert.sh"
. "$CKPT_REPO/tests/e2e/lib/group.sh"
. "$CKPT_REPO/tests/e2e/lib/sizes.sh"
tracker=$(native_tracker)
. "$CKPT_REPO/tests/e2e/lib/main-job.sh"

run_main_job
done_testing
