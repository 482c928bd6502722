#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 052-output.sh: documents are UTF-8, text gives a terminal no orders, and what is lost is said
# where: native
# module: no
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/assert.sh"
. "$CKPT_REPO/tests/e2e/lib/group.sh"
. "$CKPT_REPO/tests/e2e/lib/output.sh"

group=output
root=$base/$'r\xffo\x1b[31mt'
program=$root/$'s\x1b\xff'
mkdir "$root"
cp /bin/sleep "$program"
"$tool" run --name $group --root "$root" --private-dir "$base/private" -- "$program" 1000 \
	>"$base/run" 2>&1 &
at_exit "end_group $group"
ok "a group is started" wait_for 20 started $group

# Documents: names that are no UTF-8
ends "a checkpoint" 0 '' "$tool" checkpoint $group --why $'caf\xe9' --json
document "its freeze is the sum of its parts" \
	'sum(d["freeze_parts"].values()) == d["freeze_ns"], len(d["freeze_parts"])' "(True, 6)"
document "of which these are something" \
	'[d["freeze_parts"][p + "_ns"] > 0 for p in ("stop", "collect", "memory", "release")]' \
	"[True, True, True, True]"
document "its document" 'd["name"], d["id"]' "('output', 1)"
ends "log" 0 '' "$tool" log $group --json
document "log: U+FFFD for the byte that is none" 'ascii(d[0]["why"])' "'caf\\ufffd'"
ends "show" 0 '' "$tool" show $group --json
hex=$(printf %s "$root" | od -An -v -tx1 | tr -d ' \n')
document "show: its root" 'ascii([r for r in d["roots"] if "31mt" in r][0][-10:])' \
	"'/r\\ufffdo\\x1b[31mt'"
document "show: all bytes of its root" \
	'[h for r, h in zip(d["roots"], d["roots_hex"]) if "31mt" in r][0]' "$hex"
document "show: none of a root that is text" \
	'[h for r, h in zip(d["roots"], d["roots_hex"]) if "31mt" not in r]' "[None]"
document "show: the file that is mapped, with all bytes" \
	'len(set(a["path_hex"] for t in d["tasks"] for a in t["areas"] if "path_hex" in a))' 1
document "show: the command" 'ascii([t["comm"] for t in d["tasks"]][-1])' "'s\\x1b\\ufffd'"
document "show: no other has such a member" \
	'any("path_hex" in a and "\ufffd" not in a["path"] for t in d["tasks"]
		for a in t["areas"])' False
for verb in ps "verify $group" "checkpoint $group" "checkpoint $group --dry-run" "log"; do
	ends "$verb" 0 '' "$tool" $verb --json
	document "$verb: a document" 'type(d).__name__ in ("dict", "list")' True
done
document "log without a name: the groups of the store" d "[{'name': 'output'}]"
ends "log without a name, text" 0 '' "$tool" log
is "log without a name, text: the groups" "$(cat "$base/out")" $group

# Documents of errors, and long sentences
ends "an error" 2 '' "$tool" log $'n\xff\x1b' --json
document "an error: its document" 'd["error"]["status"], ascii(d["error"]["message"][1:4])' \
	"(2, \"'n\\\\ufffd\\\\x1b'\")"
long=$(printf 'é€%.0s' {1..700})
for odd in "/$long" "/x$long" "/xx$long"; do
	ends "a long sentence" 2 'cannot use .*: File name too long' "$tool" tag $group-2 /x \
		--root "$odd"
	ok "a long sentence: whole characters" iconv -f UTF-8 -t UTF-8 "$base/err"
	ends "a long sentence, document" 2 '' "$tool" tag $group-2 /x --json --root "$odd"
	document "a long sentence, document: its ends and no lost character" \
		'[f(d["error"]["message"]) for f in (lambda m: m.startswith("cannot use"),
		lambda m: m.endswith("too long"), lambda m: "\ufffd" in m)]' \
		"[True, True, False]"
done

# Every verb has one
run=("$tool" run --name $group-2 --root "$base/root-2" --private-dir "$base/private" --json)
mkdir "$base/root-2"
at_exit "rmdir '$cgroup_mount/ckpt/$group-2' 2>/dev/null"
at_exit "end_group $group-2"
ends "run" 3 '' "${run[@]}" -- sh -c 'exit 3'
document "run: its document" d "{'name': 'output-2', 'status': 3, 'dry_run': False}"
ends "run, dry" 0 '' "${run[@]}" --dry-run -- true
document "run, dry: its document" d "{'name': 'output-2', 'status': None, 'dry_run': True}"
ends "run that fails" 125 '' "${run[@]}" -- /no/such
document "run that fails: its document" 'd["error"]["status"]' 125
ends "untag, dry" 0 '' "$tool" untag $group-2 --dry-run --json
document "untag, dry: its document" d "{'name': 'output-2', 'dry_run': True}"
ends "untag" 0 '' "$tool" untag $group-2 --json
document "untag: its document" d "{'name': 'output-2', 'dry_run': False}"
mkdir "$cgroup_mount/$group-2"
at_exit "rmdir '$cgroup_mount/$group-2'"
for dry in --dry-run ''; do
	ends "tag $dry" 0 '' "$tool" tag $group-2 /$group-2 --root "$base/root-2" --json $dry
	document "tag $dry: its document" 'd["name"], d["cgroup"], len(d["roots"]), d["dry_run"]' \
		"('output-2', '/output-2', 1, $([ -n "$dry" ] && echo True || echo False))"
