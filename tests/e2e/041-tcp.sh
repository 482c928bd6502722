#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 041-tcp.sh: connections inside the tree go on, those to the outside are reset or go on as well
# where: both
# check: native
# timeout: 300
#
# A program with TCP sockets in every state is checkpointed, loses its keeper at each point of the
# reading, and is restored, twice; then it checks itself.  Another one streams bytes with a hash to
# a server outside: that goes on over a checkpoint that asks for it and restores that fail, and is
# reset otherwise.
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/objects.sh"
. "$CKPT_REPO/tests/e2e/lib/output.sh"

"$programs/tcp_outside" "$base/port" &
outside_pid=$!
at_exit "kill $outside_pid"
ok "somebody outside listens" wait_for 60 has_lines "$base/port" 1
port=$(cat "$base/port")

points=(keeper.looked keeper.repair keeper.repair:2 keeper.repairing keeper.answered)
dead_twice() { rm "$base/port"; }
hold_and_restore tcp tcp_sockets "$port"

# Who streams to a server outside, both at rest with bytes that are not read
stream() {	# GROUP
	server=$base/$1-server
	mkdir -p "$server"
	(cd "$server" && exec "$programs/tcp_stream" port >said 2>&1) &
	at_exit "kill $! 2>/dev/null"
	ok "$1: a server listens" wait_for 60 has_lines "$server/port" 1
	start_program "$1" "$base/$1/said" sh -c \
		"cd '$base/$1' && exec '$programs/tcp_stream' $(cat "$server/port") >said"
	rests "$1"
}

rests() {	# GROUP
	touch "$base/$1/pause" "$server/pause"
	ok "$1: it rests" wait_for 60 grep -q rests "$base/$1/said"
	ok "$1: the server rests" wait_for 60 grep -q rests "$server/said"
}

goes_on() {	# GROUP RESETS: it streams on, ends, and nobody has found a wrong byte
	rm "$base/$1/pause" "$server/pause"
	[ "$2" = 0 ] || ok "$1: it is reset" wait_for 60 grep -q reset "$base/$1/said"
	nap 0.5
	touch "$base/$1/go"
	ok "$1: it ends well" wait_for 60 grep -q 'all well' "$base/$1/said"
	is "$1: so often it was reset" "$(grep -c reset "$base/$1/said")" "$2"
	is "$1: no byte is wrong" "$(cat "$base/$1/said" "$server/said" | grep -c WRONG)" 0
}

stream repaired
ends "doctor knows of it" 0 '' "$tool" doctor repaired
like "and that it can go on" "$(cat "$base/out")" 'unless restore --tcp repair can go on with it'
take repaired --stop --tcp repair
is "the other end has not heard of it" "$(json tcp_left "$said") $(json tcp_reset "$said")" "1 0"
ends "a dry run" 0 '' "$tool" restore repaired --dry-run --tcp repair
like "says what may become of it" "$(cat "$base/out")" \
	'outside: 1 go on if their other ends agree, 0 reset'
# of which the other end does not hear
for policy in reset repair; do
	ends "a restore that fails late, with --tcp $policy" 1 'ended with status 1' \
		"$tool" restore repaired --tcp "$policy" --check 'exit 1'
done
ends "a restore" 0 '' "$tool" restore repaired --tcp repair --json
document "goes on with it" 'd["tcp_repaired"], d["tcp_reset"], d["why_tcp_reset"]' '(1, 0, None)'
goes_on repaired 0

stream lost
take lost
ok "lost: it is killed" kill_group lost
began=$SECONDS
ends "a restore after a kill" 0 '' "$tool" restore lost --tcp repair
like "is told that the other end is gone" "$(cat "$base/out")" \
	'outside: 0 go on, 1 reset; the first: its other end'
ok "without a wait" [ $((SECONDS - began)) -lt 20 ]
goes_on lost 1

stream default
take default --stop --tcp repair
ends "a restore that is asked for nothing" 0 '' "$tool" restore default
like "resets it" "$(cat "$base/out")" 'outside: 0 go on, 1 reset; the first: as --tcp reset says'
goes_on default 1
ok "default: its other end has heard of it" grep -q reset "$server/said"

ends "another word" 2 "takes reset or repair, not 'keep'" "$tool" restore default --tcp keep
ends "no word" 2 "option '--tcp' needs an argument" "$tool" restore default --tcp
ends "another word for a checkpoint" 2 "takes reset or repair, not 'keep'" \
	"$tool" checkpoint default --stop --tcp keep
ends "without an end" 2 '--tcp goes with --stop' "$tool" checkpoint default --tcp repair
done_testing
