#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 050-bad-input.sh: every refusal: one sentence, its exit status, nothing changed
# check: third
# timeout: 600
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/assert.sh"
. "$CKPT_REPO/tests/e2e/lib/group.sh"
. "$CKPT_REPO/tests/e2e/lib/sizes.sh"
. "$CKPT_REPO/tests/e2e/lib/story.sh"

group=input
sysfs=/sys/kernel/ckpt
# a fifth of the refusals, others every day; all of them with make e2e
RANDOM=${CKPT_SEED:-$(date +%-j)}
note "seed ${CKPT_SEED:-$(date +%-j)}"
drawn() { [ -n "${CKPT_FULL:-}" ] || [ $((RANDOM % 5)) = 0 ]; }

state() {	# all that a refusal must leave as it is
	# the lock of a name stays, and says nothing
	find "$CKPT_STORE" /run/ckpt -type f ! -path '/run/ckpt/*.lock' -printf '%p %s %T@\n' | sort
	find $sysfs/groups -mindepth 1 -maxdepth 1 | sort
	"$tool" log $group --json
	cat "$sysfs/groups/$group/roots"
}

# what it was after the last refusal; whoever changes it on purpose sets this to nothing
known=

# refused NAME STATUS PATTERN COMMAND...: the pattern is for the sentence on standard error
refused() {
	local name=$1 status=$2 pattern=$3 said rc=0 before after

	drawn || return 0
	shift 3
	before=${known:-$(state)}
	said=$("$@" 2>&1 >/dev/null) || rc=$?
	after=$(state)
	known=$after
	is "$name: exit status" $rc "$status"
	like "$name: the sentence" "$said" "$pattern"
	is "$name: it is one line" "$(wc -l <<<"$said")" 1
	not_ok "$name: it has no full stop and no capital" grep -qE '[^.]\.$|^ckpt-tool: [A-Z]' \
		<<<"$said"
	is "$name: nothing has changed" "$after" "$before"
	ok "$name: the agent is thawed and untraced" untraced $group
	note "$said"
}

# the module's door for shells
refuses_write() {	# NAME ERRNO-TEXT FILE TEXT
	local said rc=0 before after

	drawn || return 0
	before=${known:-$(state)}
	said=$( (echo "$4" >"$3") 2>&1) || rc=$?
	after=$(state)
	known=$after
	is "$1: the write fails" $rc 1
	like "$1: the reason" "$said" "$2"
	is "$1: nothing has changed" "$after" "$before"
}

start_group $group --iterations 400 --seed 5 --state-mb 4 --think-ms 100
take $group
cgroup=$(group_cgroup $group)
dir=$(group_dir $group)
mkdir "$cgroup_mount/other"
at_exit 'rmdir "$cgroup_mount/other"'

refused "a cgroup that is none" 2 'cgroup' "$tool" tag absent /no/such/cgroup
refused "a cgroup path that is a file" 2 'cgroup' "$tool" tag absent "$cgroup/cgroup.procs"
refused "a name taken twice, tag" 4 "$group.*(taken|exists)" "$tool" tag $group /other
refused "a name taken twice, run" 125 "$group.*(taken|exists)" \
	"$tool" run --name $group -- /bin/true
refused "a cgroup tagged twice" 4 'cgroup' "$tool" tag second "$cgroup"
refused "a cgroup tagged twice, dry" 4 "$cgroup is in group '$group'" \
	"$tool" tag --dry-run second "$cgroup"
refused "a cgroup that holds a group, dry" 4 "in group '$group' or holds it" \
	"$tool" tag --dry-run second "${cgroup%/*}"
ok "a dry run of a tag that is fine" "$tool" tag --dry-run second /other
refused "a name that is none" 2 'no group name' "$tool" tag 'a b' /other
refused "a name that is too long" 2 'no group name' \
	"$tool" tag "$(printf 'x%.0s' {1..64})" /other
