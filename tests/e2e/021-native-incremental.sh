#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 021-native-incremental.sh: without the module the second checkpoint reads what was written
# where: native
# module: no
# timeout: 600
#
# Linux 6.7 and newer note themselves what is written (docs/tracking.md).  The tracker's process
# is killed between checkpoints, and at each step of one; ckpt-tool is killed between the round
# and the commit; another group takes the name; and nothing of ours is left in the agent.
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/assert.sh"
. "$CKPT_REPO/tests/e2e/lib/group.sh"
. "$CKPT_REPO/tests/e2e/lib/sizes.sh"
. "$CKPT_REPO/tests/e2e/lib/story.sh"

if [ "$(native_tracker)" != pagemap-scan ]; then
	echo "1..0 # SKIP Linux $(uname -r) does not note what is written"
	exit 0
fi
group=native
reached=$base/reached

# The process that listens for the group; a dead one may not have been reaped yet
tracker() {
	local pid

	for pid in $(pgrep -x ckpt-tracker || true); do
		[ -n "$(readlink "/proc/$pid/exe" || true)" ] &&
			grep -q "/run/ckpt/$group.tracker" /proc/net/unix &&
			holds_group "$pid" && echo "$pid"
	done
	return 0
}

holds_group() {	# PID: it has a userfaultfd, and its events are those of our cgroup
	readlink "/proc/$1/fd/"* | grep -q "$(group_cgroup $group)/cgroup.events"
}

no_tracker() { [ -z "$(tracker)" ]; }

registered() {	# areas whose writes are told
	local pid n=0

	for pid in $(group_pids $group); do
		n=$((n + $(grep -c '^VmFlags:.* uw' "/proc/$pid/smaps" || true)))
	done
	echo $n
}

# what the probes hold, whose table of descriptors does not change by itself
descriptors() {
	local pid

	for pid in $(group_pids $group); do
		[[ ! $(cat "/proc/$pid/comm") =~ ^(spinner|clock_probe)$ ]] ||
			ls -l "/proc/$pid/fd" | sed -n "s|.* \([0-9]* -> .*\)|$pid: \1|p"
	done | sort
}

expect() {	# WHAT KIND: of the checkpoint in $said
	is "$1: the tracker" "$(json tracker "$said")" pagemap-scan
	is "$1: it is $2" "$(json kind "$said")" "$2"
}

# A full one, which reads everything, and one that does not
full_and_incremental() {	# WHAT
	local all

	take $group
	expect "$1" full
	all=$(json memory_read "$said")
	at_least "$1: it reads all pages but those of files and zeros" "$all" \
		$(($(json dirty_pages "$said") * 4096))
	isnt "$1: in a stop of its own it comes to be watched" "$(json watch_ns "$said")" 0
	at_most "$1: so little is read in the other" "$(json final_pages "$said")" \
		$(($(json pages "$said") / 4))
	gets_on $group
	take $group
	expect "$1, and then" incremental
	at_most "$1, and then: it reads what was written" "$(json memory_read "$said")" \
		$(($(json dirty_pages "$said") * 4096))
	is "$1, and then: it is watched" "$(json watch_ns "$said")" 0
	at_most "$1, and then: which is less than half of it" "$(json memory_read "$said")" \
		$((all / 2))
}

start_reference $group "${small[@]}" --state-mb 100
reference_ends $group
start_group $group "${small[@]}" --state-mb 100
ok "an agent runs" gets_on $group
before=$(descriptors)
at_least "the probes have descriptors" "$(wc -l <<<"$before")" 6
full_and_incremental "at first"
is "the probes have no descriptor more than before" "$(descriptors)" "$before"
at_least "its memory is watched" "$(registered)" 1
is "by one process" "$(tracker | wc -l)" 1
is "at a socket for root" "$(stat -c %a /run/ckpt/$group.tracker)" 600
in_group=$(group_pids $group | grep -cx "$(tracker)" || true)
is "which is not in the group" "$in_group" 0

ok "what watches it is nothing that doctor minds" "$tool" doctor $group

# the tracker is killed
kill -9 "$(tracker)"
ok "killed, it leaves nothing registered" wait_for 10 eval '[ "$(registered)" = 0 ]'
runs_on $group "without its tracker"
full_and_incremental "after the tracker was killed"

# ckpt-tool dies with what the round told
for point in checkpoint.ahead checkpoint.collecting checkpoint.adopted checkpoint.collected \
	checkpoint.released checkpoint.replayed; do
	rm -f "$reached"
	# the keeper of the one before has the lock until it has let go
	wait_for 10 flock -n "/run/ckpt/$group.lock" true || true
	CKPT_FAULT=$point CKPT_FAULT_REACHED=$reached "$inject_tool" checkpoint $group \
		>"$base/killed" 2>&1 || true
	is "$point: ckpt-tool dies" "$(cat "$reached" 2>/dev/null)" $point
