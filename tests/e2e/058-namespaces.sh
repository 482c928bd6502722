#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 058-namespaces.sh: trees in uts and ipc namespaces of their own come back in such, as they were
# where: both
# check: native
# timeout: 300
#
# A shell that a sandbox has given a host name takes steps, which a program counts in a System V
# segment.  What else an ipc namespace may hold is refused, all at once, and nothing is disturbed.
# A tree that is given by a pid takes its namespaces along, into another pid namespace as well.
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/objects.sh"
. "$CKPT_REPO/tests/e2e/lib/output.sh"
. "$CKPT_REPO/tests/e2e/lib/pids.sh"

host=$(uname -n) segments=$(cut -c 1-60 /proc/sysvipc/shm)

counter='
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p
segment = libc.shmget(0x434b5054, 5000, 0o1600)
count = ctypes.c_long.from_address(libc.shmat(segment, None, 0))
said = open("said", "a", buffering=1)
print("begun\nsegment", segment, file=said)
for line in sys.stdin:
    if line == "end\n":
        break
    count.value += 1
    domain, largest = open("/proc/sys/kernel/domainname"), open("/proc/sys/kernel/msgmax")
    print("step", count.value, "segment", libc.shmget(0x434b5054, 0, 0), os.uname().nodename,
          domain.read().strip(), largest.read().strip(), file=said)
    domain.close(), largest.close()
print("all well", file=said)'

# The shell stays above the program
shell='
cd "$1"
echo inner >/proc/sys/kernel/hostname
echo inner.domain >/proc/sys/kernel/domainname
echo 4444 >/proc/sys/kernel/msgmax
/usr/bin/python3 -c "$2" <>lines
uname -n >>said'

ready() {	# NAME: its directory
	mkdir -p "$base/$1"
	mkfifo "$base/$1/lines"
}

step() {	# NAME N: one more, in which all is as it was
	echo >"$base/$1/lines"
	ok "$1: step $2" wait_for 60 grep -q "^step $2 " "$base/$1/said"
	is "$1: in step $2 all is as it was" "$(grep "^step $2 " "$base/$1/said")" \
		"step $2 segment $segment inner inner.domain 4444"
}

inside() {	# PID COMMAND...: in the namespaces of that process
	nsenter -t "$1" -u -i "${@:2}"
}

first_pid() { group_pids "$1" | sort -n | head -n 1; }

ends_well() {	# NAME
	echo end >"$base/$1/lines"
	ok "$1: it ends" wait_for 60 grep -qx inner "$base/$1/said"
	is "$1: and well" "$(tail -n 2 "$base/$1/said")" "all well
inner"
	ok "$1: nobody is left" wait_for 20 group_gone "$1"
}

# In a sandbox
group=boxed
ready $group
start_program $group "$base/$group/said" unshare -u -i sh -c "$shell" sh "$base/$group" "$counter"
segment=$(sed -n 's/^segment //p' "$base/$group/said")
step $group 1
ends "doctor of it" 0 '' "$tool" doctor $group
lose_keepers $group
take $group
step $group 2
take $group
second=$id
step $group 3

# What an ipc namespace may not hold, and who is not in those of the tree
pid=$(first_pid $group)
inside "$pid" ipcmk -M 100 >/dev/null
ends "doctor of one with more in it" 4 '' "$tool" doctor $group
like "a segment that nobody has is refused" "$(cat "$base/out")" \
	"refused: .* has an ipc namespace of its own with System V segment [0-9]+ \(key"
is "and nothing else" "$(grep -c ^refused: "$base/out")" 1
other=$(inside "$pid" awk 'NR > 1 && $4 == 100 { print $2 }' /proc/sysvipc/shm)
ends "a checkpoint of it" 4 "that no process of it has attached.* ipcrm -m $other" \
	"$tool" checkpoint $group
inside "$pid" ipcrm -m "$other"
ok "$group: nothing traces or freezes it" untraced $group
step $group 4

is_back() {	# NAME
	pid=$(first_pid "$1")
	is "$1: its host name" "$(inside "$pid" uname -n)" inner
	is "$1: its segments" "$(inside "$pid" awk 'NR > 1 { print $2, $4, $7 }' \
		/proc/sysvipc/shm)" "$segment 5000 1"
	for each in uts ipc; do
		isnt "$1: its $each namespace is not ours" "$(readlink "/proc/$pid/ns/$each")" \
			"$(readlink /proc/self/ns/$each)"
	done
	is "$1: the host name here" "$(uname -n)" "$host"
	is "$1: and the segments" "$(cut -c 1-60 /proc/sysvipc/shm)" "$segments"
}

# Killed and restored, twice
ok "$group: it is killed" kill_group $group
ends "where it cannot have its settings" 4 \
	"has '4444' in its /proc/sys/kernel/msgmax, which cannot be set here" \
	unshare -m sh -c 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" &&
		exec "$2" restore boxed' sh /proc/sys/kernel "$tool"
ok "$group: nobody was made" group_gone $group
ok "$group: it is restored" "$tool" restore "$group@$second"
step $group 3
is_back $group
take $group
step $group 4
ok "$group: it is killed once more" kill_group $group
for point in restore.late restore.release; do
	not_ok "$group: a restore that fails at $point" \
		env CKPT_FAULT=$point=fail "$inject_tool" restore $group
	not_ok "$group: one that is killed there" \
		env CKPT_FAULT=$point "$inject_tool" restore $group
	ok "$group: nobody is left" wait_for 20 group_gone $group
	is "$group: and no segment here" "$(cut -c 1-60 /proc/sysvipc/shm)" "$segments"
done
ok "$group: it is restored once more" "$tool" restore $group
step $group 4
is_back $group
ends_well $group

# By a pid: where its pids are free, and where somebody has one
start_tree() {	# NAME
	ready "$1"
	at_exit "end_group $1"
	setsid bash -c 'for fd in /proc/$$/fd/*; do
			[ "${fd##*/}" -le 2 ] || eval "exec ${fd##*/}>&-"
		done
		exec unshare -u -i sh -c "$@"' bash "$shell" sh "$base/$1" "$counter" \
		</dev/null >/dev/null 2>&1 &
	root=$!
	disown
	at_exit "kill -9 $root 2>/dev/null"
	wait_for 60 has_lines "$base/$1/said" 2 || bail "$1 does not start"
	segment=$(sed -n 's/^segment //p' "$base/$1/said")
	step "$1" 1
}

for group in free taken; do
	start_tree $group
	ok "$group: a checkpoint" "$tool" checkpoint --pid $root --name $group \
		--root "$base/$group" --stop
	ok "$group: it is gone" wait_for 20 gone $root
	expected=same
	if [ $group = taken ]; then
		expected='new namespace'
		hold $root
	fi
	said "$tool" restore $group --json
	is "$group: it is restored" $rc 0
	document "$group: its pids" 'd["pids"]' "$expected"
	is_back $group
	step $group 2
	ends_well $group
done

# Of one that is in others than its parent no restore could make both
group=mixed
mkdir -p "$base/$group"
start_program $group "$base/$group/said" sh -c "unshare -u sleep 1000 & unshare -i sleep 1000 &
	unshare -n sleep 1000 & sleep 0.5; printf 'a\nb\n' >'$base/$group/said'; wait"
ends "doctor of one with several" 4 '' "$tool" doctor $group
for each in uts ipc net; do
	like "a child in another $each namespace is refused" "$(cat "$base/out")" \
		"refused: pid [0-9]+ \(sleep\) has a namespace of its own \($each\), which this"
done
done_testing
