#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 036-periodic.sh: a periodic timer goes on, whether or not its signal waits at the stop
# where: both
# check: native
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/assert.sh"
. "$CKPT_REPO/tests/e2e/lib/group.sh"
. "$CKPT_REPO/tests/e2e/lib/story.sh"

group=periodic
file=$base/$group/ticks

ticks_on() {	# WHAT
	ok "$1: it ticks" wait_for 20 has_lines "$file" $(($(lines "$file") + 20))
	is "$1: no tick is lost" "$(grep -v '^tick$' "$file")" ""
}

locked() { awk '/^VmLck:/ { print $2 }' "/proc/$(group_pids $group | tail -n 1)/status"; }

start_program $group "$file" "$programs/periodic" "$file"
ticks_on "before"
before=$(locked)
at_least "its memory is locked" "$before" 100
for turn in 1 2 3; do
	take $group
	ticks_on "a checkpoint, $turn"
	ok "it is killed, $turn" kill_group $group
	ok "it is restored, $turn" "$tool" restore $group
	ticks_on "a restore, $turn"
	is "as much is locked, $turn" "$(locked)" "$before"
done
# a checkpoint that ends the tree needs a keeper that holds it to the last
id_before=$id
CKPT_FAULT=checkpoint.collected=stop CKPT_FAULT_REACHED=$base/reached "$inject_tool" \
	checkpoint $group --stop >"$base/said" 2>&1 &
taker=$!
ok "all is read" wait_for 20 test -s "$base/reached"
stands_still() { grep -q '^State:[[:space:]]*T' "/proc/$taker/status"; }
ok "ckpt-tool stands still" wait_for 5 stands_still
is "while it holds the tree nobody comes before it" \
	"$(cut -d ' ' -f 19 "/proc/$taker/stat")" -20
kill -9 "$(cat "/proc/$taker/task/$taker/children")"
kill -CONT $taker
rc=0
wait $taker || rc=$?
isnt "the keeper was killed: no checkpoint" $rc 0
ticks_on "after that"
take $group
is "none was stored" "$id" $((id_before + 1))
done_testing
