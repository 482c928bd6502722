// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * others_bench.c: what processes in no group pay on a file system that holds a root of a group
 *
 * The same work beside the root, with the root and without it in turn.  And once more where an
 * inotify watch is on the file system in either case, as there is on most that a system runs on:
 * where there is none, each call that makes an event is through with it at once.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/bench.h"
#include "lib/changes.h"
#include "lib/works.h"

#define GROUP "bench-others"
#define ROOT "/scratch/bench-root"
#define BESIDE "/scratch/bench-beside"
#define WATCHED "/scratch/bench-watched"
#define TARGET 1.02
#define CALLS 5000

static struct changes c;
static unsigned int nr_calls;

/* --- calls of which each makes an event --- */

static int open_file(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0644);

	if (fd < 0)
		die("open %s", path);
	return fd;
}

static void small_writes(void)
{
	int fd = open_file(BESIDE "/f", O_WRONLY | O_CREAT);

	for (unsigned int i = 0; i < nr_calls; i++)
		if (pwrite(fd, "x", 1, i % 4096) != 1)
			die("write");
}

static void opens(void)
{
	for (unsigned int i = 0; i < nr_calls; i++)
		close(open_file(BESIDE "/f", O_RDONLY));
}

static void opens_to_write(void)
{
	for (unsigned int i = 0; i < nr_calls; i++)
		close(open_file(BESIDE "/f", O_WRONLY));
}

static void creations(void)
{
	for (unsigned int i = 0; i < nr_calls / 4; i++) {
		close(open_file(BESIDE "/g", O_WRONLY | O_CREAT | O_EXCL));
		unlink(BESIDE "/g");
	}
}

static const struct {
	const char *name;
	void (*fn)(void);
} calls[] = {
	{ "small write", small_writes },
	{ "open, close", opens },
	{ "open to write, close", opens_to_write },
	{ "create, unlink", creations },
};

/* --- with and without --- */

static void with_root(void)
{
	changes_open(&c, GROUP);
	changes_root(&c, ROOT);
	changes_settle(&c);
}

/* The root was watched all the time, and nothing beside it was told. */
static void without_root(const char *name)
{
	struct stat st;

	changes_take(&c);
	if (c.n || c.round.lost)
		check(false, "%s: nothing in the root has changed (%zu told)", name, c.n);
	changes_commit(&c);
	append(ROOT "/f", "x");
	changes_take(&c);
	st = changes_id(ROOT "/f");
	if (!(changes_mask(&c, &st) & CKPT_INODE_DATA))
		check(false, "%s: a write in the root is told", name);
	changes_commit(&c);
	changes_close(&c);
	for (int i = 0; changes_hooked(); i++) {
		if (i == 600)
			die("the hooks stay although nobody needs them");
		usleep(100000);
	}
}

static double run(int work, int call)
{
	if (work < 0)
		return cpu_of_fn(calls[call].fn);
	work_prepare(&works[work], BESIDE);
	return cpu_of(work_command(&works[work], BESIDE, 1), NULL, NULL, NULL);
}

/* One of the works, or (work < 0) one of the calls.  Return: the ratio. */
static double measure(int work, int call, unsigned int times, bool watched)
{
	const char *name = work < 0 ? calls[call].name : works[work].name;
	struct ratios r = { .n = 0 };

	if (!bench_small())
		run(work, call);
	for (unsigned int i = 0; i < times; i++) {
		double with, alone = run(work, call);

		with_root();
		with = run(work, call);
		without_root(name);
		ratios_add(&r, with, alone);
	}
	check(true, "%s beside a root: the root is watched, and nothing else is told", name);
	if (watched)
		return ratios_tell(&r, "the same watch and no root", "others %s, watched", name);
	return ratios_tell(&r, "no root on that file system", "others %s", name);
}

static int watch(void)
{
	int fd = inotify_init1(IN_CLOEXEC);

	if (fd < 0 || inotify_add_watch(fd, WATCHED, IN_CREATE) < 0)
		die("inotify");
	return fd;
}

/* What the kernel's own part is: a watch of which no event comes, without the module. */
static void measure_watch(int work, unsigned int times)
{
	struct ratios r = { .n = 0 };

	for (unsigned int i = 0; i < times; i++) {
		double with, alone = run(work, 0);
		int fd = watch();

		with = run(work, 0);
		close(fd);
		ratios_add(&r, with, alone);
	}
	ratios_tell(&r, "no watch and no root", "others %s, a watch", works[work].name);
}

/* The works where somebody has an inotify watch on the file system anyway. */
static void measure_watched(void)
{
	int fd, first = (int)bench_pick(0, WORKS - 1);

	shell("mkdir -p " WATCHED);
	for (int i = first; i < WORKS; i++)
		measure_watch(i, bench_pick(5, 1));
	fd = watch();
	for (int i = first; i < WORKS; i++)
		ratios_target(measure(i, 0, bench_pick(5, 1), true), TARGET, works[i].name);
	close(fd);
	shell("rmdir " WATCHED);
}

int main(void)
{
	nr_calls = bench_pick(CALLS, 100);
	shell("rm -rf " ROOT " && mkdir " ROOT);
	works_make(BESIDE);
	/* A small run tries one work here, another in tracked_bench.c, and not git. */
	for (int i = (int)bench_pick(0, WORKS - 1); i < WORKS; i++)
		ratios_target(measure(i, 0, bench_pick(5, 1), false), TARGET, works[i].name);
	measure_watched();
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		measure(-1, (int)i, bench_pick(3, 1), false);
	works_gone(BESIDE);
	shell("rm -rf " ROOT);
	return finish();
}
