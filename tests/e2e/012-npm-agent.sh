#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 012-npm-agent.sh: a coding agent from the npm registry over kill and restore
# where: native
# module: no
# timeout: 600
#
# Its model answers from inside the group, then from outside. Checkpoints at random instants,
# half of them while a shell tool of the agent lives; after some of them everything is killed, the
# workspace is removed, and a restore has to bring both back.
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/assert.sh"
. "$CKPT_REPO/tests/e2e/lib/group.sh"
. "$CKPT_REPO/tests/e2e/lib/sizes.sh"
. "$CKPT_REPO/tests/e2e/lib/story.sh"
. "$CKPT_REPO/tests/e2e/lib/npm-agent.sh"

RANDOM=${CKPT_SEED:-5}
note "seed ${CKPT_SEED:-5}"
instants=3
[ -z "${CKPT_FULL:-}" ] || instants=25
steps=$((8 + 4 * instants))

instant() {	# NAME: a random one, while a child lives or not
	local before

	before=$(steps_of "$1")
	ok "$1: a step is done" wait_for 60 has_lines "$(steps_file "$1")" $((before + 1))
	nap "$(printf '0.%03d' $((RANDOM % 1000)))"
	[ $((RANDOM % 2)) = 0 ] || wait_child "$1" 10 'bash|sh|cc|cc1|as|git|sleep|tee|seq' ||
		true
}

for where in inside outside; do
	group=npm-$where
	start_npm_agent "$group" "$steps" 300 "$where"
	for ((i = 1; i <= instants; i++)); do
		instant "$group"
		take "$group"
		if [ $((i % 2)) = 1 ]; then
			instant "$group"
			ok "$group: everything is killed" kill_group "$group"
			rm -rf "$base/$group/workspace"
			ok "$group@$id: it is restored" "$tool" restore "$group"
		fi
	done
	npm_agent_ends "$group" "$steps"
	ok "$group: the rest of it ends" kill_group "$group"
done
done_testing
