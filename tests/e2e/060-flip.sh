#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 060-flip.sh: a byte that flips in the target while it is filled fails the restore
# where: native
# module: no
# timeout: 200
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/assert.sh"
. "$CKPT_REPO/tests/e2e/lib/group.sh"
. "$CKPT_REPO/tests/e2e/lib/sizes.sh"
. "$CKPT_REPO/tests/e2e/lib/story.sh"

group=flip
start_reference $group "${small[@]}"
start_group $group "${small[@]}"
ok "the agent gets on" gets_on $group
take $group
reference_ends $group
ok "the tree is killed" kill_group $group

rc=0
said=$(CKPT_FAULT=restore.flip=fail CKPT_FAULT_REACHED=$base/reached \
	"$inject_tool" restore $group 2>&1 >/dev/null) || rc=$?
is "the fault point is reached" "$(cat "$base/reached" 2>/dev/null)" restore.flip
is "the restore fails: damage" $rc 3
like "it names the page and the process" "$said" \
	'process [0-9]+: memory at 0x[0-9a-f]+ is not what the checkpoint holds'
note "$said"
ok "no task of the tree runs" group_gone $group

back $group
done_testing
