#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 090-one-at-a-time.sh: of two ckpt-tools on one name the second is refused, and changes nothing
# where: native
# module: no
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/assert.sh"
. "$CKPT_REPO/tests/e2e/lib/group.sh"

group=single
lock=/run/ckpt/$group.lock
at_exit "end_group $group"
mkdir -p /run/ckpt "$base/root"

refused() {	# STATUS COMMAND...
	local status=$1 what=$2 rc=0

	shift
	"$tool" "$@" >"$base/said" 2>&1 || rc=$?
	is "$what while another works on the name: exit status" $rc "$status"
	like "$what: it says why" "$(cat "$base/said")" \
		"another ckpt-tool is at work on group '$group'"
	is "$what: one sentence" "$(wc -l <"$base/said")" 1
}

"$tool" run --name $group --root "$base/root" --private-dir "$base/private" -- sleep 1000 &
ok "a group is started" wait_for 10 test -e /run/ckpt/$group.json
ok "its lock is free while it runs" wait_for 10 flock -n "$lock" true
state=$(cat /run/ckpt/$group.json)
exec 9>"$lock"
flock -n 9
refused 125 run --name $group --root "$base/root" --private-dir "$base/private" -- true
refused 4 restore $group
refused 4 checkpoint $group
refused 4 tag $group /ckpt/$group
refused 4 untag $group
is "the run state is as it was" "$(cat /run/ckpt/$group.json)" "$state"
ok "a dry run needs no lock" "$tool" checkpoint --dry-run $group
ok "nor a store" "$tool" checkpoint --dry-run $group --store "$base/none"
not_ok "which it does not make" test -e "$base/none"
not_ok "but says when there can be none" \
	"$tool" checkpoint --dry-run $group --store "$base/none/of/it"
exec 9>&-
rc=0
"$tool" tag keepers /ckpt.keeper >"$base/said" 2>&1 || rc=$?
is "the cgroup of keepers is no group: exit status" $rc 4
like "it says why" "$(cat "$base/said")" "where the keepers of checkpoints live"
depth=$cgroup_mount/ckpt/$group/cgroup.max.depth
echo 5 >"$depth"
ok "afterwards it works" "$tool" checkpoint $group
ok "and its lock is free" flock -n "$lock" true
# ckpt-tool is killed, its keeper lives on, stopped, and holds the lock
CKPT_FAULT=keeper.read=stop CKPT_FAULT_REACHED=$base/reached "$inject_tool" checkpoint $group \
	>"$base/killed" 2>&1 &
killed=$!
ok "a keeper stands still" wait_for 20 test -s "$base/reached"
keeper=$(cat "/proc/$killed/task/$killed/children")
at_exit "kill -9 $keeper 2>/dev/null"
kill -9 $killed
wait $killed || true
is "the keeper of a killed ckpt-tool has the lock" "$(flock -n "$lock" echo free || true)" ""
kill -CONT $keeper
ok "when it has ended the lock is free" wait_for 20 flock -n "$lock" true
ok "and a checkpoint is made" "$tool" checkpoint $group
kill_group $group
wait || true
# two restores: the second comes while the first builds the tree
CKPT_FAULT=restore.built=stop CKPT_FAULT_REACHED=$base/building "$inject_tool" restore $group \
	>"$base/first" 2>&1 &
first=$!
ok "a restore has built a tree" wait_for 20 test -s "$base/building"
refused 4 restore $group
refused 4 restore "$group@1"
stands_still() { grep -q '^State:[[:space:]]*T' "/proc/$first/status"; }
ok "the first one stands still" wait_for 5 stands_still
kill -CONT $first
rc=0
wait $first || rc=$?
is "it is restored, once" $rc 0
is "with the limits that its cgroup had" "$(cat "$depth")" 5
tasks=$(wc -l <"$cgroup_mount/ckpt/$group/cgroup.procs")
# untagged, its tree lives on in the cgroup that another run would take
dir=$(group_dir $group)
"$tool" untag $group
rc=0
"$tool" run --name $group --root "$base/root" --private-dir "$base/private" -- true \
	>"$base/said" 2>&1 || rc=$?
is "a run where an untagged tree lives: exit status" $rc 125
like "it says why" "$(cat "$base/said")" "cgroup /ckpt/$group has living tasks of no group"
is "nobody came to it" "$(wc -l <"$dir/cgroup.procs")" "$tasks"
not_ok "it is no group" test -e /run/ckpt/$group.json
echo 1 >"$dir/cgroup.kill"
ok "when it has ended" wait_for 10 grep -q "populated 0" "$dir/cgroup.events"
ok "the name can be used again" "$tool" run --name $group --root "$base/root" \
	--private-dir "$base/private" -- true
"$tool" untag $group

# a task is killed by somebody else while it is stopped
start_program $group "$base/victim" /bin/sh -c 'echo 1 >>"$1"; echo 2 >>"$1"
	exec sleep 1000' sh "$base/victim"
CKPT_FAULT=checkpoint.collected=stop CKPT_FAULT_REACHED=$base/collecting "$inject_tool" \
	checkpoint $group >"$base/said" 2>&1 &
victim=$!
ok "the group is stopped" wait_for 20 test -s "$base/collecting"
kill_group $group
kill -CONT $victim
rc=0
wait $victim || rc=$?
is "a task that is killed in the stop: exit status" $rc 1
like "it says so" "$(cat "$base/said")" "No such process|was killed while it was stopped"
"$tool" untag $group

# another group has come into the root that a restore would change
start_program $group "$base/$group/lines" /bin/sh -c 'echo 1 >>"$1"; echo 2 >>"$1"
	exec sleep 1000' sh "$base/$group/lines"
ok "a checkpoint, and the tree ends" "$tool" checkpoint --stop $group
"$tool" run --name newcomer --root "$base/$group" --private-dir "$base/private" -- \
	/bin/sh -c 'echo work >"$1"; exec sleep 1000' sh "$base/$group/work" &
at_exit "end_group newcomer"
ok "another group works in its root" wait_for 10 test -s "$base/$group/work"
rc=0
"$tool" restore $group >"$base/said" 2>&1 || rc=$?
is "a restore under it: exit status" $rc 4
like "it says why" "$(cat "$base/said")" "group 'newcomer' lives in $base/$group, which the"
is "its work is there" "$(cat "$base/$group/work")" work
kill_group newcomer
ok "when it has ended" "$tool" restore $group
not_ok "the root is as it was" test -e "$base/$group/work"
kill_group $group
"$tool" untag newcomer
"$tool" untag $group

# the run state of what was started cannot be written: nothing of it stays
full_run() {	# on a /run/ckpt with room for the lock and one file
	unshare -m sh -c 'mount -t tmpfs -o nr_inodes=3 none /run/ckpt && exec "$@"' sh \
		"$tool" run --name $group --root "$base/root" --private-dir "$base/private" \
		-- sleep 4747
}
rc=0
full_run >"$base/said" 2>&1 || rc=$?
is "a run whose state cannot be written: exit status" $rc 125
like "it says why" "$(cat "$base/said")" "No space left"
not_ok "the command does not run on" pgrep -f '^sleep 4747$'
not_ok "and its cgroup is gone" test -e "$cgroup_mount/ckpt/$group"
done_testing
