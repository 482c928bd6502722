#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# unit.sh: run the unit tests, each under AddressSanitizer and UBSan
#
# usage: unit.sh [NAME]...      (default: every tests/unit/*_test.c; they are built already)
set -euo pipefail
repo=$(cd "$(dirname "$0")/../.." && pwd)
. "$repo/tests/run/tap.sh"
bin=$repo/build/asan/unit
names=("$@")
if [ $# = 0 ]; then
	for f in "$repo"/tests/unit/*_test.c; do
		[ ! -f "$f" ] || names+=("$(basename "$f" .c)")
	done
fi
bad=0
work=$(mktemp -d)
# whoever a test becomes may have something to report
chmod 1733 "$work"
trap 'rm -rf "$work"' EXIT
for n in "${names[@]}"; do
	n=${n%_test}_test
	rc=0
	mkdir -p "$work/tmp"
	# setsid: started in a container, our own session's leader is outside of its pid
	# namespace, and what the tests stop would be in a session that has no number
	# a report of a sanitizer goes to a file: a keeper's or tracker's stderr is /dev/null
	CMOCKA_MESSAGE_OUTPUT=TAP TMPDIR=$work/tmp ASAN_OPTIONS=log_path=$work/report \
		UBSAN_OPTIONS=print_stacktrace=1 UBSAN_REPORT=$work/report.ub \
		setsid -w timeout -k 5 300 "$bin/$n" </dev/null >"$work/log" 2>&1 || rc=$?
	if compgen -G "$work/report.*" >/dev/null; then
		sed 's/^/# /' "$work"/report.* >>"$work/log"
		[ "$rc" != 0 ] || rc=1
		rm -f "$work"/report.*
	fi
	# a good run is summed up, a bad one is shown
	if [ "$rc" != 0 ] || grep -q '^not ok' "$work/log"; then
		cat "$work/log"
	else
		sed -nE 's/^#? *(.*: this (machine|kernel) has none)$/# left out: \1/p' "$work/log"
	fi
	tap_record "unit/$n" "$work/log" "$rc" || bad=1
	chmod -R u+rwx "$work/tmp"
	rm -rf "$work/tmp"
done
exit $bad
