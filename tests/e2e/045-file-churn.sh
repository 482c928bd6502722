#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 045-file-churn.sh: a checkpoint holds the files exactly as they were at the stop
# timeout: 1800
#
# Two processes change forty names without end. Checkpoints are taken, full ones and
# incremental ones, some of them killed; the last one stops the tree for good, so that what
# lies there is what the checkpoint must hold. It is put back and compared.
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/assert.sh"
. "$CKPT_REPO/tests/e2e/lib/group.sh"
. "$CKPT_REPO/tests/e2e/lib/sizes.sh"
. "$CKPT_REPO/tests/e2e/lib/story.sh"

group=churn
RANDOM=${CKPT_SEED:-4}
files=$base/$group/files
look=". $CKPT_REPO/tests/e2e/lib/tree.sh; tree $files >$base/back; listing $files >$base/back.list"

start_churn() {	# SEED
	mkdir -p "$files"
	"$tool" run --name $group --root "$files" --private-dir "$base/private" -- \
		"$programs/file_churn" "$files" "$1" 2000 >"$base/$group.run" 2>&1 &
	run_pid=$!
	at_exit "end_group $group"
	wait_for 60 group_runs $group || bail "it does not start: $(cat "$base/$group.run")"
	wait_for 20 test -e "$files/d0/f1" || true
}

kill_one() {
	local pid

	"$tool" checkpoint $group >"$base/killed" 2>&1 &
	pid=$!
	nap $((RANDOM % 2)).$((RANDOM % 900 + 100))
	kill -9 $pid 2>/dev/null || true
	wait $pid 2>/dev/null || true
	wait_for 10 untraced $group
}

round() {	# NUMBER
	local rc=0 i

	rm -rf "${files:?}" "$CKPT_STORE"
	start_churn "$1$RANDOM"
	for ((i = RANDOM % 4; i > 0; i--)); do
		if [ $((RANDOM % 2)) = 0 ]; then kill_one; else take $group; fi
		nap 0.$((RANDOM % 900 + 100))
	done
	if [ $((RANDOM % 2)) = 0 ]; then take $group --stop; else take $group --stop --full; fi
	wait $run_pid || true
	tree "$files" >"$base/gone"
	listing "$files" >"$base/gone.list"
	rm -rf "$files"
	"$tool" restore $group --check "$look; false" >"$base/failed" 2>&1 || rc=$?
	is "$1: the files are back and the check ended it" $rc 1
	ok "$1: they are what they were ($(json kind "$said"))" cmp "$base/back" "$base/gone"
	cmp -s "$base/back" "$base/gone" || note "$(diff "$base/back.list" "$base/gone.list")"
	end_group $group
}

rounds=4
[ -z "${CKPT_FULL:-}" ] || rounds=60
for number in $(seq $rounds); do
	round "$number"
done
done_testing
