#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 032-time-left.sh: calls that wait for a time last as long as asked, however often they are stopped
# where: both
# check: native
# timeout: 900
#
# The program has a thread for each such call, and checks itself.  Between checkpoints it is
# stopped by looks of doctor, which are stops as well, and it is killed and restored.
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/assert.sh"
. "$CKPT_REPO/tests/e2e/lib/group.sh"
. "$CKPT_REPO/tests/e2e/lib/story.sh"

seed=${CKPT_SEED:-$RANDOM}
RANDOM=$seed
# emulated, all takes longer: the stops, what comes between two of them, and so the waits
longest=1500 slack=300 often=24
[ -z "${CKPT_IN_VM:-}" ] || longest=12000 slack=3000 often=8

said_something() { grep -q -e "all well" -e wrong "$file"; }

start_waits() {	# NAME OPTION...
	group=$1
	file=$base/$group/told
	shift
	start_program $group "$file" "$programs/timed_waits" "$file" "$seed" "$slack" 0 \
		"$longest" "$@"
}

stop_often() {	# TIMES: at random instants, 50 to 400 ms apart
	local i

	for ((i = 0; i < $1; i++)); do
		nap "0.$(printf '%03d' $((RANDOM % 350 + 50)))"
		! said_something || break
		if [ $((RANDOM % 4)) = 0 ]; then
			take $group
		else
			ok "a look" "$tool" doctor $group
		fi
	done
	is "it waits all the while: it was stopped so often" $i "$1"
}

ends_well() {	# WHAT
	: >"$file.end"
	ok "$1: it ends" wait_for 120 said_something
	is "$1: all waits lasted as long as asked" "$(tail -n +3 "$file")" "all well"
}

note "seed $seed"
start_waits waits
stop_often $often
ends_well "stopped"
ok "it is gone" wait_for 60 group_gone $group

start_waits restored_waits restored
for turn in 1 2 3; do
	stop_often 2
	take $group
	ok "it is killed, $turn" kill_group $group
	ok "it is restored, $turn" "$tool" restore $group
done
ends_well "killed and restored"
done_testing
