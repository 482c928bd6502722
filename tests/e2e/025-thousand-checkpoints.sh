#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 025-thousand-checkpoints.sh: checkpoints of a working agent, one after the other, leave nothing
# where: both
# check: native
# timeout: 1800
#
# Of a coding agent from the npm registry: it finishes as if nothing had happened, and neither in it
# nor beside it there is a descriptor, a mapping, a thread, a process or a cgroup of ours. Its model
# holds an answer back for the first two fifths, so that all there is can be compared one by one.
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/assert.sh"
. "$CKPT_REPO/tests/e2e/lib/group.sh"
. "$CKPT_REPO/tests/e2e/lib/story.sh"
. "$CKPT_REPO/tests/e2e/lib/npm-agent.sh"

RANDOM=${CKPT_SEED:-2}
group=thousand
count=100 tracker=$(native_tracker) agent_seconds=${agent_seconds:-300}
[ -z "${CKPT_IN_VM:-}" ] || count=20 tracker=kmod
[ -z "${CKPT_FULL:-}" ] || count=$((count * 10))
steps=$((10 + count / 5)) think_ms=500
[ "$tracker" != full ] || steps=$((steps * 3))
hold=$base/$group.hold
ids=()
refused=0
# one of its own, so that its processes are told from those of others
cp "$tool" "$base/ckpt-tool"
tool=$base/ckpt-tool

ours() {	# names of our processes, whoever they belong to
	local exe

	for exe in /proc/[0-9]*/exe; do
		[ "$(readlink "$exe")" != "$tool" ] || cat "${exe%exe}comm"
	done 2>/dev/null | sort | xargs
}

ours_are() { [ "$(ours)" = "$1" ]; }

cgroups() { find "$cgroup_mount" -type d -path "*$group*"; }

# The heap of V8, which it gives back when it has been idle for some time: 256 KiB, aligned, or some
# of them.  Of ours nothing has such ends
heap='rw-p 00000000 *$'
heap="^/proc/[0-9]+ [0-9a-f]+[048c]0000-[0-9a-f]+[048c]0000 $heap"

look() {	# descriptors, threads and areas of each process of the group
	local pid dir

	for pid in $(group_pids $group | sort -n); do
		dir=/proc/$pid
		echo "$pid $(<"$dir/comm"): $(ls "$dir/task" | wc -l) threads"
		find "$dir/fd" -type l -printf '%p -> %l\n' | sort -V
		cut -d ' ' -f 1-3,6- "$dir/maps" | sed -E "s|^|$dir |; \\!$heap!d"
	done
}

# What there is of each kind, wherever it lies and however often it was made
kinds() {
	sed -E '/^[0-9]/d; s|^/proc/([0-9]+)/fd/[0-9]+ -> |\1 fd |
		s|^/proc/([0-9]+) [^ ]* |\1 area |
		s/\[[0-9]+\]$//; s/-1-[0-9a-f]+//' | sort -u
}

# Of all but the model, which has one for each connection that the agent happens to have
threads() { sed -nE '/model_server/d; s/^[0-9].*: //p' | sort | xargs; }

at_rest() {	# nothing of it changes any more
	local last now

	last=$(look)
	for _ in {1..40}; do
		nap 1
		now=$(look)
		[ "$now" != "$last" ] || return 0
		last=$now
	done
	return 1
}

# What cannot be told for a moment may be refused
checkpoint() {
	local rc=0

	said=$("$tool" checkpoint $group --json 2>&1) || rc=$?
	if [ $rc != 0 ]; then
		[[ $said == *"try again"* ]] || bail "after ${#ids[@]} checkpoints: $said"
		note "refused: $(json message "$said")"
		refused=$((refused + 1))
		return
	fi
	ids+=("$(json id "$said")")
	[ "$(json tracker "$said")" = "$tracker" ] ||
		bail "checkpoint ${ids[-1]}: the tracker is $(json tracker "$said")"
	[ $((${#ids[@]} % 20)) != 0 ] || let_go $group ||
		bail "after ${#ids[@]} checkpoints something traces or freezes it"
}

checkpoints() {	# NUMBER: until there are so many
	while [ ${#ids[@]} -lt "$1" ]; do
		# an agent that would come to its end before waits for its model
		[ "$(steps_of $group)" -lt $((steps - 3)) ] || touch "$hold"
		checkpoint
	done
}

watched() {	# areas whose writes are told to a tracker
	local pid

	for pid in $(group_pids $group); do
		grep '^VmFlags:.* uw' "/proc/$pid/smaps" || true
	done | wc -l
}

start_npm_agent $group $steps $think_ms inside
dir=$(group_dir $group)
touch "$hold"
ok "it waits for its model" at_rest
look >"$base/before"
checkpoints $((count * 2 / 5))
look >"$base/after"
ok "not a descriptor, area or thread is another one after ${#ids[@]} checkpoints" \
	diff "$base/before" "$base/after"
rm "$hold"
before=$(steps_of $group)
checkpoints $count
at_least "it has worked meanwhile" $(($(steps_of $group) - before)) $((count / 20))
note "$count checkpoints, $refused refused for a moment, $(steps_of $group) of $steps steps"
at_most "few are refused, for a moment" $refused $((count / 10))
touch "$hold"
ok "it waits for its model once more" at_rest
look >"$base/after"
is "there is no descriptor or area of a new kind" \
	"$(comm -13 <(kinds <"$base/before") <(kinds <"$base/after"))" ""
is "there are as many threads" "$(threads <"$base/after")" "$(threads <"$base/before")"
ok "nothing traces or freezes it" let_go $group
listens=
[ "$tracker" != pagemap-scan ] || listens=" ckpt-tracker"
ok "of us there are the tree's init, run, and who listens for writes" \
	wait_for 20 ours_are "ckpt-init ckpt-tool$listens"
rm "$hold"
npm_agent_ends $group $steps

newest=${ids[-1]} older=${ids[RANDOM % (${#ids[@]} - 1)]} last=${ids[-1 - RANDOM % 5]}
ok "the newest verifies" "$tool" verify $group@$newest
ok "so does $older" "$tool" verify $group@$older
ok "everything is killed" kill_group $group
wait $run_pid || true
ok "no process of ours is left" wait_for 20 ours_are ""
is "there is no cgroup but the group's" "$(cgroups)" "$dir"

rm -rf "$base/$group/workspace"
ok "$last is restored" "$tool" restore $group@$last
checkpoint
checkpoint
[ "$tracker" != pagemap-scan ] ||
	at_least "its writes are told" "$(watched)" 1
pids=$(group_pids $group)
at_exit 'echo 1 >"$dir/cgroup.kill"; nap 0.2; rmdir "$dir"'
ok "it is untagged" "$tool" untag $group
ok "of us there is the tree's init alone" wait_for 20 ours_are ckpt-init
is "no area of it is watched any more" "$(grep -l '^VmFlags:.* uw' \
	$(printf '/proc/%s/smaps ' $pids) 2>/dev/null)" ""
npm_agent_ends $group $steps
echo 1 >"$dir/cgroup.kill"
ok "with the tree its init ends" wait_for 20 ours_are ""
done_testing
