#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 054-groups.sh: one bad group hides no other, and what run, restore and untag leave behind
# where: native
# module: no
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/assert.sh"
. "$CKPT_REPO/tests/e2e/lib/group.sh"
. "$CKPT_REPO/tests/e2e/lib/output.sh"

group=groups
state=/run/ckpt/$group
mkdir -p "$base/root"
at_exit "end_group $group"
at_exit "rm -f ${state}z.json ${state}y.json"
ours() { sed -n "s/^\($group[^ ]*\) .* /\1 /p" "$base/out"; }	# NAME LAST of our groups

start() {	# WHAT; with the signals of an interactive shell
	env --default-signal "$tool" run --name $group --root "$base/root" \
		--private-dir "$base/private" -- sh -c 'while :; do date +%N; sleep 0.1; done' \
		>"$base/run" 2>&1 &
	run_pid=$!
	ok "$1: it is started" wait_for 20 started $group
}

log=$base/private/$group/log
start "a group"
ok "a checkpoint" "$tool" checkpoint $group

# ps
ends "ps" 0 '' "$tool" ps
is "ps: the group" "$(ours)" "$group 1"
for bad in '{' '[]' '{"roots":[null]}' '{"roots":5}' ''; do
	echo "$bad" >${state}z.json
	ends "ps with the state '$bad'" 1 "${group}z" "$tool" ps
	is "ps with the state '$bad': the other is there" "$(ours)" "$group 1"
	ends "ps --json with the state '$bad'" 1 "${group}z" "$tool" ps --json
	document "ps --json with the state '$bad': both" \
		'[(g["name"], g["alive"], g["last_id"], "error" in g) for g in d
			if g["name"].startswith("groups")]' \
		"[('$group', True, 1, False), ('${group}z', None, None, True)]"
done
echo '{"roots":[]}' >"${state}z.json"
: >"$CKPT_STORE/groups/${group}z"
ends "ps with a group that the store cannot show" 1 "cannot open group '${group}z'" "$tool" ps
is "ps with a group that the store cannot show: both" "$(ours)" "$group 1
${group}z ?"
rm "$CKPT_STORE/groups/${group}z" "${state}z.json"
ends "ps with a store that is none" 1 "cannot open store '/no/such'" "$tool" ps --store /no/such
is "ps with a store that is none: the group" "$(ours)" "$group ?"
ends "ps --json with a store that is none" 1 "cannot open store" "$tool" ps --json --store /no/such
document "ps --json with a store that is none: the group" \
	'[g["last_id"] for g in d if g["name"] == "groups"]' "[None]"
ends "ps before the first checkpoint of all" 0 '' env CKPT_STORE="$base/none" "$tool" ps
is "ps before the first checkpoint of all: the group" "$(ours)" "$group 0"
mkdir "$base/foreign"
touch "$base/foreign/file"
ends "ps with another directory as the store" 1 'is not a store' \
	env CKPT_STORE="$base/foreign" "$tool" ps
# untagged while ps looks
echo '{"roots":[]}' >"${state}y.json"
CKPT_FAULT=status.named=stop CKPT_FAULT_REACHED=$base/reached "$inject_tool" ps >"$base/out" \
	2>"$base/err" &
ps_pid=$!
ok "ps knows the names" wait_for 10 test -s "$base/reached"
rm "${state}y.json"
stands_still() { grep -q '^State:[[:space:]]*T' "/proc/$ps_pid/status"; }
ok "ps stands still" wait_for 5 stands_still
kill -CONT $ps_pid
rc=0
wait $ps_pid || rc=$?
is "a group untagged meanwhile is no failure" $rc 0
is "the other is there" "$(ours)" "$group 1"

# the time that it stands still with --stop is in the log
said "$tool" checkpoint $group --stop --json
is "a checkpoint that stops it" $rc 0
frozen=$(json freeze_ns "$(cat "$base/out")")
document "of which no part is told" 'set(d["freeze_parts"].values())' '{0}'
wait $run_pid || true
said "$tool" log $group --json
document "the log has the time until it was written" "0 < d[0]['freeze_ns'] <= $frozen" True

