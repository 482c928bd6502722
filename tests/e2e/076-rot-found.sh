#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 076-rot-found.sh: damage that a restore finds is remembered, named, and nothing is built on it
# where: both
# check: native
# timeout: 200
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/assert.sh"
. "$CKPT_REPO/tests/e2e/lib/group.sh"
. "$CKPT_REPO/tests/e2e/lib/story.sh"

group=rotfound
root=$base/$group
sleeper() {	# run it anew; a big file in its root stays as it is
	rm -f "$root/lines"
	start_program $group "$root/lines" /bin/sh -c 'echo 1 >>"$1"; echo 2 >>"$1"
		exec sleep 1000' sh "$root/lines"
}

flip_largest() {	# PACK: one bit of its largest object, see docs/image-format.md
	/usr/bin/python3 - "$1" <<'PY'
import struct, sys
data = bytearray(open(sys.argv[1], "rb").read())
at, count = struct.unpack_from("<QQ", data, len(data) - 56)
entries = [struct.unpack_from("<QII", data, at + i * 56 + 32) for i in range(count)]
offset, _, stored = max(entries, key=lambda e: e[2])
data[offset + 56 + stored // 2] ^= 16
open(sys.argv[1], "wb").write(data)
PY
}

restore() {	# ARGUMENT...: its status in $rc, its document in $doc
	rc=0
	doc=$("$tool" restore "$@" --json) || rc=$?
	note "$doc"
}

mkdir -p "$root"
head -c 4194304 /dev/urandom >"$root/big"
sleeper
take $group
first=$(ls "$CKPT_STORE"/packs)
kill_group $group
cp -a "$CKPT_STORE" "$base/good"
flip_largest "$CKPT_STORE/packs/$first"
cp -a "$CKPT_STORE" "$base/flipped"
restore $group
is "the only checkpoint is damaged: exit status" $rc 3
like "it says so" "$doc" "$group@1' is damaged"
is "nothing else of the store has changed" \
	"$(diff -rq "$CKPT_STORE" "$base/flipped" | sed 's/.*: //')" 1.state
is "it is remembered" "$(json verdict "$("$tool" log $group --json)")" damaged

# whatever other groups there are on this machine
is "ps names it all the same" "$("$tool" ps --json | /usr/bin/python3 -c '
import json, sys
print([g["last_id"] for g in json.load(sys.stdin) if g["name"] == sys.argv[1]])' $group)" "[1]"

# the same root, untouched: a delta on what is damaged would be damaged as well
sleeper
take $group
is "the next checkpoint takes nothing from it" "$(json kind "$said")" full
take $group
ok "and is whole" "$tool" verify $group
kill_group $group
restore $group
is "the newest comes back" "$rc $(json id "$doc") $(json skipped "$doc")" "0 3 0"
kill_group $group

# known damage is passed over aloud
rm -rf "$CKPT_STORE"
cp -a "$base/good" "$CKPT_STORE"
echo new >"$root/new"
sleeper
take $group
second=$(ls "$CKPT_STORE"/packs | grep -vx "$first")
kill_group $group
flip_largest "$CKPT_STORE/packs/$second"
not_ok "verify finds the newest damaged" "$tool" verify $group
restore $group --dry-run
is "a dry run passes it over" "$rc $(json id "$doc") $(json skipped "$doc")" "0 1 1"
like "and names it" "$(json why_skipped "$doc")" "$group@2' is damaged"
ok "so does its text" grep -q "1 newer .* passed over; .*$group@2" \
	<("$tool" restore $group --dry-run 2>&1)
newest=$CKPT_STORE/groups/$group/2.manifest
cp "$newest" "$base/manifest"
printf x | dd of="$newest" bs=1 seek=40 conv=notrunc status=none
restore $group --dry-run
is "a manifest that is damaged is passed over" "$rc $(json id "$doc") $(json skipped "$doc")" \
	"0 1 1"

# one of a newer format is not: what it holds is newer work
/usr/bin/python3 - "$base/manifest" "$newest" <<'PY'
import hashlib, struct, sys
data = bytearray(open(sys.argv[1], "rb").read()[:-32])
struct.pack_into("<I", data, 8, 77)
open(sys.argv[2], "wb").write(bytes(data) + hashlib.sha256(data).digest())
PY
tree "$root" >"$base/before"
restore $group
is "a checkpoint of a newer format is not passed over" $rc 4
like "it says what to do" "$doc" 'version 77 .*use a newer ckpt-tool'
is "nothing was changed" "$(tree "$root")" "$(cat "$base/before")"
restore $group@1
is "an older one can be named" $rc 0
kill_group $group
done_testing
