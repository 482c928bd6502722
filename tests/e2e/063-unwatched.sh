#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 063-unwatched.sh: a process that nothing can be opened in is read whole, each time
# where: native
# module: no
#
# To be watched it would have to make a userfaultfd, and has no descriptor left. Its memory is
# large enough for a stop of its own, before a full checkpoint, in which it would come to be so.
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/assert.sh"
. "$CKPT_REPO/tests/e2e/lib/group.sh"

if [ "$(native_tracker)" != pagemap-scan ]; then
	echo "1..0 # SKIP Linux $(uname -r) does not note what is written"
	exit 0
fi
group=unwatched
steps=$base/$group/steps
mib=40

take() { said=$("$tool" checkpoint $group --json) || bail "no checkpoint: $said"; }
steps_on() { wait_for 30 has_lines "$steps" $(($(lines "$steps") + 5)); }
goes_back() {	# WHAT: the file of its steps goes back with it
	ok "$1: killed" kill_group $group
	ok "$1: restored" "$tool" restore $group
	ok "$1: it goes on" steps_on
	cp "$steps" "$base/steps"
	is "$1: each step was made, and once" "$(cut -d' ' -f1 "$base/steps" | xargs)" \
		"$(seq "$(lines "$base/steps")" | xargs)"
	is "$1: all pages are of the step they were written in" \
		"$(cut -d' ' -f2 "$base/steps" | sort -u)" 0
}

start_program $group "$steps" "$CKPT_REPO/tests/workloads/no_descriptor.py" "$steps" $mib
pid=$(group_pids $group | tail -n 1)
ok "it has no descriptor to spare" eval \
	'[ "$(ls /proc/'"$pid"'/fd | wc -l)" = "$(sed -n "s/^Max open files *\([0-9]*\) .*/\1/p" \
		/proc/'"$pid"'/limits)" ]'
take
is "it is full" "$(json kind "$said")" full
at_least "it had a stop of its own to be watched" "$(json watch_ns "$said")" 1
at_least "a first one reads it" "$(json memory_read "$said")" $((mib << 20))
goes_back "after a full one"
take
steps_on
take
is "the next is incremental" "$(json kind "$said")" incremental
is "by the native tracker" "$(json tracker "$said")" "$(native_tracker)"
at_least "and reads it whole all the same" "$(json memory_read "$said")" $((mib << 20))
at_most "of which it stores what was written" "$(json stored_bytes "$said")" $((mib << 18))
goes_back "after an incremental one"
done_testing
