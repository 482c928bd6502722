# SPDX-License-Identifier: GPL-2.0-or-later
#
# story.sh: what the smaller stories have in common; read in (".") after sizes.sh
end_seconds=${CKPT_END_SECONDS:-300}

# One undisturbed run per script; its journal is $reference once it has ended
reference_ends() {	# NAME [JOURNAL]
	wait "$reference_pid" || true
	reference=${2:-$base/$1-reference/workspace/journal}
	like "the undisturbed run has ended with its hash" "$(final "$reference")" '^[0-9a-f]{64}$'
}

# take NAME OPTION...: a checkpoint that must work; its document in $said, its id in $id
take() {
	local name=$1 rc=0

	shift
	said=$("$tool" checkpoint "$name" --json "$@") || rc=$?
	is "$name: a checkpoint $*" $rc 0
	[ $rc = 0 ] || bail "checkpoint of $name: $said"
	id=$(json id "$said")
}

# back NAME[@ID] OPTION...: kill the tree, delete the workspace, restore, wait for the
# end; nothing may be lost
back() {
	local name=${1%@*} which=$1 rc=0 out

	shift
	ok "$which: the tree is killed" kill_group "$name"
	rm -rf "$base/$name/workspace"
	out=$("$tool" restore "$which" --json "$@" 2>&1) || rc=$?
	is "$which: it is restored $*" $rc 0
	[ $rc = 0 ] || bail "restore $which: $out"
	ends_like_reference "$name" "$which"
}

ends_like_reference() {	# NAME WHAT
	local file

	file=$(journal "$1")
	answer "$1" 1000
	ok "$2: the agent ends" wait_for "$end_seconds" ended "$file"
	same_journal "$2: its journal and final hash are those of the undisturbed run" "$file"
	ok "$2: the rest of the tree ends" kill_group "$1"
}

# A difference is shown, in the journals and in what lies beside them
same_journal() {	# NAME FILE
	local rc=0

	cmp -s "$2" "$reference" || rc=1
	case_result $rc "$1" "$([ $rc = 0 ] || differences "$2")"
}

differences() {	# JOURNAL
	diff "$1" "$reference" | head -n 12 || true
	diff "$base/private/$group/log" "$base/$group-reference/out" || true
	diff <(listing "${1%/*}") <(listing "${reference%/*}") | head -n 40 || true
}

runs_on() {	# NAME WHAT: untraced, thawed, not standing still
	ok "$2: nothing traces or freezes the tree" wait_for 10 untraced "$1"
	ok "$2: the tree runs" runs "$1"
}
