# SPDX-License-Identifier: GPL-2.0-or-later
#
# group.sh: start, watch, kill and compare groups, read in (".") after assert.sh
#
# Everything a test makes lies below $base: on the scratch disk in a VM, in the test's own
# folder natively.  No helper here starts a program in a loop: that is slow when emulated.
. "$CKPT_REPO/tests/e2e/lib/tree.sh"
if [ -n "${CKPT_IN_VM:-}" ]; then base=/scratch; else base=$work; fi
tool=${CKPT_TOOL:-$CKPT_REPO/build/ckpt-tool}
inject_tool=${CKPT_INJECT_TOOL:-$CKPT_REPO/build/inject/ckpt-tool}
programs=$CKPT_REPO/build/workloads
export CKPT_STORE=$base/store
cgroup_mount=$(awk '$9 == "cgroup2" || $(NF - 2) == "cgroup2" { print $5; exit }' \
	/proc/self/mountinfo)
nap_fd=
exec {nap_fd}<> <(:)

# The tracker that ckpt-tool chooses without the module
native_tracker() {
	local major minor

	IFS=. read -r major minor _ < <(uname -r)
	if [ $((major * 1000 + ${minor%%[!0-9]*})) -ge 6007 ]; then
		echo pagemap-scan
	else
		echo full
	fi
}

nap() { read -r -t "$1" -u "$nap_fd" _ || true; }	# SECONDS, without a process

