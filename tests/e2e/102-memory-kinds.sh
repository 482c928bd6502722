#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# 102-memory-kinds.sh: memory that is not simply there comes back as it was
# where: both
# check: native
# timeout: 300
#
# Programs with guard regions in memory of every kind, and with sealed memory, are checkpointed
# again and again, lose their keeper at each point of the reading, and are restored, twice; then
# they check themselves. One goes on to make guard regions and to take them away in between.
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/objects.sh"

# Is there what PROGRAM is about, on this kernel?
is_here() {	# PROGRAM
	mkdir -p "$base/try"
	touch "$base/try/go"
	(cd "$base/try" && ! timeout 60 "$programs/$1" | grep -q " here$")
}

# guard pages show from Linux 6.15 on, to the module from 6.13 on
if is_here guards; then
	hold_and_restore guards guards
	points=(keeper.mapped)
	hold_and_restore turns guards turn
else
	echo "# left out: guard regions: this kernel has none"
fi
points=(keeper.mapped keeper.looked)
if is_here sealed; then
	hold_and_restore sealed sealed
else
	echo "# left out: sealed memory: this kernel has none"
fi
done_testing
