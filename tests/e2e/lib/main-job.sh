# SPDX-License-Identifier: GPL-2.0-or-later
#
# main-job.sh: tag, track, checkpoint, kill, restore, go on; read in (".")
#
# The one body of the demo and of its tests: each step is told with say, and what must hold
# there is a case of assert.sh. What is not asserted is not claimed. The caller sets
#   tracker    kmod, pagemap-scan or full: the one that ckpt-tool must choose
#   agent      options of the agent
#   child_answers  iterations that an instant with a live child may take
#   slack_ns   what scheduling may add to the freeze as the spinner sees it
#   wait_ms    upper limit of the random wait before a checkpoint
group=demo
seed=${CKPT_SEED:-2}
restores=0 quiet= gaps=0 freezes=0
declare -A lines_of	# id: lines of the journal before and after that checkpoint
end_seconds=${CKPT_END_SECONDS:-400}
# Before each checkpoint its kind of instant, "child" once they are used up.  Four, the newest of
# them the quiet one, are what make check has time for in a VM.
checkpoints=8 kinds=(any child quiet child any child any child)
[ -z "${CKPT_IN_VM:-}" ] || [ -n "${CKPT_FULL:-}${CKPT_DEMO:-}" ] ||
	checkpoints=4 kinds=(any child child quiet)

say() { printf '%s\n' "" "$@" | sed "s/^/$prefix/;s/ *$//"; }

row() { printf "$prefix"'%3s %-7s %-11s %7s %5s %10s %10s %10s %9s %9s %9s  %s\n' "$@"; }

run_main_job() {
	RANDOM=$seed
	step_start
	step_checkpoints
	step_kill
	step_restore newest "$newest"
	[ "$quiet" = "$newest" ] || step_restore older "$quiet"
	remember
}

run_second_boot() {
	. "$base/remembered"
	at_exit "end_group $group"
	say "a second boot of the machine, $(uptime_s) s old; the agent's clock stood at $clock_s s"
	step_restore "in a second boot" "$early"
	step_clock
}

uptime_s() { local up _; read -r up _ </proc/uptime; echo "${up%.*}"; }

step_start() {
	say "1. a group with a workspace: ckpt-tool run --name $group --root DIR -- COMMAND"
	start_reference $group "${agent[@]}"
	answer $group 2
	start_group $group "${agent[@]}"
	ok "the agent runs in a group" group_runs $group
	if [ "$tracker" = kmod ]; then
		local dir=/sys/kernel/ckpt/groups/$group

		like "the module tracks its cgroup" "$(<$dir/cgroup)" "$(group_cgroup $group)"
		ok "its workspace is a root" grep -qx "$base/$group/workspace" $dir/roots
		at_least "it has three roots, one of them its own TMPDIR" "$(lines $dir/roots)" 3
		say "/sys/kernel/ckpt/groups/$group: $(cd $dir && for f in tasks epoch \
			dirty_pages changed_inodes lost state; do printf '%s %s  ' $f \
			"$(<$f)"; done)"
	fi
	say "2. the agent edits, compiles, tests and remembers:" \
		"   coding_agent.py ${agent[*]}"
	ok "it gets on" wait_for 200 has_lines "$(journal $group)" 1
}

