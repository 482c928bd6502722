#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 080-kill-restore.sh: kill -9 of ckpt-tool in a restore leaves the old files or the new ones
# where: native
# module: no
# timeout: 600
#
# A restore dies at every one of its fault points. No task of the tree may be left, and once
# the next restore has looked after what it finds, the workspace and the journal, which is
# outside of it, are as they were before or as in the checkpoint, nothing between. That next
# restore is one whose check fails.
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/assert.sh"
. "$CKPT_REPO/tests/e2e/lib/group.sh"
. "$CKPT_REPO/tests/e2e/lib/sizes.sh"
. "$CKPT_REPO/tests/e2e/lib/story.sh"

group=rescue
workspace=$base/$group/workspace
reached=$base/reached

journal() { echo "$base/$1/journal"; }

points() {
	grep -rhoE 'ckpt_fault\("(restore|fs)\.[a-z.-]+"\)' "$CKPT_REPO/tools/libckpt" |
		cut -d '"' -f 2 | sort -u | grep -vxE 'restore\.(flip|ids)'
}

restore_at() {	# POINT CHECK; the exit status in $rc
	rm -f "$reached"
	{	# without the shell's own word on the kill
		CKPT_FAULT=$1 CKPT_FAULT_REACHED=$reached "$inject_tool" restore $group \
			--check "$2" >"$base/killed" 2>&1 || rc=$?
	} 2>/dev/null
}

look_and_fail=". $CKPT_REPO/tests/e2e/lib/tree.sh; tree $workspace >$base/looked; false"

mkdir -p "$base/$group-reference"
start_reference $group "${small[@]}" --journal "$(journal $group-reference)"
start_group $group "${small[@]}" --journal "$(journal $group)"
ok "the agent gets on" gets_on $group
take $group
ok "the agent gets on" gets_on $group
reference_ends $group "$(journal $group-reference)"
ok "the tree is killed" kill_group $group
rm -f "$workspace/program"
echo more >"$workspace/notes/more"
cp -a "$workspace" "$base/saved"
cp -a "$(journal $group)" "$base/saved-journal"
old=$(tree "$workspace")
old_journal=$(cksum <"$(journal $group)")

rc=0
"$tool" restore $group --check "$look_and_fail" >"$base/failed" 2>&1 || rc=$?
is "a restore whose check fails: exit status" $rc 1
new=$(cat "$base/looked")
new_journal=$(cksum <"$(journal $group)")
isnt "a restore whose check fails: the journal is another as well" "$new_journal" "$old_journal"
isnt "the check sees the files of the checkpoint" "$new" "$old"
is "a restore whose check fails: the files stay, they are verified" "$(tree "$workspace")" \
	"$new"
ok "a restore whose check fails: no task is left" group_gone $group
beside=$(ls -A "$base/$group")

age() {	# put the workspace and the journal back to what they were before any restore
	kill_group $group
	rm -rf "$workspace"
	cp -a "$base/saved" "$workspace"
	cp -a "$base/saved-journal" "$(journal $group)"
}

at_least "fault points are found in the sources" "$(points | wc -l)" 5
for point in $(points); do
	age
	rc=0
	# what was staged and not decided is undone by the next restore
	[ "$point" != fs.undo ] || restore_at fs.staged true
	restore_at "$point" true
	is "$point: reached" "$(cat "$reached" 2>/dev/null)" "$point"
	isnt "$point: the tool did not end well" $rc 0
	ok "$point: no task is left" wait_for 10 group_gone $group
	"$tool" restore $group --check false >"$base/failed" 2>&1 || true
	ok "$point: no task is left after the next restore" wait_for 10 group_gone $group
	like "$point: the files are the old or the new ones" "$(tree "$workspace")" \
		"^($old|$new)$"
	wanted=$old_journal
	[ "$(tree "$workspace")" = "$old" ] || wanted=$new_journal
	is "$point: and so is the journal" "$(cksum <"$(journal $group)")" "$wanted"
	is "$point: nothing is left beside the workspace" \
		"$(ls -A "$base/$group")" "$beside"
done
# whoever starts something in the roots ends the interrupted restore first
age
restore_at fs.committed true
is "run after an interruption: it was decided" "$(cat "$reached" 2>/dev/null)" fs.committed
sleep 1000 &
sleeper=$!
at_exit "kill -9 $sleeper 2>/dev/null"
rc=0
said=$("$tool" checkpoint --pid $sleeper --name sleeper --root "$workspace" 2>&1) || rc=$?
is "a checkpoint of a tree that was started meanwhile: exit status" $rc 4
like "a checkpoint of a tree that was started meanwhile: the sentence" "$said" \
	"root $workspace was interrupted half way.*ckpt-tool restore"
is "a checkpoint of a tree that was started meanwhile: the files stay" "$(tree "$workspace")" \
	"$old"
at_exit "end_group other"
ok "run after an interruption" "$tool" run --name other --root "$workspace" \
	--private-dir "$base/private" -- /bin/true
is "run after an interruption: the restore was finished first" "$(tree "$workspace")" "$new"
back $group
done_testing