refused "a root that is a file" 2 '/etc/passwd.*no directory' \
	"$tool" tag other /other --root /etc/passwd
refused "a root that does not exist" 2 '/no/such.*root' "$tool" tag other /other --root /no/such
refused "the root of all as a root" 2 "cannot use '/' as a root" \
	"$tool" tag other /other --root /
refused "a root inside a root" 2 "roots '/usr/bin' and '/usr' overlap" \
	"$tool" tag other /other --root /usr --root /usr/bin
refused "run with a root that is a file" 125 '/etc/passwd.*no directory' \
	"$tool" run --name other --root /etc/passwd -- /bin/true
refused "a command that does not exist, dry" 125 '/no/such' \
	"$tool" run --dry-run --name other -- /no/such
refused "a root that is a file, dry" 125 '/etc/passwd.*no directory' \
	"$tool" run --dry-run --name other --root /etc/passwd -- true
before=$(state)
ok "a dry run of what is right" "$tool" run --dry-run --name other --root /tmp -- true
is "a dry run of what is right: nothing has changed" "$(state)" "$before"
refused "a command that does not exist" 125 '/no/such' "$tool" run --name other -- /no/such
refused "a pid that does not exist" 2 'there is no process 4194303' \
	"$tool" checkpoint --pid 4194303 --name other
refused "a group that does not exist" 2 "'?absent'?" "$tool" checkpoint absent
refused "a checkpoint that does not exist" 1 '99' "$tool" verify $group@99
refused "a checkpoint id that is none" 2 'x.*names no checkpoint' "$tool" verify $group@x
long=$(printf 'x%.0s' {1..64})
refused "a checkpoint whose name is too long" 2 'no group name' "$tool" verify "$long@1"
refused "a pid that no process can have" 2 'is no pid' \
	"$tool" checkpoint --pid 4294967297 --name other
refused "a log of one checkpoint" 2 'not a checkpoint' "$tool" log $group@1
refused "an unknown verb" 2 "no verb 'frobnicate'" "$tool" frobnicate
refused "an unknown option" 2 '--frobnicate' "$tool" checkpoint $group --frobnicate
refused "a store inside a root" 4 'store.*inside root' \
	"$tool" checkpoint $group --store "$base/$group/workspace/store"
not_ok "a store inside a root: it was not made" test -e "$base/$group/workspace/store"
refused "a restore over a living tree" 4 "$group.*(lives|alive|runs)" "$tool" restore $group
refused "a store that is none" 1 '/no/such' "$tool" log $group --store /no/such

inside() { sh -c 'echo $$ >"$1/cgroup.procs"; shift; exec "$@"' sh "$dir" "$@"; }
refused "ckpt-tool inside its own group" 4 "inside group '$group'" \
	inside "$tool" checkpoint $group

mkdir "$base/read-only"
mount -t tmpfs -o ro tmpfs "$base/read-only"
at_exit 'umount "$base/read-only"'
refused "a store that is not writable" 4 'read-only.*Read-only file system' \
	"$tool" checkpoint $group --store "$base/read-only/store"

mkdir "$base/small-disk"
mount -t tmpfs -o size=2m tmpfs "$base/small-disk"
at_exit 'umount "$base/small-disk"'
refused "a full disk" 1 'small-disk/store.*full' \
	"$tool" checkpoint $group --full --store "$base/small-disk/store"
at_most "a full disk: nothing is left there" "$(du -sk "$base/small-disk" | cut -f 1)" 64
take $group
known=
ok "a full disk: the next checkpoint elsewhere verifies" "$tool" verify $group

