#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 075-rot.sh: a store that rots beneath a living agent does not spoil its next checkpoint
# where: native
# module: no
# timeout: 200
#
# Every object of every pack is flipped. The next checkpoint finds that its parent cannot be
# read, takes nothing from it and trusts no block of it: it verifies and restores.
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/assert.sh"
. "$CKPT_REPO/tests/e2e/lib/group.sh"
. "$CKPT_REPO/tests/e2e/lib/sizes.sh"
. "$CKPT_REPO/tests/e2e/lib/story.sh"

group=rot
flip_objects() {	# PACK: see docs/image-format.md
	/usr/bin/python3 - "$1" <<'PY'
import struct, sys
data = bytearray(open(sys.argv[1], "rb").read())
at, count = struct.unpack_from("<QQ", data, len(data) - 56)
for i in range(count):
    offset, _, stored = struct.unpack_from("<QII", data, at + i * 56 + 32)
    data[offset + 56 + stored // 2] ^= 16
open(sys.argv[1], "wb").write(data)
PY
}

start_reference $group "${small[@]}"
start_group $group "${small[@]}"
ok "the agent gets on" gets_on $group
take $group
ok "the agent gets on" gets_on $group
take $group
is "before: an incremental checkpoint" "$(json kind "$said")" incremental
for pack in "$CKPT_STORE"/packs/*; do
	flip_objects "$pack"
done
take $group
is "after: the checkpoint is full" "$(json kind "$said")" full
ok "after: it verifies" "$tool" verify $group
take $group
is "the next one: an incremental checkpoint" "$(json kind "$said")" incremental
ok "the next one: it verifies" "$tool" verify $group
reference_ends $group
ok "the tree is killed" kill_group $group
back $group
done_testing
