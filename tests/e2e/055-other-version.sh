#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 055-other-version.sh: a module that speaks another version of the interface is refused
# other-module: 2
# check: third
# timeout: 300
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/assert.sh"
. "$CKPT_REPO/tests/e2e/lib/group.sh"
. "$CKPT_REPO/tests/e2e/lib/sizes.sh"
. "$CKPT_REPO/tests/e2e/lib/story.sh"

group=versions
sysfs=/sys/kernel/ckpt

refused() {	# NAME STATUS COMMAND...: one sentence that names both versions
	local name=$1 status=$2 said rc=0

	shift 2
	said=$("$@" 2>&1 >/dev/null) || rc=$?
	is "$name: exit status" $rc "$status"
	like "$name: the sentence" "$said" '^ckpt-tool: .*version 2 instead of 1'
	is "$name: it is one line" "$(wc -l <<<"$said")" 1
	is "$name: the module has no group" "$(ls $sysfs/groups)" ""
	not_ok "$name: nothing runs" test -e "/run/ckpt/other.json"
}

start_group $group --iterations 400 --seed 5 --state-mb 4 --think-ms 100
take $group
dir=$(group_dir $group)
rmmod ckpt
insmod "$CKPT_KO_OTHER"

refused "run" 125 "$tool" run --name other --root "$base/$group/workspace" -- /bin/true
refused "tag" 4 "$tool" tag other "$(group_cgroup $group)"
before=$("$tool" log $group --json)
refused "checkpoint" 4 "$tool" checkpoint $group
is "checkpoint: the store has not changed" "$("$tool" log $group --json)" "$before"
runs_on $group "after all of it"

rmmod ckpt
insmod "$CKPT_KO"
take $group
is "with its own module back, which was not told of the group: its word is not taken" \
	"$(json tracker "$said")" "$(native_tracker)"
ok "it verifies" "$tool" verify $group
done_testing
