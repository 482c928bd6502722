#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 049-attributes.sh: who locks files, has timers or filters its calls notices nothing
# where: both
# check: native
# timeout: 300
#
# Programs that hold them in every state are checkpointed, lose their keeper at each point of the
# reading, and are restored, twice; then they check themselves.
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/objects.sh"

hold_and_restore locks locks
hold_and_restore timers timers
hold_and_restore filtered filtered
hold_and_restore attributes attributes
hold_and_restore signals signals
hold_and_restore flags area_flags
done_testing
