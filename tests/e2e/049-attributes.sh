#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 049-attributes.sh: who locks files, has timers or filters its calls notices nothing
# where: both
# check: native
# timeout: 300
#
# Programs that hold them in every state are checkpointed, lose their keeper at each point of the
# reading, and are restored, twice; then they check themselves.
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/assert.sh"
. "$CKPT_REPO/tests/e2e/lib/group.sh"
. "$CKPT_REPO/tests/e2e/lib/sizes.sh"
. "$CKPT_REPO/tests/e2e/lib/story.sh"

# take, again where a timer was just between two states that can be told
take_soon() {	# NAME
	local i out rc=1

	for ((i = 0; i < 20 && rc; i++)); do
		rc=0
		out=$("$tool" checkpoint "$1" 2>&1) || rc=$?
		[ $rc = 0 ] || [[ $out == *"try again"* ]] || break
	done
	is "$1: a checkpoint: ${out##*$'\n'}" $rc 0
}

story() {	# PROGRAM
	local group=$1 file=$base/$1/said

	start_program "$group" "$file" sh -c "cd '$base/$group' && exec '$programs/$1' >'$file'"
	take_soon "$group"
	for point in keeper.mapped keeper.looked keeper.asked keeper.answered; do
		CKPT_FAULT=$point "$inject_tool" checkpoint "$group" >"$base/killed" 2>&1 || true
	done
	take_soon "$group"
	ok "$group: killed" kill_group "$group"
	ok "$group: restored" "$tool" restore "$group"
	take_soon "$group"
	ok "$group: killed once more" kill_group "$group"
	ok "$group: restored once more" "$tool" restore "$group"
	touch "$base/$group/go"
	ok "$group: it says how it is" wait_for 60 grep -q well "$file"
	is "$group: nothing is missing" "$(cat "$file")" "all is set up
ready
all well"
}

story locks
story timers
story filtered
done_testing
