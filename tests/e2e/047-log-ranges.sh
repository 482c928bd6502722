#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 047-log-ranges.sh: of a big log that is open only what was appended is read
#
# A shell keeps a log of 64 MiB open and appends to it. With the module a checkpoint reads the
# pages that were written; what it holds is the whole log all the same.
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/assert.sh"
. "$CKPT_REPO/tests/e2e/lib/group.sh"
. "$CKPT_REPO/tests/e2e/lib/sizes.sh"
. "$CKPT_REPO/tests/e2e/lib/story.sh"

group=log
dir=$base/$group
size=$((64 << 20))
agent='cd "$1"; exec 9>>log; echo one >turns; echo two >>turns
while :; do
	while [ ! -e go ]; do sleep 0.1; done
	rm go
	head -c 4096 /dev/urandom >&9
	echo turn >>turns
done'

turn() {
	local n

	n=$(lines "$dir/turns")
	: >"$dir/go"
	wait_for 30 has_lines "$dir/turns" $((n + 1))
}

reads() {	# WHAT MOST
	ok "$1: $(json file_read "$said") bytes of files are read" \
		[ "$(json file_read "$said")" -le "$2" ]
}

mkdir -p "$dir"
head -c $size /dev/urandom >"$dir/log"
sync
start_program $group "$dir/turns" /bin/sh -c "$agent" sh "$dir"
take $group
ok "the first checkpoint reads all of it" [ "$(json file_read "$said")" -ge $size ]
# The log of the module begins with the first writer it sees, and counts from the round after.
for _ in 1 2; do
	turn
	take $group
done
is "the tracker" "$(json tracker "$said")" kmod
for _ in 1 2 3; do
	turn
	take $group
	reads "4 KiB appended" $((256 << 10))
done
take $group
reads "nothing appended" $((128 << 10))
turn
take $group --stop
wait $run_pid || true
reads "4 KiB appended, and the tree stopped for good" $((256 << 10))
tree "$dir" >"$base/gone"
rm -rf "$dir"
rc=0
"$tool" restore $group --check ". $CKPT_REPO/tests/e2e/lib/tree.sh; tree $dir >$base/back; false" \
	>"$base/failed" 2>&1 || rc=$?
is "the files are back and the check ended it" $rc 1
ok "they are what they were" cmp "$base/back" "$base/gone"
end_group $group
done_testing
