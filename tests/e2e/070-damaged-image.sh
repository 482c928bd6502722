#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 070-damaged-image.sh: a truncated or flipped image is named by verify and not restored
# where: native
# module: no
# timeout: 300
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/assert.sh"
. "$CKPT_REPO/tests/e2e/lib/group.sh"
. "$CKPT_REPO/tests/e2e/lib/sizes.sh"
. "$CKPT_REPO/tests/e2e/lib/story.sh"

group=damage
start_reference $group "${small[@]}"
start_group $group "${small[@]}"
for _ in 1 2; do
	ok "the agent gets on" gets_on $group
	take $group
done
reference_ends $group
ok "the tree is killed" kill_group $group
cp -a "$CKPT_STORE" "$base/good"
before=$(tree "$base/$group/workspace")

flip() {	# FILE PERCENT: one bit, at that place
	/usr/bin/python3 - "$1" "$2" <<'PY'
import os, sys
at = (os.path.getsize(sys.argv[1]) - 1) * int(sys.argv[2]) // 100
with open(sys.argv[1], "r+b") as file:
    file.seek(at)
    byte = file.read(1)[0]
    file.seek(at)
    file.write(bytes([byte ^ 16]))
PY
}

cut_to() { truncate -s "$(($(stat -c %s "$1") * $2 / 100))" "$1"; }	# FILE PERCENT

damaged() {	# WHAT FILE: verify and restore of it must say so
	local said rc=0

	said=$("$tool" verify "$group@$id" 2>&1) || rc=$?
	is "$1: verify ends with 3" $rc 3
	like "$1: it names what is damaged" "$said" "${2##*/}|checkpoint $id|$group@$id"
	note "$(head -n 2 <<<"$said")"
	rc=0
	said=$("$tool" restore "$group@$id" 2>&1 >/dev/null) || rc=$?
	is "$1: restore ends with 3" $rc 3
	ok "$1: no task was started" group_gone $group
	is "$1: no file was touched" "$(tree "$base/$group/workspace")" "$before"
	kill_group $group
}

heal() {
	rm -rf "$CKPT_STORE"
	cp -a "$base/good" "$CKPT_STORE"
}

newest_manifest=$(find "$CKPT_STORE" -type f -path "*$group*" -name "*$id*" | head -n 1)
isnt "the newest manifest is found" "$newest_manifest" ""
pack=$(find "$CKPT_STORE" -type f -size +64k -printf '%s %p\n' | sort -n | tail -n 1 |
	cut -d ' ' -f 2)
isnt "a pack is found" "$pack" ""
for place in 0 30 60 100; do
	for file in "$newest_manifest" "$pack"; do
		flip "$file" $place
		damaged "a bit of ${file##*/} at $place %" "$file"
		heal
	done
done
for size in 0 50 99; do
	for file in "$newest_manifest" "$pack"; do
		cut_to "$file" $size
		damaged "${file##*/} cut to $size %" "$file"
		heal
	done
done
rm "$pack"
damaged "a pack that is missing" "$pack"
heal

# all of them: the newest says so, also when it is known already
for what in "all are damaged" "all are known to be"; do
	if [ "$what" = "all are damaged" ]; then
		find "$CKPT_STORE/groups" -type f -path "*$group*" -name '[0-9]*' >"$base/manifests"
		while read -r file; do flip "$file" 40; done <"$base/manifests"
	fi
	rc=0
	said=$("$tool" restore $group 2>&1 >/dev/null) || rc=$?
	is "$what: restore ends with 3" $rc 3
	like "$what: it says so" "$said" 'damaged'
	ok "$what: no task was started" group_gone $group
	is "$what: no file was touched" "$(tree "$base/$group/workspace")" "$before"
done
heal

# without an id it is the newest good one that comes back
flip "$newest_manifest" 40
said=$("$tool" restore $group --json)
is "the newest is damaged: the one before it is restored" "$(json id "$said")" $((id - 1))
ends_like_reference $group "the one before"
heal
back $group
done_testing
