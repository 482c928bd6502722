#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 015-demo-host.sh: make demo DEMO=host, on a machine that can load modules: the VM
# timeout: 900
# check: no
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/assert.sh"

rmmod ckpt
rc=0
tests/demo/demo.sh host >"$work/demo" 2>&1 || rc=$?
sed 's/^/# /' "$work/demo"
is "the demo ends well" $rc 0
ok "it says that it is complete" grep -qx '== the demo is complete' "$work/demo"
at_least "it told of its checkpoints by the module" "$(grep -cE '^ +[0-9]+ kmod ' "$work/demo")" 8
not_ok "the module is unloaded again" test -d /sys/kernel/ckpt
done_testing
