#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# emulated-compiler.sh: what page faults do to an emulated compiler, without ckpt
# module: no
# check: no
# timeout: 500
#
# A compiler whose pages the kernel itself write-protects again and again, by
# /proc/PID/clear_refs. Without optimization it must write the same object each time; how
# often it does not at -O1 is shown.
set -euo pipefail
. "${CKPT_REPO:?}/tests/e2e/lib/assert.sh"

seconds=${CKPT_VM_ARGS:-120}
mkdir -p /scratch/compiler
cd /scratch/compiler

sources() {
	local i

	for i in 1 2 3 4 5; do
		echo "unsigned int m$i(unsigned int x) { x = x * 42247725${i}u + 9u;
			x ^= x >> 1$i; return x + 39913514${i}u; }" >m$i.c
	done
}

compile_on() {	# LEVEL: one line per compilation in LEVEL.log
	local i

	while :; do
		for i in 1 2 3 4 5; do
			gcc "$1" -c -o m.o m$i.c && echo "m$i $(sha256sum <m.o)" >>"./$1.log"
		done
	done
}

protect() {	# SECONDS: the pages of every compiler, again and again
	/usr/bin/python3 - "$1" <<'END'
import glob, sys, time
end = time.time() + float(sys.argv[1])
while time.time() < end:
    for comm in glob.glob("/proc/[0-9]*/comm"):
        try:
            if open(comm).read().strip() in ("gcc", "cc1", "as"):
                open(comm[:-4] + "clear_refs", "w").write("4")
        except OSError:
            pass
    time.sleep(0.002)
END
}

sources
for level in -O0 -O1; do
	compile_on $level &
	pid=$!
	protect "$seconds"
	kill $pid
	wait $pid 2>/dev/null || true
	echo "# $level: $(wc -l <./$level.log) compilations," \
		"$(sort -u ./$level.log | wc -l) objects"
done
at_least "enough is compiled" "$(wc -l <./-O0.log)" 50
is "without optimization each source has one object" "$(sort -u ./-O0.log | wc -l)" 5
done_testing
