# SPDX-License-Identifier: GPL-2.0-or-later
#
# program.sh: a program as agents run it, stopped at seeded random instants; read in (".") alone,
# it reads in what it stands on
#
# The program (tests/workloads/programs) takes steps, many things in each of them side by side, and
# keeps a journal with a running hash; its model lets it go on by some steps before each instant.
# Some checkpoints are full, some incremental, by turns; after some of both everything is killed,
# or the checkpoint itself ends it, the workspace is removed, and a restore has to bring both back.
# In the end the journal must be that of the same program in a group that nobody has ever stopped.
# The caller sets
#   group      its name
#   program    the command, called with the number of steps and the model's directory
#   each       steps that it takes in about a second
#   emulated   how many of them are left for that in a VM, if not a tenth
#   slow       how many times as long its children sleep there, if not 60
#   children   a pattern for the names of its short-lived children; half of the instants hold one
#   shared     bytes of memory that processes share, which every checkpoint reads
. "${CKPT_REPO:?}/tests/e2e/lib/assert.sh"
. "$CKPT_REPO/tests/e2e/lib/group.sh"
. "$CKPT_REPO/tests/e2e/lib/story.sh"

seed=${CKPT_SEED:-2}
instants=3 wait_ms=700 spare=6
# how long a step, and a child, may be waited for, and how old one may be that an instant is to hold
step_seconds=120 child_seconds=20 child_ms=10
[ -z "${CKPT_FULL:-}" ] || instants=50
tracker=kmod
if [ -z "${CKPT_IN_VM:-}" ]; then
	tracker=$(native_tracker)
else
	# a step takes seconds, and so does a child that sleeps
	wait_ms=1500
	step_seconds=300 child_seconds=60 child_ms=1000
fi
children= shared=0
taken=0 busy=0 caught=0 refused=0
declare -A kind_of lines_of
declare -A held=(["full"]=0 ["incremental"]=0) restored=(["full"]=0 ["incremental"]=0)
# Of each checkpoint its kind, what it is restored from afterwards, and that it stops the group.
# "first" is the first of a group that has just been started or restored, which is full; "asked"
# one with --full
turns=("first" "incremental newest stop" "first newest" "first" "incremental" "asked"
	"incremental older")

# What a script looks at when all runs again
when_restored() { :; }

start_work() {	# NAME MODEL STEPS: the program in a group of its own
	local dir=$base/$1/workspace

	mkdir -p "$dir"
	# the shell stays, so that the group does
	"$tool" run --name "$1" --root "$dir" --private-dir "$base/private" -- /bin/sh -c '
		cd "$1" && shift
		"$@" >said 2>&1 </dev/null
		echo "ended with $?" >>said
		exec sleep 1000000' sh "$dir" "${program[@]}" "$3" "$2" >"$base/$1.run" 2>&1 &
	at_exit "end_group $1"
	wait_for $step_seconds has_lines "$(journal "$1")" 1 ||
		bail "$1 does not begin: $(cat "$base/$1.run" "$dir/said" "$(journal "$1")" 2>&1)"
}

work_ended() { grep -qs '^ended with' "$base/$1/workspace/said"; }

run_program() {
	local most=$((instants + instants / 4 + spare)) start=$SECONDS

	RANDOM=$seed
	# so that a child is still there when memory has been copied and the stop comes
	export CKPT_SLOW=2
	if [ -n "${CKPT_IN_VM:-}" ]; then
		each=${emulated:-$(((each + 9) / 10))}
		CKPT_SLOW=${slow:-60}
	fi
	few=$((each / 2 + 1))
	steps=$((each * (instants + 1) + few * (most + spare)))
	note "seed $seed, $steps steps: ${program[*]##*/}"
	start_work "$group-still" - $steps
	answer $group "$each"
	start_work "$group" "$base/$group/model" $steps
	while [ $taken -lt $instants ] || { too_few && [ $taken -lt $most ]; }; do
		instant
	done
	goes_on_to_its_end
	counted $((SECONDS - start))
}

# Its end is for the time after the last instant
go_on() {	# STEPS
	[ $(($(answers "$group") + $1)) -ge $steps ] || answer "$group" "$1"
}

# Half of the instants are in the midst of a step, and where there are children hold one
too_few() {
	[ $((2 * busy)) -lt $taken ] || { [ -n "$children" ] && [ $((2 * caught)) -lt $taken ]; }
}

instant() {
	local kind back stop

	read -r kind back stop <<<"${turns[taken % ${#turns[@]}]}"
	moment
	taken=$((taken + 1))
	[ "$kind" != first ] || ids=()
	take_one "$kind" "$stop"
	ids+=("$id")
	case $back in
	newest) come_back "$id" ;;
	older) come_back "${ids[RANDOM % (${#ids[@]} - 1)]}" ;;
	esac
}

# Are there steps that it may still take?
has_work() { [ "$(lines "$(journal "$group")")" -lt "$(answers "$group")" ]; }

