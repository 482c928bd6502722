#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# audit.sh: random operations on memory and files, not a page and not a file lost
#
# 5 * 10^4 of them, which makes 10^5 on two kernels; with CKPT_FULL=1 10^5. CKPT_SEED is the seed.
#
# kernels: 6.1 6.12
# timeout: 1200
# swap: 512
# kernel-args: numa=fake=2 proc_mem.force_override=always
set -euo pipefail
ops=50000 seconds=900
[ -z "${CKPT_FULL:-}" ] || ops=100000 seconds=1100
exec "$CKPT_REPO/build/audit/audit" "$ops" "${CKPT_SEED:-1}" "$seconds"