# Checkpoints at random instants, half of them while a compiler or a test lives, which show
# tells afterwards. One is taken while the agent waits for its model, so that what it must
# bring back can be told from outside: the files are the same before and after it.
step_checkpoints() {
	local taken=0 with_child=0 kind

	say "3. one full and $((checkpoints - 1)) or more incremental checkpoints" \
		"   at random instants (seed $seed): ckpt-tool checkpoint $group"
	row id tracker kind pages files read raw stored freeze inside total "alive in it"
	while [ $taken -lt $checkpoints ] ||
		{ [ $((2 * with_child)) -lt $taken ] && [ $taken -lt 14 ]; }; do
		kind=${kinds[taken]:-child}
		instant_$kind
		taken=$((taken + 1))
		checkpoint $taken $kind
		[ -z "$child" ] || with_child=$((with_child + 1))
		[ $taken != 2 ] || early=$id
		[ $kind != quiet ] ||
			quiet=$id quiet_lines=$lines_after quiet_tree=$tree_after
	done
	newest=$id
	clock_s=$(awk 'END { print int($1 / 1e9) }' "$base/$group/probes/clock")
	at_least "half of them hold a live compiler or test" $((2 * with_child)) $taken
	# a single thread may be stopped late and let go early; all together must show
	at_least "from inside at least half of all freezes was seen" "$gaps" $((freezes / 2))
	is "one of them was taken while nothing changed" "$tree_before" "$quiet_tree"
}

random_nap() { nap "$(printf '0.%03d' $((RANDOM % wait_ms)))"; }

instant_any() {
	answer $group 1
	random_nap
}

instant_child() {
	local patterns=('gcc|cc1' program 'make|gcc' program)

	answer $group "$child_answers"
	random_nap
	wait_child $group 5 "${patterns[RANDOM % 4]}" || {
		answer $group 1
		wait_child $group 60 'gcc|cc1|program' || true
	}
	isnt "a compiler or a test lives" "$child" ""
}

instant_quiet() {
	ok "the agent waits for its model" \
		wait_for 200 has_lines "$(journal $group)" "$(answers $group)"
	tree_before=$(tree "$base/$group/workspace")
}

