// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * files_many_test.c: a write to each of many files in one epoch takes bounded memory
 *
 * CKPT_FILES is their number; tests/vm/files-many.sh makes it a million.
 *
 * debug: slow
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/changes.h"
#include "lib/world.h"

#define ROOT "/mnt/files-many"
#define INODES_MAX "/sys/module/ckpt/parameters/inodes_max"
#define BOUND 1024
#define DIRS 100
/*
 * Of an inode in the change sets, with room for what else happens in the machine.  Without a bound
 * all of the fewest files, 10000 on the debug kernel, take 1.2 MB.
 */
#define BYTES_EACH 200
#define BYTES_SPARE (512L << 10)

static struct changes c;
static long files = 20000;

static int open_one(long n)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), ROOT "/%ld/%ld", n % DIRS, n / DIRS);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		die("open %s", path);
	return fd;
}

/* One byte into each.  Return: nanoseconds a file. */
static double write_all(void)
{
	struct timespec from, to;

	clock_gettime(CLOCK_MONOTONIC, &from);
	for (long n = 0; n < files; n++) {
		int fd = open_one(n);

		if (pwrite(fd, "x", 1, 0) != 1)
			die("write");
		close(fd);
	}
	clock_gettime(CLOCK_MONOTONIC, &to);
	return ((to.tv_sec - from.tv_sec) * 1e9 + (to.tv_nsec - from.tv_nsec)) / files;
}

/* Pages that each processor keeps for itself are free as well: MemFree leaves them out. */
static long free_bytes(void)
{
	FILE *f = fopen("/proc/zoneinfo", "re");
	long pages = 0, n;
	char line[128];

	/* what the processors have counted and not told yet */
	if (!f || put("/proc/sys/vm/stat_refresh", "1"))
		die("zoneinfo");
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, " pages free %ld", &n) == 1 ||
		    sscanf(line, " count: %ld", &n) == 1)
			pages += n;
	fclose(f);
	return pages * (long)PAGE;
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

int main(void)
{
	char before[32], text[32];
	double alone, tracked;
	long had, noise;

	if (getenv("CKPT_FILES"))
		files = atol(getenv("CKPT_FILES"));
	make_files();
	noise = free_bytes();
	alone = write_all();
	noise -= free_bytes();
	snprintf(text, sizeof(text), "%d", BOUND);
	if (get(INODES_MAX, before, sizeof(before)) < 0 || put(INODES_MAX, text))
		die("set %s", INODES_MAX);
	changes_open(&c, "files-many");
	put(INODES_MAX, before);
	changes_root(&c, ROOT);
	changes_settle(&c);
	had = free_bytes();
	tracked = write_all();
	had -= free_bytes();
	check(had < BOUND * BYTES_EACH + BYTES_SPARE,
	      "%ld files written in one epoch, %d of them kept: %ld KiB less are free (%ld before)",
	      files, BOUND, had / 1024, noise / 1024);
	changes_take(&c);
	check(c.n == BOUND, "as many inodes as the bound are named (%zu)", c.n);
	check(c.round.lost >= (uint64_t)(files - BOUND), "every other is counted as lost (%llu)",
	      (unsigned long long)c.round.lost);
	changes_commit(&c);
	note("a write of one byte, with open and close: %.0f ns, tracked %.0f ns, ratio %.2f",
	     alone, tracked, tracked / alone);
	changes_close(&c);
	if (umount(ROOT))
		die("umount");
	return finish();
}
