#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# look.sh: the check that a restore runs on the restored files, before any task runs
#
# usage: look.sh WORKSPACE REFERENCE OUT
# The restored journal must be how the undisturbed run's journal begins: each line is the
# running hash of an iteration. Leaves "LINES TREE-HASH" in OUT.
set -euo pipefail
. "${0%/*}/tree.sh"
lines=$(wc -l <"$1/journal")
head -n "$lines" "$2" | cmp -s - "$1/journal" || {
	echo "look: the running hash in $1/journal is wrong" >&2
	exit 1
}
echo "$lines $(tree "$1")" >"$3"
