#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 027-file-copies.sh: files that change while they are read, and whose old content others hold
# where: both
# check: native
# timeout: 600
#
# What a file held in one round is stored for its copies' sake when the file has changed by the
# next round. All that is stored is read again each time, and at the end put back.
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/assert.sh"
. "$CKPT_REPO/tests/e2e/lib/group.sh"
. "$CKPT_REPO/tests/e2e/lib/sizes.sh"
. "$CKPT_REPO/tests/e2e/lib/story.sh"

group=copies
RANDOM=${CKPT_SEED:-6}
times=6
[ -z "${CKPT_FULL:-}" ] || times=60
look=". $CKPT_REPO/tests/e2e/lib/tree.sh; tree $base/$group >$base/back"

start_program $group "$base/$group/said" sh -c "exec '$CKPT_REPO/tests/workloads/file_copies.py' \
	'$base/$group' $RANDOM >'$base/$group/said'"
for ((n = 1; n <= times; n++)); do
	nap 0.$((RANDOM % 900 + 100))
	option=
	[ $((RANDOM % 3)) != 0 ] || option=--full
	[ $n != $times ] || option=--stop
	take $group $option
	ok "checkpoint $n can be read" "$tool" verify $group
done
wait $run_pid || true
tree "$base/$group" >"$base/gone"
rm -rf "${base:?}/$group"
rc=0
"$tool" restore $group --check "$look; false" >"$base/failed" 2>&1 || rc=$?
is "the files are back and the check ended it" $rc 1
ok "they are what they were" cmp "$base/back" "$base/gone"
done_testing
