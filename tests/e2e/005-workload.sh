#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 005-workload.sh: the coding agent repeats itself, and notices what it has lost
# where: native
# module: no
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/assert.sh"

start_agent() {	# NAME OPTION...: in the background, $pid
	local name=$1

	shift
	mkdir -p "$work/tmp-$name"
	TMPDIR=$work/tmp-$name "$CKPT_REPO/tests/workloads/coding_agent.py" --iterations 8 \
		--state-mb 4 --workspace "$work/$name" "$@" >"$work/$name.out" 2>&1 &
	pid=$!
	at_exit "kill -9 $pid 2>/dev/null"
}

final() { sed -n 's/^final //p' "$work/$1/journal"; }

has_lines() { [ -e "$1" ] && [ "$(wc -l <"$1")" -ge "$2" ]; }

# flip one byte in the first page of state that is found in its own mapping (a page that
# starts elsewhere may be one that the allocator has freed)
flip_page() {
	/usr/bin/python3 - "$pid" <<'PY'
import re, sys
mem = open("/proc/%s/mem" % sys.argv[1], "r+b", 0)
for line in open("/proc/%s/maps" % sys.argv[1]):
    start, end, prot = re.match(r"(\w+)-(\w+) (\S+)", line).groups()
    start, end = int(start, 16), int(end, 16)
    if prot != "rw-p":
        continue
    mem.seek(start)
    memory = mem.read(end - start)
    for at in range(0, len(memory), 4096):
        if re.match(rb"page +\d+ ", memory[at:at + 14]):
            mem.seek(start + at + 2000)
            mem.write(bytes([memory[at + 2000] ^ 1]))
            sys.exit(0)
sys.exit("no page of state found")
PY
}

remove_object() { rm "$work/$1/main.o"; }

change_sources() { sed -i 's/x >> [0-9]*/x >> 17/' "$work/$1"/m*.c; }

forget_line() { sed -i 2d "$work/$1/journal"; }

change_note() { echo more >>"$work/$1/notes/kept-1.md"; }

broken() {	# DAMAGE LINE PATTERN: stopped after that line, damaged, it must end broken
	local rc=0

	start_agent "$1" --seed 3 --pause-ms 400
	wait_for 200 has_lines "$work/$1/journal" "$2" || bail "the agent $1 does not get on"
	kill -STOP "$pid"
	ok "$1: done" "$1" "$1"
	kill -CONT "$pid"
	wait "$pid" || rc=$?
	is "$1: exit status" $rc 3
	like "$1: the agent says what is broken" "$(grep -m1 ^broken "$work/$1.out")" "^broken .*$3"
}

ends_well() {
	local rc=0

	wait "$pid" || rc=$?
	is "$1 ends well" $rc 0
}

for run in one two; do
	start_agent $run --seed 3
	ends_well "run $run"
done
start_agent other --seed 4
ends_well "a run with another seed"
like "there is a final hash" "$(final one)" '^[0-9a-f]{64}$'
is "the journal has a line per iteration and the final hash" "$(wc -l <"$work/one/journal")" 9
is "two runs leave the same journal" "$(cat "$work/two/journal")" "$(cat "$work/one/journal")"
isnt "another seed gives another hash" "$(final other)" "$(final one)"

broken flip_page 5 'page [0-9]+ of the state'
# iteration 7 links, iteration 6 (make) would build the object again
broken remove_object 6 'gcc .* ended with 1'
broken change_sources 5 'the program of iteration [0-9]+ answered'
broken forget_line 5 'the journal'

start_agent change_note --seed 3 --pause-ms 400
wait_for 200 has_lines "$work/change_note/journal" 5 || bail "the agent does not get on"
ok "a note is changed" change_note change_note
ends_well "the agent, which reads its notes only at the end,"
isnt "a changed file gives another final hash" "$(final change_note)" "$(final one)"

# The model of the agent from the npm registry: a request that is made again gets the same answer
"$CKPT_REPO/tests/workloads/model_server.py" --steps 3 --port-file "$work/port" &
at_exit "kill -9 $! 2>/dev/null"
wait_for 20 test -s "$work/port" || bail "the model does not listen"

ask() {	# TOOL-MESSAGES: its answer to a conversation with so many
	/usr/bin/python3 - "$(<"$work/port")" "$1" <<'PY'
import json, sys, urllib.request
messages = [{"role": "user"}] + [{"role": "assistant"}, {"role": "tool"}] * int(sys.argv[2])
tools = [{"function": {"name": "run_shell_command"}}]
body = json.dumps({"messages": messages, "tools": tools}).encode()
print(urllib.request.urlopen("http://127.0.0.1:%s/v1/chat/completions" % sys.argv[1],
                             body).read().decode())
PY
}

first=$(ask 0) second=$(ask 1)
like "it asks for the first step" "$first" 'echo 1 >>steps'
like "then for the second" "$second" 'echo 2 >>steps'
is "asked once more after that, the answer to the first conversation is the same" \
	"$(ask 0)" "$first"
is "and that to the second" "$(ask 1)" "$second"
like "in the end all are done" "$(ask 3)" 'All 3 steps are done'
done_testing
