#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# make_jobs.sh: a tree that is changed and built again with make -j, compiler and shell rules
#
# usage: make_jobs.sh STEPS MODEL      (see journal.sh)
set -euEo pipefail
. "${0%/*}/journal.sh"

units=12
mkdir -p src out
export pause=$(for_ms 60)
cat >Makefile <<'RULES'
sums := $(patsubst src/%.txt,out/%.sum,$(wildcard src/*.txt))
objects := $(patsubst src/%.c,out/%.o,$(wildcard src/*.c))

out/all: $(sums) out/program
	{ cat $(sums); out/program; } | sha256sum >$@

out/%.sum: src/%.txt
	sleep $(pause); sha256sum <$< >$@

out/%.o: src/%.c
	$(CC) -O0 -c -o $@ $<

out/program: $(objects)
	$(CC) -o $@ $^
RULES
source_text() { printf 'unit %d of step %d\n' "$1" "$2" >"src/$1.txt"; }
source_c() { printf 'int unit%d(void)\n{\n\treturn %d;\n}\n' "$1" "$2" >"src/unit$1.c"; }

for ((unit = 0; unit < units; unit++)); do
	source_text $unit 0
done
for unit in 0 1; do
	source_c $unit 0
done
cat >src/main.c <<'MAIN'
#include <stdio.h>
int unit0(void);
int unit1(void);

int main(void)
{
	return printf("%d %d\n", unit0(), unit1()) < 0;
}
MAIN

for ((step = 1; step <= steps; step++)); do
	wait_for_model $step
	nap 0.02	# whatever is written from here on is newer than what was built
	for ((unit = step % 3; unit < units; unit += 3)); do
		source_text $unit $step
	done
	[ $((step % 4)) != 0 ] || source_c $((step / 4 % 2)) $step
	make -s -j4 out/all
	step_done $step "$(<out/all)" "$(out/program)"
done
all_done