# A task in an uninterruptible wait: it writes to a file system that is frozen.
stuck_task() {
	mkdir "$cgroup_mount/stuck"
	fsfreeze -f /scratch
	at_exit 'fsfreeze -u /scratch 2>/dev/null'
	sh -c 'echo $$ >"$1/cgroup.procs"; echo x >/scratch/stuck; exec sleep 1000' sh \
		"$cgroup_mount/stuck" &
	stuck=$!
	at_exit "kill -9 $stuck 2>/dev/null; rmdir '$cgroup_mount/stuck'"
}
stuck_task
ok "a task hangs in an uninterruptible wait" \
	wait_for 10 grep -q '^State:.D' "/proc/$stuck/status"
"$tool" tag stuck /stuck
known=
refused "a task that does not freeze" 1 "$stuck.*500 ms" \
	"$tool" checkpoint stuck --store "$work/store"
is "a task that does not freeze: its cgroup is thawed" \
	"$(cat "$cgroup_mount/stuck/cgroup.freeze")" 0
fsfreeze -u /scratch
ok "a task that does not freeze: it runs on" wait_for 10 grep -qx sleep "/proc/$stuck/comm"
"$tool" untag stuck
known=

# the module is told otherwise behind our back
sh -c 'echo $$ >"$1/cgroup.procs"; exec sleep 1000' sh "$cgroup_mount/other" &
moved=$!
at_exit "kill -9 $moved 2>/dev/null"
"$tool" tag moved /other
mkdir "$cgroup_mount/elsewhere"
at_exit 'rmdir "$cgroup_mount/elsewhere"'
echo moved >$sysfs/untag
echo "moved /elsewhere" >$sysfs/tag
take moved
is "a group that the module knows by another cgroup: its word is not taken" \
	"$(json tracker "$said")" "$(native_tracker)"
"$tool" untag moved
kill -9 $moved

# A tree with a file from outside its root, of which a restore finds that another is there
echo what it reads >"$base/outside"
mkdir "$base/looked-at"
start_program outer "$base/outer/lines" /bin/sh -c \
	'cd "$3"; exec 5<"$1"; echo 1 >>"$2"; echo 2 >>"$2"; exec sleep 1000' sh "$base/outside" \
	"$base/outer/lines" "$base/looked-at"
take outer
kill_group outer
known=
echo 1 >"$cgroup_mount/ckpt/cgroup.freeze"
refused "a cgroup above that is frozen" 4 "above /ckpt/outer.*frozen; thaw it first" \
	"$tool" restore outer
echo 0 >"$cgroup_mount/ckpt/cgroup.freeze"
mv "$base/outside" "$base/moved-away"
refused "a file that was open and is gone" 4 "needs is not there: open $base/outside" \
	"$tool" restore outer
mkdir "$base/outside"
refused "a directory in the place of a file" 4 "$base/outside is not a regular file" \
	"$tool" restore outer
rmdir "$base/outside"
mv "$base/moved-away" "$base/outside"
rmdir "$base/looked-at"
refused "a directory that is gone" 4 "$base/looked-at is open in the checkpoint" \
	"$tool" restore outer
: >"$base/looked-at"
refused "a file in the place of a directory" 4 "$base/looked-at is not what the checkpoint has" \
	"$tool" restore outer
rm "$base/looked-at"
mkdir "$base/looked-at"
ok "with all of it back it is restored" "$tool" restore outer
ok "and lives" group_runs outer
kill_group outer
"$tool" untag outer
known=

refuses_write "sysfs: a cgroup that is none" 'No such file' $sysfs/tag 'absent /no/such'
refuses_write "sysfs: a name taken twice" 'File exists' $sysfs/tag "$group /other"
refuses_write "sysfs: no name" 'Invalid argument' $sysfs/tag ''
refuses_write "sysfs: untag of nothing" 'No such' $sysfs/untag absent
refuses_write "sysfs: a root that is no directory" 'Not a directory' \
	$sysfs/groups/$group/add_root /etc/passwd

runs_on $group "after all of it"
take $group
is "after all of it: nothing was lost, the checkpoint is incremental" \
	"$(json kind "$said")" incremental
ok "after all of it: it verifies" "$tool" verify $group
done_testing
