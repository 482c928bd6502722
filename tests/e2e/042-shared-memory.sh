#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 042-shared-memory.sh: memory that has no name comes back with its content, shared as it was
# where: both
# check: native
# timeout: 300
#
# Processes with memfds, anonymous memory and System V segments are checkpointed, lose their
# keeper at each point of the reading, and are restored, twice; then they check themselves. And
# workers of Python go on with 64 MiB that they share, of which a checkpoint stores what they have
# written since the one before.
set -euo pipefail
# segments of its own, whatever this machine has
[ -n "${CKPT_OWN_IPC:-}" ] || CKPT_OWN_IPC=1 exec unshare --ipc "$0"
. "${CKPT_REPO:?}/tests/e2e/lib/objects.sh"

segments() { awk 'NR > 1 && ($4 == 5000 || $4 == 16384)' /proc/sysvipc/shm | wc -l; }

# what a restore that comes to nothing leaves, and the next one replaces
dead_twice() {
	not_ok "a restore fails when all is built" \
		env CKPT_FAULT=restore.release=fail "$inject_tool" restore "$1"
	is "no segment stays" "$(segments)" 0
	not_ok "one is killed there" \
		env CKPT_FAULT=restore.release "$inject_tool" restore "$1"
	is "its segments stay" "$(segments)" 2
}
hold_and_restore shared shared_memory

group=pool
file=$base/$group/said
mkdir -p "$base/$group"
mkfifo "$base/$group/lines"

step() {	# N: one more, and its hash in $hash
	echo >"$base/$group/lines"
	ok "step $1" wait_for 60 grep -q "^step $1 " "$file"
	hash=$(grep "^step $1 " "$file")
}

start_program $group "$file" sh -c "exec python3 '$CKPT_REPO/tests/workloads/shared_pool.py' 64 \
	<>'$base/$group/lines' >'$file'"
step 1
take $group
full=$(json raw_bytes "$said")
at_least "all of it is stored" "$full" $((64 << 20))
step 2
second=$hash
take $group
at_most "what was not written is not stored again" "$(json raw_bytes "$said")" $((full / 8))
step 3
third=$hash
ok "the workers are killed" kill_group $group
ok "they are restored" "$tool" restore $group
is "their output is that of the checkpoint" "$(tail -n 1 "$file")" "$second"
step 3
is "they go on as they did" "$hash" "$third"
take $group
# full, since the processes are others: their own memory is stored anew
at_most "nor is it after a restore" "$(json raw_bytes "$said")" $((full / 4))
step 4
echo end >"$base/$group/lines"
ok "they end" wait_for 60 grep -q "all well" "$file"
done_testing
