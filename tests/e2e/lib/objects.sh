# SPDX-License-Identifier: GPL-2.0-or-later
#
# objects.sh: programs that hold kernel objects, over killed keepers and two restores; read in (".")
# alone, it reads in what it stands on
#
# Such a program (tests/workloads) sets its objects up in every state, says "ready", waits for a
# file "go" in its directory, looks whether all is as it was, goes on to use it, says "all well".

. "${CKPT_REPO:?}/tests/e2e/lib/assert.sh"
. "$CKPT_REPO/tests/e2e/lib/group.sh"
. "$CKPT_REPO/tests/e2e/lib/sizes.sh"
. "$CKPT_REPO/tests/e2e/lib/story.sh"

# Where a checkpoint loses its keeper, what is done while the tree is dead
points=(keeper.mapped keeper.looked keeper.asked keeper.answered)
dead_once() { :; }
dead_twice() { :; }

hold_and_restore() {	# GROUP PROGRAM [ARGUMENT]...
	local group=$1 file=$base/$1/said program

	program=$(printf ' %q' "$programs/$2" "${@:3}")
	start_program "$group" "$file" sh -c "cd '$base/$group' && exec$program >'$file'"
	take_soon "$group"
	lose_keepers "$group"
	take_soon "$group"
	ok "$group: it is killed" kill_group "$group"
	dead_once "$group"
	ok "$group: it is restored" "$tool" restore "$group"
	take_soon "$group"
	ok "$group: it is killed once more" kill_group "$group"
	dead_twice "$group"
	ok "$group: it is restored once more" "$tool" restore "$group"
	touch "$base/$group/go"
	ok "$group: it says how it is" wait_for 60 grep -q well "$file"
	is "$group: nothing is missing" "$(cat "$file")" "all is set up
ready
all well"
}

# A point with a count, "keeper.repair:2", is reached for the second time
lose_keepers() {	# GROUP
	local point reached=$base/reached

	for point in "${points[@]}"; do
		rm -f "$reached"
		{	# without the shell's own word on the kill
			CKPT_FAULT=$point CKPT_FAULT_REACHED=$reached \
				"$inject_tool" checkpoint "$1" >"$base/killed" 2>&1 || true
		} 2>/dev/null
		is "$1: its keeper dies at $point" "$(cat "$reached" 2>/dev/null)" "${point%:*}"
		ok "$1: nothing traces or freezes it" wait_for 10 let_go "$1"
	done
}

# A checkpoint that must work; again where something was just between two states that can be told
take_soon() {	# GROUP
	local i out rc=1

	for ((i = 0; i < 20 && rc; i++)); do
		rc=0
		out=$("$tool" checkpoint "$1" 2>&1) || rc=$?
		[ $rc = 0 ] || [[ $out == *"try again"* ]] || break
	done
	is "$1: a checkpoint: ${out##*$'\n'}" $rc 0
}
