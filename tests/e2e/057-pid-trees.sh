#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 057-pid-trees.sh: trees given by a pid come back with their pids, or with the same elsewhere
# where: both
# check: native
# timeout: 900
#
# The tree is a family of processes that ask each other by the pids that they have noted.  It is
# restored where these are free, where somebody has one, and where somebody takes one meanwhile.
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/assert.sh"
. "$CKPT_REPO/tests/e2e/lib/group.sh"
. "$CKPT_REPO/tests/e2e/lib/story.sh"
. "$CKPT_REPO/tests/e2e/lib/output.sh"
. "$CKPT_REPO/tests/e2e/lib/pids.sh"

alone='
for fd in /proc/$$/fd/*; do
	[ "${fd##*/}" -le 2 ] || eval "exec ${fd##*/}>&-"
done
'

# A family in $base/NAME that has no group; its first process is $pid
start_family() {	# NAME [WORDS-BEFORE-IT]
	local dir=$base/$1

	rm -rf "$dir"
	mkdir -p "$dir"
	at_exit "end_group $1"
	setsid bash -c "$alone"'cd "$1"; exec '"${2:-}"' sh -c "echo \$\$ >pid; exec $2" >said' \
		bash "$dir" "$programs/family" </dev/null 2>/dev/null &
	disown
	wait_for 60 grep -q ready "$dir/said" || bail "$1 does not start"
	pid=$(cat "$dir/pid")
	at_exit "end_family $(tree_pids "$pid" | xargs)"
}

# Those numbers may be somebody else's by then
end_family() {	# PID...
	local each

	for each; do
		[ "$(readlink "/proc/$each/exe")" != "$programs/family" ] || kill -9 "$each"
	done
}

tree_pids() {	# PID: of all that is below
	local child

	echo "$1"
	for child in $(cat "/proc/$1/task/"*/children); do
		tree_pids "$child"
	done
}

by_pid() {	# NAME OPTION...: a checkpoint of the tree of $pid that must work
	local name=$1 rc=0 out

	shift
	out=$("$tool" checkpoint --pid "$pid" --name "$name" --root "$base/$name" --json "$@" \
		2>&1) || rc=$?
	is "$name: a checkpoint $*" $rc 0
	[ $rc = 0 ] || bail "checkpoint of $name: $out"
	like "$name: by comparison" "$out" '"tracker":"full"'
}

# Restored, and what it says of its pids; its first process is $root here, and as before inside
comes_back() {	# NAME PIDS
	said "$tool" restore "$1" --json
	is "$1: it is restored" $rc 0
	[ $rc = 0 ] || bail "restore of $1: $(cat "$base/out" "$base/err")"
	document "$1: its pids" 'd["pids"]' "$2"
	root=$(json root_pid "$(cat "$base/out")")
	is "$1: its root pid, from inside" "$(sed -n 's/^NSpid:.*[^0-9]//p' "/proc/$root/status")" \
		"$pid"
}

# What it says when it is asked; the others that it sees: none or some
is_well() {	# NAME PARENT STRANGERS
	touch "$base/$1/go"
	ok "$1: it says how it is" wait_for 60 grep -q well "$base/$1/said"
	like "$1: nothing is missing" "$(cat "$base/$1/said")" "^ready
parent $2
strangers $3
asleep [0-9]+
all well\$"
	ok "$1: it ends" wait_for 20 group_gone "$1"
}

some='[1-9][0-9]*' none=0
moved='; its pids were taken: it runs in a new pid namespace$'
would_move='; its pids are taken: it would run in a new pid namespace$'

# Where they are free
start_family free
by_pid free
by_pid free --stop
ok "free: it is gone" wait_for 20 gone "$pid"
nap 2
ends "free: a dry run" 0 '' "$tool" restore free --dry-run
like "free: nothing stands in the way" "$(cat "$base/out")" 'in the way of a restore$'
comes_back free same
is "free: its root pid is that of before" "$root" "$pid"
ok "free: it is a group now" "$tool" checkpoint free
is_well free "$some" "$some"
at_least "free: CLOCK_MONOTONIC stood still meanwhile" \
	"$(sed -n 's/^asleep //p' "$base/free/said")" 1500

# Where somebody has one of them
start_family taken
by_pid taken --stop
ok "taken: it is gone" wait_for 20 gone "$pid"
hold "$pid"
ends "taken: a dry run" 0 '' "$tool" restore taken --dry-run
like "taken: it says what would be" "$(cat "$base/out")" "$would_move"
said "$tool" restore taken --dry-run --json
document "taken: and as a document" 'd["pids"], d["root_pid"]' "('new namespace', None)"
ends "taken: a restore" 0 '' "$tool" restore taken
like "taken: it says what is" "$(cat "$base/out")" "$moved"
ok "taken: a checkpoint of it" "$tool" checkpoint taken
ok "taken: it is killed" kill_group taken
comes_back taken same
ok "taken: a checkpoint of it once more" "$tool" checkpoint taken
ok "taken: it is killed once more" kill_group taken
comes_back taken same
isnt "taken: its root pid is another one here" "$root" "$pid"
nsenter -t "$root" -p -m ps -eo pid=,comm= >"$base/ps"
is "taken: ps inside shows it alone" \
	"$(awk '$2 != "ps" { print ($1 == 1) $2 }' "$base/ps" | sort -u | tr '\n' ' ')" \
	"0family 1ckpt-init "
is_well taken 1 $none
ok "taken: who has its pid is not touched" kill -0 "$pid"
release

# Where somebody takes one while the tree is built
start_family raced
by_pid raced --stop
ok "raced: it is gone" wait_for 20 gone "$pid"
CKPT_FAULT=restore.spawned=stop CKPT_FAULT_REACHED=$base/reached \
	"$inject_tool" restore raced >"$base/raced.out" 2>&1 &
restore_pid=$!
ok "raced: the restore stands still" wait_for 60 test -s "$base/reached"
hold "$pid"
kill -CONT $restore_pid
rc=0
wait $restore_pid || rc=$?
is "raced: it is restored" $rc 0
like "raced: it says where" "$(cat "$base/raced.out")" "$moved"
is "raced: nothing of the first attempt is left" "$(group_pids raced | wc -l)" 6
is_well raced 1 $none
release

# Of a session whose leader has ended, who is played by a helper while it is built
for what in free taken; do
	start_family left-$what 'sh -c '\''"$@" & while [ ! -s said ]; do sleep 0.05; done'\'' sh'
	leader=$(cut -d ' ' -f 6 "/proc/$pid/stat")
	ok "left-$what: the leader of its session has ended" wait_for 20 gone "$leader"
	isnt "left-$what: that was somebody else" "$leader" "$pid"
	by_pid left-$what --stop
	ok "left-$what: it is gone" wait_for 20 gone "$pid"
	if [ $what = free ]; then
		comes_back left-free same
	else
		hold "$leader"
		comes_back left-taken 'new namespace'
	fi
	is "left-$what: its session" \
		"$(sed -n 's/^NSsid:.*[^0-9]//p' "/proc/$root/status")" "$leader"
	if [ $what = free ]; then
		is_well left-free "$some" "$some"
	else
		is_well left-taken 1 $none
	fi
	release
done

# A tree in a cgroup that was tagged, and whose session is led by who lives on
mkdir "$cgroup_mount/pidtag"
at_exit 'rmdir "$cgroup_mount/pidtag" 2>/dev/null'
start_family pidtag
for each in $(tree_pids "$pid"); do
	echo "$each" >"$cgroup_mount/pidtag/cgroup.procs"
done
ok "pidtag: it is tagged" "$tool" tag pidtag /pidtag --root "$base/pidtag"
ok "pidtag: a checkpoint" "$tool" checkpoint pidtag --stop
ok "pidtag: it is gone" wait_for 20 gone "$pid"
hold "$pid"
comes_back pidtag 'new namespace'
is "pidtag: it is where it was" "$(group_cgroup pidtag)" /pidtag
ok "pidtag: a checkpoint once more" "$tool" checkpoint pidtag
is_well pidtag 1 $none
release

# What is no tree, or cannot be had here
start_family refused
ends "a thread" 4 "is a thread of process $pid; name that" \
	"$tool" checkpoint --pid "$(ls "/proc/$pid/task" | tail -n 1)" --name refused --dry-run
ends "pid 1" 4 'is ckpt-tool itself' "$tool" checkpoint --pid 1 --name refused
ends "the caller" 4 'is ckpt-tool itself' "$tool" checkpoint --pid $$ --name refused
# the number is that of the first pid namespace, in which they are
if [ "$(readlink /proc/self/ns/pid)" = 'pid:[4026531836]' ]; then
	ends "a thread of the kernel" 4 'is a thread of the kernel' \
		"$tool" checkpoint --pid "$(pgrep -ox kthreadd)" --name refused
else
	echo "# a thread of the kernel is left out: this pid namespace has none"
fi
setsid bash -c "$alone"'exec unshare -pf --mount-proc --kill-child sleep 1000' </dev/null \
	>/dev/null 2>&1 &
unshared=$!
disown
at_exit "kill -9 $unshared 2>/dev/null"
inner() { cat "/proc/$unshared/task/$unshared/children"; }
ok "another pid namespace" wait_for 20 eval '[ -n "$(inner)" ]'
ends "its maker" 4 'has a namespace of its own \(pid, for its children\)' \
	"$tool" checkpoint --pid $unshared --name refused
ends "its init" 4 'is the init of its pid namespace' \
	"$tool" checkpoint --pid "$(inner | tr -d ' ')" --name refused
by_pid refused --stop
ok "refused: it is gone" wait_for 20 gone "$pid"
echo 301 >"$base/pid_max"
ends "where no pid is as high" 4 'needs pids up to [0-9]+; raise kernel.pid_max, which is 301' \
	unshare -m sh -c 'mount --bind "$1" /proc/sys/kernel/pid_max; exec "$2" restore refused' \
	sh "$base/pid_max" "$tool"
hold "$pid"
ends "there, and it is taken as well" 4 'raise kernel.pid_max' \
	unshare -m sh -c 'mount --bind "$1" /proc/sys/kernel/pid_max; exec "$2" restore refused' \
	sh "$base/pid_max" "$tool"
ok "refused: nobody was made" group_gone refused
comes_back refused 'new namespace'
ends "a name that is taken" 4 "group 'refused' is taken and alive; capture it without --pid" \
	"$tool" checkpoint --pid $unshared --name refused
is_well refused 1 $none
release
done_testing
