#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 086-cpus.sh: who is tied to a CPU that the cgroup above does not have any more is refused
# before a file has changed (what the group's own limits say: flow_limits, proc_verify)
# where: vm
# module: no
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/assert.sh"
. "$CKPT_REPO/tests/e2e/lib/group.sh"
. "$CKPT_REPO/tests/e2e/lib/story.sh"

group=tied
ticks=$base/$group/ticks
above=$cgroup_mount/ckpt

# Another content of a file of the root: a restore that begins puts it back
refused() {	# WHAT WHY OPTION...
	local what=$1 why=$2 rc=0

	shift 2
	echo changed >"$base/$group/kept"
	said=$("$tool" restore $group "$@" 2>&1) || rc=$?
	ok "$what: it is refused" test $rc -ne 0
	ok "$what: by name" grep -q "$why" <<<"$said"
	is "$what: no file has changed" "$(cat "$base/$group/kept")" changed
}

mkdir -p "$base/$group"
echo as-it-was >"$base/$group/kept"
start_program $group "$ticks" taskset -c 1 \
	sh -c 'while :; do echo tick >>"$1"; sleep 0.2; done' sh "$ticks"
take $group
ok "it is killed" kill_group $group

echo +cpuset >"$cgroup_mount/cgroup.subtree_control"
mkdir -p "$above"
echo 0 >"$above/cpuset.cpus"
refused "the cgroup above has CPU 0" "asks for CPU 1 in thread .*, here it can have 0"
refused "the same, a dry run" "asks for CPU 1 in thread .*, here it can have 0" --dry-run
echo 0-1 >"$above/cpuset.cpus"
ok "with both CPUs it is restored" "$tool" restore $group
is "the file is as it was" "$(cat "$base/$group/kept")" as-it-was
ok "it goes on" wait_for 60 has_lines "$ticks" $(($(lines "$ticks") + 2))
is "it is tied to its CPU" "$(awk '/Cpus_allowed_list/ { print $2 }' \
	"/proc/$(head -n 1 "$(group_dir $group)/cgroup.procs")/status")" 1
done_testing
