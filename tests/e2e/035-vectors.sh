#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 035-vectors.sh: no half of a vector register is lost
# where: both
# module: no
# timeout: 300
#
# A process that holds a pattern in its vector registers, those of AVX-512 where the processor has
# them, in those of the x87 and behind GS is checkpointed, loses its keeper at each point of the
# reading, and is restored.
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/assert.sh"
. "$CKPT_REPO/tests/e2e/lib/group.sh"
. "$CKPT_REPO/tests/e2e/lib/sizes.sh"
. "$CKPT_REPO/tests/e2e/lib/story.sh"

group=vectors
file=$base/$group/held

holds_on() {	# WHAT: a few turns more, all of them good
	ok "$1: it goes on" wait_for 60 has_lines "$file" $(($(lines "$file") + 3))
	is "$1: nothing was lost" "$(grep -v -e '^ok$' -e '^with ' "$file")" ""
}

start_program $group "$file" "$programs/vectors" "$file"
holds_on "before"
grep '^with ' "$file" | sed 's/^/# /'
take $group
holds_on "a checkpoint"
for point in keeper.mapped keeper.written keeper.started keeper.asked keeper.answered; do
	for turn in 1 2 3; do
		rm -f "$base/reached"
		CKPT_FAULT=$point CKPT_FAULT_REACHED=$base/reached \
			"$inject_tool" checkpoint $group >"$base/killed" 2>&1 || true
		is "$point, $turn: reached" "$(cat "$base/reached" 2>/dev/null)" "$point"
		holds_on "the keeper dies at $point, $turn"
	done
done
take $group
ok "it is killed" kill_group $group
ok "it is restored" "$tool" restore $group
holds_on "after a restore"
done_testing