# signals end run, not its command
for signal in TERM INT HUP; do
	kill_group $group
	start $signal
	rc=0
	kill -$signal $run_pid
	wait $run_pid || rc=$?
	is "$signal: run has ended by it" $rc $((128 + $(kill -l $signal)))
	before=$(lines "$log")
	ok "$signal: its command goes on" wait_for 10 has_lines "$log" $((before + 3))
	ends "$signal: a checkpoint" 0 '' "$tool" checkpoint $group
	said "$tool" ps
	like "$signal: ps" "$(cat "$base/out")" "$group +alive"
done
kill_group $group
wait
# what run was started with is not that of its command
ends "run with signals ignored" 0 '' env --ignore-signal=CHLD --ignore-signal=PIPE \
	--ignore-signal=HUP "$tool" run --name $group --root "$base/root" \
	--private-dir "$base/private" -- grep -h SigIgn /proc/self/status
is "run with signals ignored: not those of its command" "$(tail -n 1 "$log" | cut -f 2)" \
	0000000000000000
is "run waits for its command" "$("$tool" run --name $group --root "$base/root" \
	--private-dir "$base/private" -- sh -c 'exit 9' >/dev/null || echo $?)" 9

# what a restored tree writes that wrote into a pipe, and what untag removes
piped=${group}p
out=/run/ckpt/$piped.out
mkdir "$cgroup_mount/$piped"
alone=$(cat <<'END'
for fd in /proc/$$/fd/*; do
	[ "${fd##*/}" -le 2 ] || eval "exec ${fd##*/}>&-"
done
echo $$ >"$1"
exec perl -e '$| = 1; while (1) { print "tick\n"; select(undef, undef, undef, 0.1) }'
END
)
setsid bash -c "$alone" bash "$cgroup_mount/$piped/cgroup.procs" 2>/dev/null </dev/null |
	cat >"$base/piped" &
at_exit "rmdir '$cgroup_mount/$piped'; rm -f $out"
at_exit "end_group $piped"
ok "a tree that writes into a pipe" wait_for 10 has_lines "$base/piped" 2
ok "it is tagged" "$tool" tag $piped /$piped
ok "it is captured" "$tool" checkpoint $piped
ok "it is killed" kill_group $piped
wait
ok "it is restored" "$tool" restore $piped
ok "its output is a file of this boot" wait_for 10 has_lines $out 2
is "which is nobody else's to read" "$(stat -c %a $out)" 600
ok "untag of what lives" "$tool" untag $piped
before=$(lines $out)
ok "untag of what lives: it still writes there" wait_for 10 has_lines $out $((before + 2))
echo 1 >"$cgroup_mount/$piped/cgroup.kill"
ok "it is dead" wait_for 10 grep -q 'populated 0' "$cgroup_mount/$piped/cgroup.events"
before=$(lines $out)
ok "it is restored again" "$tool" restore $piped
ok "its output goes on behind that" wait_for 10 has_lines $out $((before + 2))
kill_group $piped
ends "untag of what is dead, dry" 0 '' "$tool" untag $piped --dry-run
ok "untag of what is dead, dry: its output stays" test -e $out
ok "untag of what is dead" "$tool" untag $piped
not_ok "untag of what is dead: its output is gone" test -e $out
ok "untag of what is dead: the lock of its name stays" test -e ${out%out}lock

# what a restore leaves that fails in a late stage
ok "a restore whose check fails" sh -c '"$1" restore "$2" --check false; test $? = 1' sh \
	"$tool" $group
said "$tool" ps
dir=$(group_dir $group)
like "it leaves the group, dead" "$(cat "$base/out")" "$group +dead"
ok "and its cgroup, empty" grep -q 'populated 0' "$dir/cgroup.events"
ok "from which it can be restored" "$tool" restore $group
done_testing
