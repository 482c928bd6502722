#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 046-overlay.sh: a root on overlayfs, whose files have hard links in the lower layer
#
# Copied up, such a file has another inode number than the one under which the module
# reports it. Each change must be in the next checkpoint all the same.
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/assert.sh"
. "$CKPT_REPO/tests/e2e/lib/group.sh"
. "$CKPT_REPO/tests/e2e/lib/story.sh"

group=overlay
layers=$base/layers
root=$layers/merged

lay() {
	local i

	mkdir -p "$layers"/{lower/dir,upper,work,merged}
	for i in 1 2 3 4; do
		echo "lower $i" >"$layers/lower/file$i"
		ln "$layers/lower/file$i" "$layers/lower/dir/link$i"
	done
	mount -t overlay overlay -o \
		"lowerdir=$layers/lower,upperdir=$layers/upper,workdir=$layers/work" "$root"
	at_exit "umount -l $root"
}

change() {	# NUMBER: the ways to a copy in the upper layer
	case $1 in
	1) echo "more" >>"$root/file1" ;;
	2) echo "new" >"$root/dir/link2" ;;
	3) chmod 600 "$root/file3" ;;
	4) rm "$root/file4" && ln "$root/dir/link4" "$root/again" && echo "more" >>"$root/again" ;;
	5) echo "once more" >>"$root/file1" && mv "$root/dir/link2" "$root/moved" ;;
	esac
}

lay
"$tool" run --name $group --root "$root" --private-dir "$base/private" -- sleep 10000 \
	>"$base/run" 2>&1 &
at_exit "end_group $group"
wait_for 60 group_runs $group || bail "it does not start: $(cat "$base/run")"
take $group
for number in 1 2 3 4 5; do
	change $number
	take $group
	is "$number: tracker" "$(json tracker "$said")" kmod
	tree "$root" >"$base/then$number"
done
ok "it is killed" kill_group $group
find "$root" -mindepth 1 -delete
for number in 5 1 3 2 4; do
	ok "$number: it is restored" "$tool" restore "$group@$((number + 1))"
	tree "$root" >"$base/now"
	ok "$number: as it was" cmp "$base/now" "$base/then$number"
	cmp -s "$base/now" "$base/then$number" || note "$(diff "$base/now" "$base/then$number")"
	ok "$number: it is killed" kill_group $group
done
done_testing
