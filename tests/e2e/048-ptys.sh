#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 048-ptys.sh: who lives on a pseudo terminal keeps it, its number, its jobs and its control
# where: both
# check: native
# timeout: 300
#
# A program with terminals in every state, then one that drives an interactive bash, are
# checkpointed, lose their keeper at each point of the reading, and are restored, twice; then each
# checks itself.
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/assert.sh"
. "$CKPT_REPO/tests/e2e/lib/group.sh"
. "$CKPT_REPO/tests/e2e/lib/sizes.sh"
. "$CKPT_REPO/tests/e2e/lib/story.sh"

twice() {	# PROGRAM
	local group=$1 file=$base/$1/said point

	start_program "$group" "$file" sh -c "cd '$base/$group' && exec '$programs/$1' >'$file'"
	take "$group"
	for point in keeper.mapped keeper.looked keeper.asked keeper.answered; do
		CKPT_FAULT=$point "$inject_tool" checkpoint "$group" >"$base/killed" 2>&1 || true
	done
	take "$group"
	ok "$1: it is killed" kill_group "$group"
	ok "$1: it is restored" "$tool" restore "$group"
	take "$group"
	ok "$1: it is killed once more" kill_group "$group"
	ok "$1: it is restored once more" "$tool" restore "$group"
	touch "$base/$group/go"
	ok "$1: it says how it is" wait_for 60 grep -q well "$file"
	is "$1: nothing is missing" "$(cat "$file")" "all is set up
ready
all well"
}

twice ptys
twice pty_shell
done_testing
