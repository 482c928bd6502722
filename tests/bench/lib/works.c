// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Work on files: tar, git and a compiler, over a copy of this tree's sources
 */
#include <stdio.h>

#include "lib/bench.h"
#include "lib/works.h"

#define NO_CONFIG "export GIT_CONFIG_GLOBAL=/dev/null HOME=/nowhere;"
/*
 * git reads again what may have changed in the second in which it wrote its index.  How much that
 * is must not depend on when it begins.
 */
#define AT_SECOND "second() { sleep 0.$(printf %09d $((2000000000 - $(date +1%N)))); };"
#define ME "-c user.name=bench -c user.email=bench@localhost "

/*
 * The compiler does not optimize, because the emulator gets some of that wrong in a process
 * whose pages are protected (docs/testing.md).
 */
const struct work works[WORKS] = {
	{
		.name = "tar",
		.prepare = "rm -rf out; mkdir out",
		.run = "tar cf out/all.tar src; tar xf out/all.tar -C out",
		.repeats = 50,
	},
	{
		.name = "git checkout",
		.prepare = NO_CONFIG AT_SECOND "[ -e out ] || { mkdir out;"
			   "cp -r src/tools src/kmod out; cd out;"
			   "git init -q -b one; git add .; git " ME "commit -qm one;"
			   "git checkout -q -b two;"
			   "find tools kmod -type f -exec sed -i '1i changed' {} +;"
			   "git " ME "commit -qam two; cd ..; }; cd out; second;"
			   "git checkout -q two",
		.run = NO_CONFIG AT_SECOND "cd out; second; git checkout -q one; second; "
		       "git checkout -q two; cd ..",
		.repeats = 10,
	},
	{
		.name = "compile",
		.prepare = "rm -rf out; mkdir out",
		.run = "for f in src/tools/libckpt/base/[bcer]*.c; do "
		       "gcc -std=gnu11 -O0 -D_GNU_SOURCE= -Isrc/uapi -Isrc/tools/libckpt -c "
		       "-o out/${f##*/}.o $f; done",
		.repeats = 4,
	},
};

void works_make(const char *dir)
{
	const char *what = "kmod tools uapi";

	if (bench_small())
		what = "kmod/compat tools/libckpt/base/*.h tools/libckpt/base/err.c uapi";

	works_gone(dir);
	for (int i = 0; i < WORKS; i++)
		shell("mkdir -p '%s/%s/src' && cp -r --parents %s '%s/%s/src'", dir, works[i].name,
		      what, dir, works[i].name);
}

void works_gone(const char *dir)
{
	shell("rm -rf '%s'", dir);
}

const char *work_command(const struct work *work, const char *dir, unsigned int times)
{
	static char text[1024];

	snprintf(text, sizeof(text), "cd '%s/%s'; for i in $(seq %u); do %s; done", dir,
		 work->name, times, work->run);
	return text;
}

void work_prepare(const struct work *work, const char *dir)
{
	struct work first = *work;

	first.run = work->prepare;
	cpu_of(work_command(&first, dir, 1), NULL, NULL, NULL);
}
