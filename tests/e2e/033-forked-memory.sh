#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 033-forked-memory.sh: what processes share since one has forked the others is stored once
# where: both
# check: native
# timeout: 300
#
# 16 MiB that three processes have, of which each writes pages of its own, scattered; a fourth
# one comes between two checkpoints. Killed and restored, they go on as they did. A second family
# looks at page frames: checkpoints leave shared what is, and a restore brings it back so.
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/assert.sh"
. "$CKPT_REPO/tests/e2e/lib/group.sh"
. "$CKPT_REPO/tests/e2e/lib/sizes.sh"
. "$CKPT_REPO/tests/e2e/lib/story.sh"

group=forked
file=$base/$group/said
mib=$((1 << 20))
mkdir -p "$base/$group"
mkfifo "$base/$group/lines"

tell() { echo "$1" >"$base/$group/lines"; }

step() {	# N: one more, and its hashes in $hashes
	tell step
	ok "step $1" wait_for 60 grep -q "^step $1 " "$file"
	hashes=$(grep "^step $1 " "$file")
}

start_program $group "$file" sh -c "exec '$CKPT_REPO/tests/workloads/forked_memory.py' 16 \
	<>'$base/$group/lines' >'$file'"
step 1
take $group
is "the first one is full" "$(json kind "$said")" full
at_least "all of it is stored" "$(json raw_bytes "$said")" $((16 * mib))
# three times a 64th of it, and the interpreters' own
at_most "and most of it once" "$(json raw_bytes "$said")" $((30 * mib))
step 2
take $group
is "then they are incremental" "$(json kind "$said")" incremental
at_most "then what was written is stored" "$(json raw_bytes "$said")" $((6 * mib))
tell fork
ok "one more is forked" wait_for 60 grep -q forked "$file"
take $group
is "with it as well" "$(json kind "$said")" incremental
at_most "what it has of its parent is not stored again" "$(json raw_bytes "$said")" $((4 * mib))
step 3
third=$hashes
is "four processes have told of their memory" "$(wc -w <<<"$third")" 6
ok "they are killed" kill_group $group
ok "they are restored" "$tool" restore $group
is "their output is that of the checkpoint" "$(tail -n 1 "$file")" forked
step 3
is "they go on as they did" "$hashes" "$third"
tell end
ok "they end" wait_for 60 grep -q "all well" "$file"

start_family() {	# NAME: it looks at what it shares when there is a file named "go"
	file=$base/$1/said
	start_program "$1" "$file" sh -c "cd '$base/$1' && exec '$programs/forked_pages' >said"
}

goes_on() {	# NAME
	: >"$base/$1/go"
	ok "$1: all have what they had" wait_for 60 grep -q "all well" "$file"
	like "$1: and share it" "$(cat "$file")" "shared 1152"
}

start_family looked-at
take looked-at
is "the first one is full" "$(json kind "$said")" full
take looked-at
is "the next one is incremental" "$(json kind "$said")" incremental
goes_on looked-at
start_family back
take back
take back --stop
ok "back: it is restored" "$tool" restore back
goes_on back
done_testing
