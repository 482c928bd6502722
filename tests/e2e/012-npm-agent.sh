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
most=$((3 * instants + 7))
tracker=$(native_tracker)
[ -z "${CKPT_IN_VM:-}" ] || tracker=kmod
steps=$((20 + 7 * instants))
# not sh, which is what starts the agent
children='bash|cc|cc1|as|collect2|ld|git|sleep|tee|seq|sha256sum'

instant() {	# NAME: a random one; while a child lives, when not half of those before held one
	local before

	before=$(steps_of "$1")
	ok "$1: a step is done" wait_for 60 has_lines "$(steps_file "$1")" $((before + 1))
	nap "$(printf '0.%03d' $((RANDOM % 1000)))"
	# a tool that has just begun is there yet when a busy machine comes to stop it: the shell of
	# one, and not what it starts at its end
	[ $((2 * caught)) -gt $taken ] || wait_child "$1" 10 'bash|sleep' 80 || true
}

take_instant() {	# NAME
	local lived

	instant "$1"
	take "$1"
	taken=$((taken + 1))
	kind=$(json kind "$said")
	is "$1@$id: the tracker is $tracker" "$(json tracker "$said")" "$tracker"
	lived=$(children_in "$1@$id" "$children")
	note "$1@$id: $kind, ${lived:-no child}"
	[ -z "$lived" ] || caught=$((caught + 1))
}

# What an agent holds that a shell does not, each kind by its name
is_shown() {	# NAME
	local kind

	"$tool" show "$1" --json >"$base/shown" || return
	for kind in epoll eventfd socket pipe inotify io_uring; do
		grep -Eq "\"kind\": ?\"$kind\"" "$base/shown" || return
	done
	! grep -q '"unknown"' "$base/shown"
}

come_back() {	# NAME
	instant "$1"
	ok "$1: everything is killed" kill_group "$1"
	rm -rf "$base/$1/workspace"
	ok "$1@$id: it is restored" "$tool" restore "$1"
	[ "$kind" = full ] && full=$((full + 1)) || incremental=$((incremental + 1))
}

for where in inside outside; do
	group=npm-$where
	taken=0 caught=0 full=0 incremental=0
	start_npm_agent "$group" "$steps" 300 "$where"
	while [ $taken -lt $instants ] ||
		{ [ $((2 * caught)) -lt $taken ] && [ $taken -lt $most ]; }; do
		take_instant "$group"
		[ $((taken % 2)) = 0 ] || [ $taken -gt $instants ] || come_back "$group"
	done
	at_least "$group: half of the instants hold a live tool" $((2 * caught)) $taken
	at_least "$group: some are restored from full ones" $full 1
	at_least "$group: some are restored from incremental ones" $incremental 1
	ok "$group: its descriptors are shown" is_shown "$group"
	npm_agent_ends "$group" "$steps"
	ok "$group: the rest of it ends" kill_group "$group"
done
done_testing
