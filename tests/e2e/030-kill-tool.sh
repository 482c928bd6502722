#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 030-kill-tool.sh: kill -9 of ckpt-tool at any instant of a checkpoint loses nothing
# where: native
# module: no
# timeout: 1500
#
# ckpt-tool dies at every fault point that a checkpoint passes and at random instants. Each
# time the tree must run on, untraced; then another checkpoint is taken, the tree killed,
# restored and compared with an undisturbed run. A point of the keeper, which outlives the
# tool on purpose, is tested in two ways: the tool dies while the keeper stands there, and
# the keeper itself dies.
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/assert.sh"
. "$CKPT_REPO/tests/e2e/lib/group.sh"
. "$CKPT_REPO/tests/e2e/lib/sizes.sh"
. "$CKPT_REPO/tests/e2e/lib/story.sh"

group=kill
reached=$base/reached
RANDOM=${CKPT_SEED:-3}
# emulated, an instant takes ten times as long: some of them, others with each seed
randoms=6 points=all
[ -z "${CKPT_IN_VM:-}" ] || randoms=2 points=3
[ -z "${CKPT_FULL:-}" ] || randoms=60 points=all

# every fault point in the sources of what a checkpoint runs
points() {
	grep -rhoE 'ckpt_fault\("[a-z.-]+"\)' "$CKPT_REPO/tools/libckpt" | cut -d '"' -f 2 |
		sort -u | grep -vE "$elsewhere"
}
# of a restore, a removal, ps: 080-kill-restore.sh, the unit tests of the store, 054-groups.sh
elsewhere='^(restore|fs|rm|status)\.|^store\.(remove|gc)'
# of objects that this tree does not hold: 039-unix.sh, 041-tcp.sh, 043-inotify.sh and 048-ptys.sh,
# unit tests
elsewhere+='|^events\.made$|^keeper\.events$'
elsewhere+='|^keeper\.(limited|line|peeked|pty|repair|repairing|shortened|smaps|vforked|waiting)$'
# of the tracker, and of what it is given once: 021-native-incremental.sh and unit tests
elsewhere+='|^checkpoint\.watch(ing|ed)$|^tracker\.|^keeper\.(opened|fetched)$'
[ "$(native_tracker)" = pagemap-scan ] && [ ! -d /sys/kernel/ckpt ] ||
	elsewhere+='|^checkpoint\.(adopted|ahead)$'
# live rounds are what the module makes possible
[ -d /sys/kernel/ckpt ] || elsewhere+='|^checkpoint\.round$'

# pids of the tool and its keeper, not of the init of the group
tools() {
	local pid

	pgrep -f "ckpt-tool checkpoint $group" || true
	for pid in $(pgrep -x ckpt-keeper); do
		[[ $(readlink "/proc/$pid/exe") != "$CKPT_REPO"/* ]] || echo "$pid"
	done
}

no_tool_left() { [ -z "$(tools)" ]; }

die_at() {	# POINT
	local rc tries

	# what is refused for a moment does not come that far
	for tries in 1 2 3; do
		rc=0
		rm -f "$reached"
		{	# without the shell's own word on the kill
			CKPT_FAULT=$1 CKPT_FAULT_REACHED=$reached "$inject_tool" checkpoint \
				$group --json >"$base/killed" 2>&1 || rc=$?
		} 2>/dev/null
		[ ! -s "$reached" ] && grep -q "try again" "$base/killed" || break
		echo "# $1, try $tries: $(cat "$base/killed")"
	done
	is "$1: reached" "$(cat "$reached" 2>/dev/null)" "$1"
	isnt "$1: the tool did not end well" $rc 0
}

die_while_keeper_at() {	# POINT
	local pid keeper=

	rm -f "$reached"
	CKPT_FAULT=$1=stop CKPT_FAULT_REACHED=$reached "$inject_tool" checkpoint $group --json \
		>"$base/killed" 2>&1 &
	pid=$!
	wait_for 60 test -s "$reached" || true
	is "$1: reached by the keeper" "$(cat "$reached" 2>/dev/null)" "$1"
	wait_for 5 keeper_stands || true
	keeper=$(stopped_keeper)
	isnt "$1: the keeper stands there" "$keeper" ""
	kill -9 $pid
	wait $pid 2>/dev/null || true
	[ -z "$keeper" ] || kill -CONT $keeper
}

stopped_keeper() {
	local pid state

	for pid in $(tools); do
		state=$(awk '/^State:/ { print $2 }' "/proc/$pid/status") || continue
		[ "$state" != T ] || echo "$pid"
	done
}

keeper_stands() { [ -n "$(stopped_keeper)" ]; }

# An instant may be later than the end: then once more, before a third of that, and so on
die_at_random() {	# NUMBER
	local before=$killed within=$total_ms tries

	for ((tries = 0; tries < 5 && killed == before; tries++)); do
		die_within "$1" "$within"
		within=$((within / 3 + 1))
	done
}

die_within() {	# NUMBER MS
	local pid rc=0 at=$((RANDOM % $2))

	"$tool" checkpoint $group --json >"$base/killed" 2>&1 &
	pid=$!
	nap "$(printf '%d.%03d' $((at / 1000)) $((at % 1000)))"
	kill -9 $pid 2>/dev/null || true
	wait $pid 2>/dev/null || rc=$?
	[ $rc != 137 ] || killed=$((killed + 1))
	survived "random instant $1 ($at ms, it ended with $rc)"
}

survived() {	# WHAT
	ok "$1: no process of the tool is left" wait_for 10 no_tool_left
	runs_on $group "$1"
}

sample() {	# COUNT: that many of what is left, drawn by the seed, in their order
	local keep=$1 i n=${#left[@]} chosen=()

	for ((i = 0; i < n; i++)); do
		[ $((RANDOM % (n - i))) -lt "$keep" ] || continue
		chosen+=("${left[i]}")
		keep=$((keep - 1))
	done
	left=("${chosen[@]}")
}

# what is left to be done, a line each; a group ends before all of it is done
left=() killed=0
for point in $(points); do
	left+=("die_at $point")
	[[ $point != keeper.* ]] || left+=("die_while_keeper_at $point")
done
at_least "fault points are found in the sources" ${#left[@]} 5
[ $points = all ] || sample $points
for ((i = 1; i <= randoms; i++)); do
	left+=("die_at_random $i")
done

start_reference $group "${small[@]}"
reference_ends $group
iterations=$(($(lines "$reference") - 1))
while [ ${#left[@]} -gt 0 ]; do
	rm -rf "${base:?}/$group"
	start_group $group "${small[@]}"
	ok "an agent runs" gets_on $group
	take $group
	total_ms=$(($(json total_ns "$said") / 1000000 + 1))
	while [ ${#left[@]} -gt 0 ] && [ "$(answers $group)" -lt $((iterations - 1)) ]; do
		[ $((${#left[@]} % 2)) = 0 ] || answer $group 1
		${left[0]}
		[[ ${left[0]} == die_at_random* ]] || survived "${left[0]}"
		left=("${left[@]:1}")
	done
	take $group
	back $group
	end_group $group
done
note "$killed of $randoms killed at a random instant before they were done"
is "each was killed at a random instant" $killed $randoms
done_testing