checkpoint() {	# NUMBER KIND-OF-INSTANT: $id, and the figures of the checkpoint in $said
	local probe=$base/$group/probes/spinner rc=0 seen gap lines_before kind freeze watch

	seen=$(($(lines "$probe") + 1))
	lines_before=$(lines "$(journal $group)")
	said=$("$tool" checkpoint $group --why "$2" --json) || rc=$?
	[ $rc = 0 ] || bail "checkpoint $1 ended with $rc: $said"
	lines_after=$(lines "$(journal $group)")
	[ "$2" != quiet ] || tree_after=$(tree "$base/$group/workspace")
	id=$(json id "$said")
	child=$("$tool" show "$group@$id" | sed -nE \
		'/zombie/d; s/^ *task [0-9]+ \((gcc|cc1|as|ld|collect2|make|program)\).*/\1/p')
	child=${child//$'\n'/ }
	kind=$(json kind "$said")
	nap 0.3	# for the spinner's line
	gap=$(largest_gap "$probe" "$seen")
	# a first checkpoint may have two stops: the longer one
	freeze=$(json freeze_ns "$said") watch=$(json watch_ns "$said")
	[ "$watch" -le "$freeze" ] || freeze=$watch
	row "$id" "$(json tracker "$said")" "$kind" "$(json pages "$said")" \
		"$(json files "$said")" "$(kib bytes_read)" "$(kib raw_bytes)" \
		"$(kib stored_bytes)" "$(ms "$freeze")" "$(ms "$gap")" \
		"$(ms "$(json total_ns "$said")")" "$child"
	is "$id: the tracker is $tracker" "$(json tracker "$said")" $tracker
	if [ "$1" = 1 ]; then
		is "$id: it is full" "$kind" full
	else
		is "$id: it is incremental" "$kind" incremental
		[ $tracker = full ] || costs_what_changed
	fi
	ok "$id: the tree runs on, untraced" untraced $group
	at_most "$id: the longest gap seen from inside is no longer than the freeze" "$gap" \
		$((freeze + slack_ns))
	gaps=$((gaps + gap)) freezes=$((freezes + freeze))
	lines_of[$id]="$lines_before $lines_after"
}

# figures of $said for the table
kib() { echo "$((($(json "$1" "$said") + 1023) / 1024)) KiB"; }
ms() { echo "$(($1 / 1000000)).$(($1 / 100000 % 10)) ms"; }

# reading costs what changed: not the whole memory, no unchanged directory
costs_what_changed() {
	at_most "$id: memory read is at most the dirty pages and 10 %" \
		"$(json memory_read "$said")" $(($(json dirty_pages "$said") * 4096 * 110 / 100))
	[ $tracker = kmod ] ||
		return 0	# its files are found by a scan
	at_most "$id: no unchanged directory was opened" "$(json dirs_opened "$said")" 12
}

step_kill() {
	pids_before=$(group_names $group)
	say "4. kill -9 of the whole tree, rm -rf of the workspace"
	ok "the tree is killed" kill_group $group
	wait "$run_pid" || true
	rm -rf "$base/$group/workspace"
	not_ok "the workspace is gone" test -e "$base/$group/workspace"
	wait "$reference_pid" || true
	reference=$base/$group-reference/workspace/journal
	like "the undisturbed run has ended with its hash" "$(final "$reference")" '^[0-9a-f]{64}$'
}

step_restore() {	# WHAT ID
	local said rc=0 at low high file

	file=$(journal $group)
	say "$((++restores + 4)). back to checkpoint $2 ($1):" \
		"   ckpt-tool verify $group@$2; ckpt-tool restore $group@$2"
	ok "verify $group@$2" "$tool" verify "$group@$2"
	rm -f "$base/looked"
	said=$("$tool" restore "$group@$2" --json \
		--check "$CKPT_REPO/tests/e2e/lib/look.sh '$base/$group/workspace' \
		'$reference' '$base/$group/looked'") || rc=$?
	is "$1: restore says that it went well" $rc 0
	[ $rc = 0 ] || bail "restore $group@$2: $said"
	is "$1: every stage was verified" "$(grep -o '"done": *false' <<<"$said")" ""
	at=$(<"$base/$group/looked")
	read -r low high <<<"${lines_of[$2]}"
	at_least "$1: the running hash in the journal is right, not before the checkpoint" \
		"${at% *}" "$low"
	at_most "$1: and not after it" "${at% *}" "$high"
	if [ "$2" = "$quiet" ]; then
		is "$1: exactly the iteration of the checkpoint" "${at% *}" "$quiet_lines"
		is "$1: exactly the files of the checkpoint" "${at#* }" "$quiet_tree"
	fi
	is "$1: the same pids" "$(group_names $group)" "$pids_before"
	answer $group 1000
	say "the agent went on after iteration ${at% *}; waiting for its end"
	ok "$1: the tree runs" runs $group
	ok "$1: the agent ends" wait_for "$end_seconds" ended "$file"
	is "$1: the final hash is that of the undisturbed run" "$(final "$file")" \
		"$(final "$reference")"
	is "$1: so is the whole journal" "$(sha256sum <"$file")" "$(sha256sum <"$reference")"
	say "final hash            $(final "$file")" "of an undisturbed run $(final "$reference")"
	ok "$1: the rest of the tree ends" kill_group $group
}

remember() {
	declare -p lines_of quiet quiet_lines quiet_tree early newest pids_before reference \
		restores clock_s >"$base/remembered"
	sed -i 's/^declare --/declare -g/; s/^declare -A/declare -gA/' "$base/remembered"
}

# CLOCK_MONOTONIC of the restored tree went on from the checkpoint, though the machine is new
step_clock() {
	local clock=$base/$group/probes/clock

	ok "the clock never went back" not grep -q backwards "$clock"
	ok "the clock went on from the checkpoint" awk '
		NR > 1 && $1 < last { bad = 1 }
		NR > 1 && $1 - last > 60e9 { bad = 1 }
		{ last = $1 }
		END { exit bad || NR < 20 }' "$clock"
	at_least "it is ahead of this boot's own clock" \
		"$(awk 'END { print int($1 / 1e9) }' "$clock")" $(($(uptime_s) + 1))
	say "CLOCK_MONOTONIC inside $(awk 'END { print int($1 / 1e9) }' "$clock") s," \
		"outside $(uptime_s) s"
}

not() { ! "$@"; }