done
runs_on $group "after that"
take $group
expect "after killed checkpoints" incremental

# and with what was told in the stop of a first one, in it or after it
for point in checkpoint.watching checkpoint.watched; do
	kill -9 "$(tracker)"
	wait_for 10 flock -n "/run/ckpt/$group.lock" true || true
	rm -f "$reached"
	CKPT_FAULT=$point CKPT_FAULT_REACHED=$reached "$inject_tool" checkpoint $group \
		>"$base/killed" 2>&1 || true
	is "$point: ckpt-tool dies" "$(cat "$reached" 2>/dev/null)" $point
	runs_on $group "$point"
	wait_for 10 flock -n "/run/ckpt/$group.lock" true || true
	take $group
	expect "$point, and then" full
	ok "$point: it verifies" "$tool" verify $group
done

# between the store and the tracker: the store has one more than the tracker knows
CKPT_FAULT=checkpoint.durable "$inject_tool" checkpoint $group >"$base/killed" 2>&1 || true
take $group
expect "after one that the tracker was not told of" full

# the tracker dies while it is asked
for point in tracker.adopted tracker.walked tracker.round tracker.scanned tracker.ahead \
	tracker.round:2 tracker.answering:2; do
	[ -z "$(tracker)" ] || kill -9 "$(tracker)"
	rm -f "$reached"
	rc=0
	said=$(CKPT_FAULT=$point CKPT_FAULT_REACHED=$reached "$inject_tool" checkpoint $group \
		--json) || rc=$?
	is "$point: the tracker dies" "$(cat "$reached" 2>/dev/null)" "${point%:*}"
	is "$point: the checkpoint is there all the same" "$rc $(json kind "$said")" "0 full"
	ok "$point: nothing is registered" wait_for 10 eval '[ "$(registered)" = 0 ]'
	ok "$point: it verifies" "$tool" verify $group
done
is "the probes have no descriptor more than before" "$(descriptors)" "$before"

# it cannot be started: nothing is known, so that all is read, and compared with what was there
[ -z "$(tracker)" ] || kill -9 "$(tracker)"
rm -f "$reached"
CKPT_FAULT=tracker.started CKPT_FAULT_REACHED=$reached "$inject_tool" checkpoint $group --json \
	>"$base/said" 2>&1
said=$(<"$base/said")
is "the tracker does not start" "$(cat "$reached" 2>/dev/null)" tracker.started
expect "without a tracker" incremental
at_least "without a tracker: it reads everything" "$(json memory_read "$said")" $((100 << 20))
ok "without a tracker: it verifies" "$tool" verify $group
take $group
expect "with one, after that" full

# another store has not what this one has
CKPT_STORE=$base/other take $group
expect "another store" full
take $group
expect "the first store again" full
take $group
expect "and again" incremental

# it dies in the round of an incremental one, its third walk: what it does not tell is read
kill -9 "$(tracker)"
CKPT_FAULT=tracker.round:3 "$inject_tool" checkpoint $group >"$base/said" 2>&1
gets_on $group
take $group
expect "whose tracker dies in its round" incremental
at_least "it reads everything" "$(json memory_read "$said")" $((100 << 20))
ok "the tracker is gone" no_tracker

# killed and restored: it is another group
take $group
expect "with a new one" full
isnt "there is a tracker" "$(tracker)" ""
ok "the tree is killed" kill_group $group
ok "the tracker ends with it" wait_for 10 no_tracker
ok "it is restored" "$tool" restore $group
is "nothing of it is registered" "$(registered)" 0
runs_on $group "restored"
full_and_incremental "restored"
back $group

# untagged, it runs on as if it had never been watched
start_program other "$base/other-lines" /bin/sh -c \
	'echo 1 >>"$1"; echo 2 >>"$1"; exec sleep 1000' sh "$base/other-lines"
group=other
take $group
at_least "another group is watched" "$(registered)" 1
pids=$(group_pids $group) dir=$(group_dir $group)
at_exit 'kill -9 $pids; sleep 0.2; rmdir "$dir"'
ok "untag" "$tool" untag $group
ok "it runs on" kill -0 $pids
not_ok "no socket is left" test -e /run/ckpt/$group.tracker
is "nothing is registered" "$(for pid in $pids; do
	grep '^VmFlags:.* uw' "/proc/$pid/smaps"; done)" ""
done_testing