# A random one; while a child lives, when not half of those before held one. It has just begun, and
# is there yet when a busy machine comes to stop it. One that has taken all of its steps by then
# gets some more, when not half of the instants before were in the midst of one
moment() {
	ms=$((RANDOM % wait_ms))
	go_on $((taken < instants ? each : few))
	nap "$(printf '%d.%03d' $((ms / 1000)) $((ms % 1000)))"
	[ $((2 * busy)) -gt $taken ] || has_work || go_on $few
	[ -z "$children" ] || [ $((2 * caught)) -gt $taken ] ||
		wait_child "$group" $((child_seconds / 6)) "$children" $child_ms || {
			go_on $few
			wait_child "$group" $child_seconds "$children" $child_ms || true
		}
	not_ok "instant $((taken + 1)): $group is at work" work_ended "$group"
}

take_one() {	# TURN STOP: the checkpoint of an instant; its id in $id
	local before kind lived options=()

	[ "$1" != asked ] || options=(--full)
	[ -z "$2" ] || options+=(--stop)
	before=$(lines "$(journal "$group")")
	take_when_it_can "${options[@]}"
	lines_of[$id]="$before $(lines "$(journal "$group")")"
	kind=$(json kind "$said")
	kind_of[$id]=$kind
	held[$kind]=$((${held[$kind]} + 1))
	is "$id: the tracker is $tracker" "$(json tracker "$said")" "$tracker"
	if [ "$1" != incremental ]; then
		is "$id: it is full" "$kind" full
	else
		is "$id: it is incremental" "$kind" incremental
		[ "$tracker" = full ] || at_most "$id: memory read is at most the dirty pages" \
			"$(json memory_read "$said")" \
			$(($(json dirty_pages "$said") * 4096 + shared))
	fi
	if [ -n "$2" ]; then
		ok "$id: it has ended with it" group_gone "$group"
	else
		ok "$id: nothing traces or freezes it" let_go "$group"
	fi
	lived=$(children_in "$group@$id" "${children:-none}")
	note "$id: after $ms ms, $kind, ${lived:-no child}"
	[ -z "$lived" ] || caught=$((caught + 1))
	[ -z "$lived" ] && [ "${lines_of[$id]#* }" -ge "$(answers "$group")" ] || busy=$((busy + 1))
}

# What cannot be told for a moment is refused, and tried again; $said is its document
take_when_it_can() {	# OPTION...
	local try rc

	for try in {1..20}; do
		rc=0
		said=$("$tool" checkpoint "$group" --json "$@" 2>&1) || rc=$?
		[ $rc = 0 ] || [[ $said == *"try again"* ]] || break
		[ $rc != 0 ] || break
		refused=$((refused + 1))
		note "refused: $said"
		nap 0.05
	done
	[ $rc = 0 ] || bail "no checkpoint of $group after $try tries: $said"
	id=$(json id "$said")
}

come_back() {	# ID: to that checkpoint, when all is gone
	local out rc=0 at low high dir=$base/$group/workspace still

	still=$(journal "$group-still")
	read -r low high <<<"${lines_of[$1]}"
	# the undisturbed one is ahead, but for a moment
	ok "$1: the undisturbed run has come that far" wait_for $step_seconds has_lines "$still" \
		"$high"
	ok "$1: everything is killed" kill_group "$group"
	rm -rf "$dir" "$base/looked"
	out=$("$tool" restore "$group@$1" --json --check \
		"$CKPT_REPO/tests/e2e/lib/look.sh '$dir' '$still' '$base/looked'" 2>&1) || rc=$?
	is "$1: it is restored from this ${kind_of[$1]} one" $rc 0
	[ $rc = 0 ] || bail "restore of $group@$1: $out"
	at=$(<"$base/looked")
	at_least "$1: its journal is right, not before the checkpoint" "${at% *}" "$low"
	at_most "$1: and not after it" "${at% *}" "$high"
	restored[${kind_of[$1]}]=$((${restored[${kind_of[$1]}]} + 1))
	when_restored
}

goes_on_to_its_end() {
	local name

	answer "$group" $steps
	for name in "$group-still" "$group"; do
		ok "$name: it ends" wait_for "$end_seconds" work_ended "$name"
		is "$name: it ends well" "$(cat "$base/$name/workspace/said")" "ended with 0"
	done
	reference=$(journal "$group-still")
	like "the undisturbed run has its hash" "$(final "$reference")" '^[0-9a-f]{40,64}$'
	is "its final hash is that of the undisturbed run" "$(final "$(journal "$group")")" \
		"$(final "$reference")"
	ok "so is every step in its journal" cmp "$(journal "$group")" "$reference"
	ok "the rest of it ends" kill_group "$group"
}

counted() {	# SECONDS
	note "$taken instants in $1 s, ${held[full]} full and ${held[incremental]} incremental" \
		"restored from ${restored[full]} full and ${restored[incremental]} incremental" \
		"$busy in the midst of a step, $caught with a short-lived child" \
		"$refused refused for a moment"
	at_least "half of the instants are in the midst of a step" $((2 * busy)) $taken
	at_least "some are restored from full ones" "${restored[full]}" 1
	at_least "some are restored from incremental ones" "${restored[incremental]}" 1
	[ -z "$children" ] ||
		at_least "half of the instants hold a short-lived child" $((2 * caught)) $taken
	at_most "few are refused, for a moment" $refused $((1 + taken / 10))
}
