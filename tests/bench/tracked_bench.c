// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tracked_bench.c: what being tracked costs a program that writes memory, and some that write
 * files
 *
 * Each runs in a cgroup that is not tagged; in one that is, of which a step was taken just
 * before; and in one of which a step is taken every second as well.  Whoever takes the steps
 * must have been told of all that was written.
 */
#define _GNU_SOURCE
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "lib/bench.h"
#include "lib/changes.h"
#include "lib/works.h"

#define GROUP "bench-tracked"
#define ROOT "/scratch/bench-tracked"
#define AREA ((char *)0x100000000UL)

enum mode { UNTRACKED, TRACKED, READ, MODES };

static const char *const mode_name[MODES] = { "untracked", "tracked", "read every second" };

static struct changes c;
static size_t pages;
static uint64_t nr_writes;
/* What steps told since begin_watch: pages of the area, and inodes. */
static bool *told_page;
static uint64_t *told_inode;
static size_t nr_inodes;
static unsigned int nr_steps;

/* --- steps --- */

static int keep_area(const struct ckpt_nl_area *area, void *data, struct ckpt_err *err)
{
	(void)data;
	(void)err;
	for (size_t i = 0; i < area->n_runs; i++) {
		const struct ckpt_run *run = &area->runs[i];
		size_t first = (run->start - (uintptr_t)AREA) / PAGE;

		if (run->flags & CKPT_RUN_DIRTY && run->start >= (uintptr_t)AREA && first < pages)
			memset(told_page + first, true, run->pages);
	}
	return 0;
}

static void take_step(void *unused)
{
	struct ckpt_err err = CKPT_ERR_INIT;

	(void)unused;
	changes_take(&c);
	if (ckpt_nl_page_dump(c.nl, GROUP, keep_area, NULL, &err))
		die("%s", err.text);
	if (c.round.lost)
		die("%llu changes are lost", (unsigned long long)c.round.lost);
	told_inode = realloc(told_inode, (nr_inodes + c.n + 1) * sizeof(*told_inode));
	if (!told_inode)
		die("memory");
	for (size_t i = 0; i < c.n; i++)
		told_inode[nr_inodes++] = c.inodes[i].ino;
	changes_commit(&c);
	nr_steps++;
}

static void begin_watch(enum mode mode)
{
	if (mode == UNTRACKED)
		return;
	changes_open(&c, GROUP);
	changes_root(&c, ROOT);
	changes_settle(&c);
	memset(told_page, false, pages);
	nr_inodes = 0;
	nr_steps = 0;
}

static void end_watch(enum mode mode)
{
	if (mode != UNTRACKED)
		changes_close(&c);
}

/* --- memory --- */

enum { FILL, WORK };
/* Words of the shared page. */
enum { CPU_NS, DONE };

static void step(int n, uint64_t *shared)
{
	uint64_t seed = 1;
	double from;

	if (n == FILL) {
		prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
		memset(map_anon_at(AREA, pages * PAGE), 1, pages * PAGE);
		return;
	}
	from = cpu_used();
	for (uint64_t i = 0; i < nr_writes; i++) {
		seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
		*(uint64_t *)(AREA + (seed >> 40) % pages * PAGE + (seed >> 30) % 512 * 8) = i;
	}
	/* Random ones may leave some out. */
	for (size_t i = 0; i < pages; i++)
		AREA[i * PAGE]++;
	shared[CPU_NS] = (uint64_t)((cpu_used() - from) * 1e9);
	__atomic_store_n(&shared[DONE], 1, __ATOMIC_RELEASE);
}

/* Begin a step of the child and take steps until it is done. */
static void work_and_read(const struct child *child)
{
	int n = WORK;

	if (write(child->to, &n, sizeof(n)) != sizeof(n))
		die("begin the work");
	for (;;) {
		for (int i = 0; i < 100; i++) {
			usleep(10000);
			if (__atomic_load_n(&child->shared[DONE], __ATOMIC_ACQUIRE))
				goto done;
		}
		take_step(NULL);
	}
done:
	if (read(child->from, &n, sizeof(n)) != sizeof(n))
		die("end the work");
}

