#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 043-inotify.sh: who watches files and processes is told of what happens afterwards, and no more
# where: both
# check: native
# timeout: 300
#
# A program that watches files and directories of its root by inotifies, and processes by pidfds,
# is checkpointed, loses its keeper at each point of the reading, and is restored, twice: once its
# root was emptied in between, so that all that is watched is made anew.  Then it checks itself.
# The same with one that has not read what its inotifies have to tell: it reads that afterwards.
# There a restore dies as well, in the middle of making these events again.
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/objects.sh"

# all that is watched is made anew
dead_once() { find "$base/$1" -mindepth 1 -delete; }
hold_and_restore watchers watchers "$base/quiet"

points+=(keeper.events)
dead_twice() {
	rm -f "$base/reached"
	{	# without the shell's own word on the kill
		CKPT_FAULT=events.made CKPT_FAULT_REACHED=$base/reached \
			"$inject_tool" restore "$1" >"$base/killed" 2>&1 || true
	} 2>/dev/null
	is "$1: a restore dies at events.made" "$(cat "$base/reached")" events.made
	ok "$1: nothing of it is left" wait_for 10 group_gone "$1"
}
hold_and_restore queues event_queues "$base/queued"
done_testing
