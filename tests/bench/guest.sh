#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# guest.sh: the part of bench.sh that runs in the VM: one bench after the other
#
# A bench that fails does not keep the others from running.
bad=0
[ $# -gt 0 ] || { echo "not ok - no bench to run"; exit 1; }
for name in "$@"; do
	echo "# bench $name"
	"build/bench/${name}_bench" </dev/null || bad=1
done
exit $bad