json() {	# KEY DOCUMENT: the value of the first such key in a flat document
	local value

	[[ $2 =~ \"$1\":\ ?(\"[^\"]*\"|[^]\",} ]+) ]] || return 1
	value=${BASH_REMATCH[1]#\"}
	value=${value//\\\//\/}
	echo "${value%\"}"
}

lines() { [ -e "$1" ] && wc -l <"$1" || echo 0; }

has_lines() { [ "$(lines "$1")" -ge "$2" ]; }

# The agent and its two probes, in the group NAME; the agent waits for answers
start_group() {	# NAME OPTION-OF-THE-AGENT...
	local name=$1 dir=$base/$1

	shift
	mkdir -p "$dir/probes" "$dir/model"
	populate "$dir/workspace"
	"$tool" run --name "$name" --root "$dir/workspace" --root "$dir/probes" \
		--private-dir "$base/private" -- /bin/sh -c '
			"$1/spinner" "$2/spinner" 500 "$3" &
			"$1/clock_probe" "$2/clock" 100 &
			shift 3
			exec "$@"' sh "$programs" "$dir/probes" "${CKPT_SPIN_US:-50}" \
		"$CKPT_REPO/tests/workloads/coding_agent.py" --workspace "$dir/workspace" \
		--model "$dir/model" "$@" >"$base/$name.run" 2>&1 &
	run_pid=$!
	at_exit "end_group $name"
	wait_for 60 group_runs "$name" ||
		bail "the group $name does not start: $(cat "$base/$name.run")"
}

# Another program as a group, whose root is $base/NAME; until it has written two lines
start_program() {	# NAME FILE COMMAND...
	local name=$1 file=$2

	shift 2
	mkdir -p "$base/$name"
	"$tool" run --name "$name" --root "$base/$name" --private-dir "$base/private" -- "$@" \
		>"$base/$name.run" 2>&1 &
	run_pid=$!
	at_exit "end_group $name"
	wait_for 60 has_lines "$file" 2 ||
		bail "the group $name does not start: $(cat "$base/$name.run")"
}

# What agents find in a workspace and leave alone: fifty directories
populate() {	# DIR
	local i

	for ((i = 0; i < 50; i++)); do
		mkdir -p "$1/vendor/lib$i/src"
		echo "library $i" >"$1/vendor/lib$i/README"
		echo "int lib$i;" >"$1/vendor/lib$i/src/lib.c"
	done
}

answers() { [ -e "$base/$1/answers" ] && cat "$base/$1/answers" || echo 0; }

# answer NAME COUNT: the agent's model answers so many times more
answer() {
	local i n

	n=$(answers "$1")
	mkdir -p "$base/$1/model"
	echo $((n + $2)) >"$base/$1/answers"
	for ((i = n + 1; i <= n + $2; i++)); do
		: >"$base/$1/model/$i"
	done
}

# The same work outside any group: what an undisturbed run leaves
start_reference() {	# NAME OPTION-OF-THE-AGENT...; its pid is $reference_pid
	local dir=$base/$1-reference

	shift
	mkdir -p "$dir/tmp"
	populate "$dir/workspace"
	TMPDIR=$dir/tmp "$CKPT_REPO/tests/workloads/coding_agent.py" \
		--workspace "$dir/workspace" "$@" >"$dir/out" 2>&1 &
	reference_pid=$!
	at_exit "kill -9 $reference_pid 2>/dev/null"
}

journal() { echo "$base/$1/workspace/journal"; }

final() { sed -n 's/^final //p' "$1" 2>/dev/null; }

ended() { grep -qE '^(final|broken)' "$1"; }

group_cgroup() { json cgroup "$(<"/run/ckpt/$1.json")"; }

# Of a group that is untagged there is none: never the root of the hierarchy
group_dir() {
	local cgroup

	cgroup=$(group_cgroup "$1") && [[ $cgroup == /?* ]] && echo "$cgroup_mount$cgroup"
}

group_runs() { [ -e "/run/ckpt/$1.json" ] && [ -n "$(group_pids "$1")" ]; }

group_gone() { [ -z "$(group_pids "$1")" ]; }

group_pids() {	# NAME: pids of all its processes
	local dir file

	dir=$(group_dir "$1" 2>/dev/null) && [ -d "$dir" ] || return 0
	while read -r file; do
		cat "$file" 2>/dev/null || true
	done < <(find "$dir" -name cgroup.procs)
}

# Somebody is in its cgroup; one who has all but ended is there as well, and has no pid any more
group_populated() {
	local dir

	dir=$(group_dir "$1" 2>/dev/null) && grep -qs "populated 1" "$dir/cgroup.events"
}

kill_group() {	# NAME: kill -9 of every process, until none is left
	local pids

	for _ in {1..200}; do
		pids=$(group_pids "$1")
		[ -n "$pids" ] || group_populated "$1" || return 0
		[ -z "$pids" ] || kill -9 $pids 2>/dev/null || true
		sleep 0.05
	done
	return 1
}

end_group() {	# NAME: leave nothing of it, whatever happened
	[ -e "/run/ckpt/$1.json" ] || return 0
	local dir

	dir=$(group_dir "$1")
	[ ! -e "$dir/cgroup.freeze" ] || echo 0 >"$dir/cgroup.freeze"
	kill_group "$1"
	"$tool" untag "$1" >/dev/null 2>&1
	[ ! -d "$dir" ] || find "$dir" -depth -type d -exec rmdir {} + 2>/dev/null
	rm -f "/run/ckpt/$1.json"
}

# wait_child NAME SECONDS PATTERN [MS]: until such a process lives, or one that is not older than
# that; its name in $child
wait_child() {
	local end=$((SECONDS + $2)) dir pid

	dir=$(group_dir "$1")
	while [ $SECONDS -lt $end ]; do
		while read -r pid; do
			{ read -r child <"/proc/$pid/comm"; } 2>/dev/null || continue
			[[ $child =~ ^($3)$ ]] || continue
			[ -z "${4:-}" ] || younger "$pid" "$4" || continue
			return 0
		done <"$dir/cgroup.procs"
		nap 0.003
	done
	child=
	return 1
}

younger() {	# PID MS: it has begun since; both clocks count hundredths of a second
	local stat up

	{ read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
	read -ra stat <<<"${stat##*) }"
	read -r up _ </proc/uptime
	[ $((${up/./} - ${stat[19]})) -le $(($2 / 10)) ]
}

# Short-lived ones that a checkpoint holds: how many of each name
children_in() {	# NAME@ID PATTERN
	"$tool" show "$1" | sed -nE "/zombie/d; s/^ *task [0-9]+ \\(($2)\\).*/\\1/p" | sort |
		uniq -c | xargs
}

# group_names NAME: "pid in its own namespace, command" of the processes that stay
group_names() {
	local pid ns comm

	for pid in $(group_pids "$1"); do
		ns=$(sed -n 's/^NSpid:.*[^0-9]//p' "/proc/$pid/status" 2>/dev/null) || continue
		comm=$(cat "/proc/$pid/comm" 2>/dev/null) || continue
		[[ ! $comm =~ ^(coding_agent.py|spinner|clock_probe|sh)$ ]] || echo "$ns $comm"
	done | sort -n
}

untraced() {	# NAME: it lives, no thread has a tracer, nothing is frozen or stopped
	no_status "$1" '^TracerPid:.*[1-9]|^State:.*[tT] '
}

let_go() {	# GROUP: untraced, but some jobs may be stopped
	no_status "$1" '^TracerPid:.*[1-9]'
}

# no_status NAME PATTERN: it lives, is not frozen, and no thread of it has such a line
no_status() {
	local pids pid dir

	dir=$(group_dir "$1") && pids=$(group_pids "$1") && [ -n "$pids" ] || return 1
	[ "$(<"$dir/cgroup.freeze")" = 0 ] || return 1
	for pid in $pids; do
		! grep -Es "$2" "/proc/$pid/task/"*/status || return 1
	done
}

gets_on() {	# NAME: one more answer, one more line in its journal
	local before

	before=$(lines "$(journal "$1")")
	answer "$1" 1
	ended "$(journal "$1")" || wait_for 120 has_lines "$(journal "$1")" $((before + 1))
}

runs() {	# NAME: time passes in it
	local clock=$base/$1/probes/clock

	wait_for 20 has_lines "$clock" $(($(lines "$clock") + 2))
}

largest_gap() {	# FILE FIRST_LINE: the longest gap that the spinner saw since, in ns
	tail -n "+$2" "$1" | awk '$2 > most { most = $2 } END { printf "%d\n", most }'
}