done
"$tool" untag $group-2

# Text for a terminal
for verb in "show $group" "log $group" "verify $group" ps; do
	ends "$verb" 0 '' "$tool" $verb
	not_ok "$verb: no control character" has_control "$base/out"
	ok "$verb: UTF-8" iconv -f UTF-8 -t UTF-8 "$base/out"
done
said "$tool" show $group
like "a root as text" "$(cat "$base/out")" '/r\\xffo\\x1b\[31mt'
like "a command as text" "$(cat "$base/out")" '\(s\\x1b\\xff\)'
said "$tool" log $group
like "the reason in the log as text" "$(cat "$base/out")" 'caf\\xe9'
ends "an error as text" 2 "'n.x1b.2J.x0ax'" "$tool" log $'n\x1b[2J\nx'
ends "a verb that is none" 2 'no verb .*x1b' "$tool" $'\x1b[2J\n'

# What cannot be printed
lost() {	# STATUS VERB...: with a full device, a closed output and a pipe that nobody reads
	local status=$1 rc=0 err

	shift
	err=$("$tool" "$@" 2>&1 >/dev/full) || rc=$?
	is "$* >/dev/full: exit status" $rc "$status"
	like "$* >/dev/full: the sentence" "$err" \
		'^ckpt-tool: cannot write standard output: No space left on device; .* lost$'
	rc=0
	err=$("$tool" "$@" 2>&1 >&-) || rc=$?
	is "$* >&-: exit status" $rc "$status"
	like "$* >&-: the sentence" "$err" '^ckpt-tool: cannot write standard output: Bad file'
}
lost 1 log $group
lost 1 log $group --json
lost 1 show $group --json
lost 1 verify $group --json
lost 1 verify $group
lost 1 ps
lost 1 checkpoint $group --json
lost 1 checkpoint $group
lost 1 --version
lost 1 --help
lost 1 log --help
lost 125 run --name $group-2 --root "$base/root-2" --private-dir "$base/private" --json -- true
lost 2 log $'n\xff' --json
lost 1 untag $group-2 --json --dry-run
"$tool" untag $group-2
ends "nothing to print is nothing to lose" 0 '' sh -c '"$1" untag --dry-run "$2" >/dev/full' \
	sh "$tool" $group
ok "what was captured without an output is whole" "$tool" verify $group
is "all of them are in the log" "$("$tool" log $group | wc -l)" 6
ok "with no descriptor at all a checkpoint is captured, or it fails" \
	sh -c '"$1" checkpoint "$2" <&- >&- 2>&-; test $? = 1' sh "$tool" $group
ok "it is whole" "$tool" verify $group
{ sleep 0.3; rc=0; "$tool" log $group 2>"$base/err" || rc=$?; echo $rc >"$base/rc"; } | true
is "a pipe that nobody reads ends it as it ends others" "$(cat "$base/rc")" 141
{
	sleep 0.3
	rc=0
	env --ignore-signal=PIPE "$tool" log $group 2>"$base/err" || rc=$?
	echo $rc >"$base/rc"
} | true
is "with SIGPIPE ignored it is a failure" "$(cat "$base/rc")" 1
like "with SIGPIPE ignored: the sentence" "$(cat "$base/err")" 'standard output: Broken pipe'

# What the check of a restore prints is no part of the document
kill_group $group
ends "restore with a check" 0 hello "$tool" restore $group --json --check 'echo hello'
document "restore: its document" 'd["name"], [s["name"] for s in d["stages"]]' \
	"('output', ['files', 'memory', 'check'])"
kill_group $group
said "$tool" restore $group --check 'echo hello'
is "restore with a check, text: exit status" $rc 0
is "restore with a check, text: it prints where it always did" "$(head -n 1 "$base/out")" hello
kill_group $group
ends "a check that fails" 1 hello "$tool" restore $group --json --check 'echo hello; false'
document "a check that fails: its document" 'd["error"]["status"]' 1

# A restore is done though its document is lost
rc=0
err=$("$tool" restore $group --json --check 'echo hello' 2>&1 >&- <&-) || rc=$?
is "restore with a closed output: exit status" $rc 1
like "restore with a closed output: the check and the sentence" "${err//$'\n'/ }" \
	'^hello ckpt-tool: cannot write standard output: Bad file'
ok "restore with a closed output: it lives" group_runs $group
kill_group $group

# A check is waited for even if whoever started ckpt-tool waits for nobody
ends "SIGCHLD ignored" 0 '' env --ignore-signal=CHLD "$tool" restore $group --json --check true
kill_group $group
done_testing
