// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * files_many_bench.c: what a write to each of very many files in one epoch costs the writer
 *
 * CKPT_FILES is their number if it is not a million.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/bench.h"
#include "lib/changes.h"

#define GROUP "bench-files"
#define ROOT "/mnt/bench-files"
#define INODES_MAX "/sys/module/ckpt/parameters/inodes_max"
#define DIRS 1000

static struct changes c;
static long files;

/* One byte into each. */
static void write_all(void)
{
	char path[64];

	for (long n = 0; n < files; n++) {
		int fd;

		snprintf(path, sizeof(path), ROOT "/%ld/%ld", n % DIRS, n / DIRS);
		fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
		if (fd < 0 || pwrite(fd, "x", 1, 0) != 1)
			die("write %s", path);
		close(fd);
	}
}

static void make_files(void)
{
	char path[64];

	if ((mkdir(ROOT, 0755) && access(ROOT, F_OK)) ||
	    mount("none", ROOT, "tmpfs", 0, "size=95%,nr_inodes=0"))
		die("mount a tmpfs");
	for (int i = 0; i < DIRS; i++) {
		snprintf(path, sizeof(path), ROOT "/%d", i);
		if (mkdir(path, 0755))
			die("mkdir %s", path);
	}
	write_all();
}

/* Every write was told or counted, up to the bound and over it. */
static double tracked_run(long bound)
{
	size_t named = (size_t)(files < bound ? files : bound);
	double cpu;

	changes_open(&c, GROUP);
	changes_root(&c, ROOT);
	changes_settle(&c);
	cpu = cpu_of_fn(write_all);
	changes_take(&c);
	check(c.n == named && c.round.lost >= (uint64_t)files - named,
	      "of %ld files written %zu are told and %llu counted as lost", files, c.n,
	      (unsigned long long)c.round.lost);
	changes_commit(&c);
	changes_close(&c);
	return cpu;
}

int main(void)
{
	const char *given = getenv("CKPT_FILES");
	struct ratios r = { .n = 0 };
	char text[32];
	long bound;

	files = bench_pick(1000000, 2000);
	if (given && *given)
		files = atol(given);
	if (files < 1)
		die("CKPT_FILES is %s", given);
	if (get(INODES_MAX, text, sizeof(text)) < 0)
		die("read " INODES_MAX);
	bound = atol(text);
	make_files();
	for (unsigned int i = 0; i < bench_pick(2, 1); i++) {
		double alone = cpu_of_fn(write_all);

		ratios_add(&r, tracked_run(bound), alone);
	}
	ratios_tell(&r, "untracked", "files-many %ld files", files);
	if (umount(ROOT))
		die("umount");
	return finish();
}
