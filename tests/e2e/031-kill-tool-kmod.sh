#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 031-kill-tool-kmod.sh: 030 with the module
# where: vm
# timeout: 9000
exec "${CKPT_REPO:?}/tests/e2e/030-kill-tool.sh"
