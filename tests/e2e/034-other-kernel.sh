#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 034-other-kernel.sh: an agent goes on under another kernel, whose vdso is another, and then
# under the first again, with nothing lost and its clocks right
# boot-kernels: 6.1 6.12 6.1
# check: third
# timeout: 600
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/assert.sh"
. "$CKPT_REPO/tests/e2e/lib/group.sh"
. "$CKPT_REPO/tests/e2e/lib/sizes.sh"
. "$CKPT_REPO/tests/e2e/lib/story.sh"

group=moved
dir=$base/$group
file=$(journal $group)
clock=$dir/probes/clock

# The agent, a process that writes down its clocks, and two that wait until they are asked
start() {
	mkdir -p "$dir"/{probes,second,third} "$dir/model"
	populate "$dir/workspace"
	"$tool" run --name $group --root "$dir/workspace" --root "$dir/probes" \
		--root "$dir/second" --root "$dir/third" --private-dir "$base/private" -- \
		/bin/sh -c '
			"$1/clock_probe" "$2/probes/clock" 100 &
			for which in second third; do
				(cd "$2/$which" && exec "$1/vdso_calls" 3000 >said) &
			done
			shift 2
			exec "$@"' sh "$programs" "$dir" \
		"$CKPT_REPO/tests/workloads/coding_agent.py" --workspace "$dir/workspace" \
		--model "$dir/model" "${small[@]}" >"$base/$group.run" 2>&1 &
	run_pid=$!
	wait_for 60 group_runs $group ||
		bail "the group does not start: $(cat "$base/$group.run")"
}

# So many lines in the journal: the agent waits for its model then
works_to() {	# WHAT LINES
	answer $group $(($2 - $(answers $group)))
	ok "$1: the agent works" wait_for "$end_seconds" has_lines "$file" "$2"
}

restored() {	# WHAT
	local rc=0 out

	rm -rf "$dir/workspace"
	out=$("$tool" restore $group --json 2>&1) || rc=$?
	is "$1: it is restored" $rc 0
	[ $rc = 0 ] || bail "restore: $out"
	ok "$1: its clock goes on" wait_for 60 has_lines "$clock" $(($(lines "$clock") + 10))
	not_ok "$1: and not back" grep -q backwards "$clock"
	is "$1: nor does it leap" "$(awk 'NR > 1 && $1 - last > 60e9; { last = $1 }' "$clock")" ""
}

# Every process has the code of its first vdso where it was, and that of this kernel elsewhere
vdso_elsewhere() {	# WHAT COUNT: areas of code that belong to nothing
	local pid pids bad=

	pids=$(group_pids $group)
	[ -n "$pids" ] || bad="nobody is there"
	for pid in $pids; do
		[ "$(grep -c '\[vdso\]$' "/proc/$pid/maps")" = 1 ] &&
			[ "$(grep -c ' r-xp 00000000 00:00 0 *$' "/proc/$pid/maps")" = "$2" ] ||
			bad+="$pid: $(cat "/proc/$pid/maps")"
	done
	is "$1: its vdso is in the place of the old one, and elsewhere" "$bad" ""
}

# One of those that wait compares its clocks with the kernel's, many times
asked() {	# WHICH
	: >"$dir/$1/go"
	ok "$1: every answer of the vdso is that of the kernel" \
		wait_for "$end_seconds" grep -q "all well" "$dir/$1/said"
	is "$1: nothing else is said" "$(<"$dir/$1/said")" $'ready\nall well'
}

case $CKPT_BOOT in
1)
	at_exit "end_group $group"
	start_reference $group "${small[@]}"
	start
	works_to "before" 4
	take $group
	is "before: both wait" "$(cat "$dir"/{second,third}/said | xargs)" "ready ready"
	reference_ends $group
	ok "before: it is killed" kill_group $group
	uname -r >"$base/first"
	;;
2)
	at_exit "end_group $group"
	isnt "this is another kernel" "$(uname -r)" "$(<"$base/first")"
	restored "another"
	vdso_elsewhere "another" 1
	asked second
	take $group
	works_to "another" 8
	take $group
	ok "another: it is killed" kill_group $group
	;;
3)
	at_exit "end_group $group"
	is "this is the first kernel" "$(uname -r)" "$(<"$base/first")"
	restored "the first again"
	vdso_elsewhere "the first again" 2
	asked third
	reference=$base/$group-reference/workspace/journal
	ends_like_reference $group "the first again"
	;;
esac
done_testing