static double memory_run(enum mode mode)
{
	struct child child;
	size_t told = 0;
	double cpu;

	cgroup_make(GROUP);
	child_start(&child, GROUP, step);
	child_step(&child, FILL);
	begin_watch(mode);
	if (mode == READ)
		work_and_read(&child);
	else
		child_step(&child, WORK);
	cpu = (double)child.shared[CPU_NS] / 1e9;
	if (mode != UNTRACKED) {
		take_step(NULL);
		for (size_t i = 0; i < pages; i++)
			told += told_page[i];
		if (told != pages)
			check(false, "memory, %s: of %zu pages written %zu are told",
			      mode_name[mode], pages, told);
	}
	child_end(&child);
	end_watch(mode);
	cgroup_gone(GROUP);
	return cpu;
}

/* --- files --- */

static size_t files_made, files_untold;

static int check_told(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)ftw;
	/* Git keeps files of its own that a checkout does not write. */
	if (type != FTW_F || strstr(path, "/.git/"))
		return 0;
	files_made++;
	for (size_t i = 0; i < nr_inodes; i++)
		if (told_inode[i] == st->st_ino)
			return 0;
	files_untold++;
	return 0;
}

static double files_run(const struct work *work, enum mode mode)
{
	char out[128];
	double cpu;

	work_prepare(work, ROOT);
	begin_watch(mode);
	cgroup_make(GROUP);
	cpu = cpu_of(work_command(work, ROOT, bench_pick(work->repeats, 1)), GROUP,
		     mode == READ ? take_step : NULL, NULL);
	if (mode != UNTRACKED) {
		take_step(NULL);
		files_made = 0;
		files_untold = 0;
		snprintf(out, sizeof(out), ROOT "/%s/out", work->name);
		if (nftw(out, check_told, 16, FTW_PHYS) || !files_made || files_untold)
			check(false, "%s, %s: %zu of %zu files made are not told", work->name,
			      mode_name[mode], files_untold, files_made);
	}
	end_watch(mode);
	cgroup_gone(GROUP);
	return cpu;
}

/* --- both --- */

static double run(const struct work *work, enum mode mode)
{
	return work ? files_run(work, mode) : memory_run(mode);
}

static void measure(const struct work *work, const char *name, unsigned int times)
{
	/* A small run tries the last mode, which has in it what the others have. */
	enum mode first = bench_pick(TRACKED, READ);
	struct ratios r[MODES] = { 0 };
	unsigned int steps = 0;

	if (!bench_small())
		run(work, UNTRACKED);
	for (unsigned int i = 0; i < times; i++) {
		double alone = run(work, UNTRACKED);

		for (enum mode mode = first; mode < MODES; mode++)
			ratios_add(&r[mode], run(work, mode), alone);
		steps += nr_steps;
	}
	/* One step after the end of each run; those before are the point of it. */
	check(bench_small() || steps > times,
	      "%s: what was written was told, by %u steps in %u runs that were read", name, steps,
	      times);
	for (enum mode mode = first; mode < MODES; mode++)
		ratios_tell(&r[mode], mode_name[UNTRACKED], "tracked %s, %s", name,
			    mode_name[mode]);
}

int main(void)
{
	pages = bench_pick(64, 4) * (1UL << 20) / PAGE;
	nr_writes = bench_pick(150000000, 100000);
	told_page = calloc(pages, sizeof(*told_page));
	if (!told_page)
		die("memory");
	works_make(ROOT);
	measure(NULL, "memory", bench_pick(3, 1));
	for (int i = 0; i < (int)bench_pick(WORKS, 1); i++)
		measure(&works[i], works[i].name, bench_pick(3, 1));
	works_gone(ROOT);
	return finish();
}
