// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * files_ranges_random_test.c: a copy kept up by the told pages alone equals the file
 *
 * A child changes files in random ways, with threads that write while rounds are
 * taken.  After each round the copy gets what was told and no more: the pages of
 * a file with ranges, all of one without, nothing of one that is not named.  With
 * the child stopped copy and file are the same, byte for byte.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/changes.h"
#include "lib/disks.h"
#include "lib/ways.h"
#include "lib/world.h"

#define MUST(call) do { if ((call) < 0) die("%s", #call); } while (0)
#define FILES 4
#define THREADS 2
#define SIZE_MAX_KEPT (3UL << 20)
#define CONTENT (CKPT_INODE_DATA | CKPT_INODE_SUSPECT | CKPT_INODE_CREATED)

enum { BATCH, THREADS_START, THREADS_STOP };

/**
 * struct copy - what is known of a file
 * @ino: whose content it is; 0: none
 */
struct copy {
	uint64_t ino;
	size_t size;
	char data[SIZE_MAX_KEPT + 8 * PAGE];
};

static struct changes c;
static struct child child;
static char paths[FILES][64];
static struct copy now[FILES], committed[FILES];
static size_t with_ranges, without, pages_told;

/* --- the child --- */

static pthread_t threads[THREADS];
static bool quit;
static int held[FILES];

static void settle_pages(int n)
{
	int fd = open(paths[n], O_RDWR | O_CLOEXEC);

	switch (rand() % 4) {
	case 0:
		fsync(fd);
		break;
	case 1:
		sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
		break;
	case 2:
		fsync(fd);
		posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
		break;
	default:
		put("/proc/sys/vm/drop_caches", "1");
	}
	close(fd);
}

/* Keep descriptors open for a while, and files short. */
static void hold(int n, uint64_t *state)
{
	struct stat st;

	if (held[n]) {
		close(held[n]);
		held[n] = 0;
	} else {
		held[n] = open(paths[n], O_WRONLY | O_CLOEXEC);
	}
	if (!stat(paths[n], &st) && (size_t)st.st_size > SIZE_MAX_KEPT / 2)
		MUST(truncate(paths[n], SIZE_MAX_KEPT / 4 + rnd(state) % PAGE));
}

/* Another file of the same name. */
static void replace(int n, uint64_t *state)
{
	char fresh[80], data[PAGE];
	size_t i, pages = 40 + rnd(state) % 40;
	int fd;

	snprintf(fresh, sizeof(fresh), "%s.new", paths[n]);
	MUST(fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
	for (i = 0; i < pages; i++) {
		memset(data, (int)rnd(state), sizeof(data));
		if (write(fd, data, PAGE) != PAGE)
			die("fill %s", fresh);
	}
	MUST(close(fd));
	MUST(rename(fresh, paths[n]));
	if (held[n])
		close(held[n]);
	held[n] = 0;
}

/* One of many; a file is left to plain writes in most batches, or no ranges would be told. */
static void change(int n, bool plain, uint64_t *state)
{
	uint64_t which = rnd(state) % 100;
	int from = (int)(rnd(state) % FILES);

	if (which < 20)
		settle_pages(n);
	else if (plain || which < 60)
		way_go(rnd(state) % WAYS_BY_PAGES, paths[n], paths[from], state);
	else if (which < 92)
		way_go(rnd(state) % WAYS, paths[n], paths[from == n ? (n + 1) % FILES : from],
		       state);
	else if (which < 97)
		hold(n, state);
	else
		replace(n, state);
}

static void *thread(void *arg)
{
	uint64_t state = (uintptr_t)arg;

	while (!__atomic_load_n(&quit, __ATOMIC_RELAXED)) {
		char data[2 * PAGE];
		int fd = open(paths[rnd(&state) % FILES], O_WRONLY | O_CLOEXEC), i;

		for (i = 0; i < 20; i++) {
			memset(data, (int)rnd(&state), sizeof(data));
			MUST(pwrite(fd, data, 1 + rnd(&state) % sizeof(data),
				    rnd(&state) % (40 * PAGE)));
			if (rnd(&state) % 16 == 0)
				fdatasync(fd);
		}
		close(fd);
	}
	return NULL;
}

/* @shared: 0 seed, 1 files that get more than plain writes, 2 operations */
static void step(int n, uint64_t *shared)
{
	size_t i;
	int f;

	switch (n) {
	case BATCH:
		for (i = 0; i < shared[2]; i++) {
			f = (int)(rnd(&shared[0]) % FILES);
			change(f, !(shared[1] & 1u << f), &shared[0]);
		}
		break;
	case THREADS_START:
		quit = false;
		for (i = 0; i < THREADS; i++)
			if (pthread_create(&threads[i], NULL, thread,
					   (void *)(uintptr_t)(rnd(&shared[0]) | 1)))
				die("threads");
		break;
	case THREADS_STOP:
		__atomic_store_n(&quit, true, __ATOMIC_RELAXED);
		for (i = 0; i < THREADS; i++)
			pthread_join(threads[i], NULL);
		break;
	}
}

/* --- the copies --- */

static void read_at(int fd, struct copy *copy, uint64_t from, uint64_t to)
{
	if (to > copy->size)
		to = copy->size;
	if (from < to && pread(fd, copy->data + from, to - from, from) < 0)
		die("read");
}

/* What user space does with what a round says of a file. */
static void apply(int n)
{
	struct copy *copy = &now[n];
	const struct ckpt_extent *ranges;
	int fd = open(paths[n], O_RDONLY | O_CLOEXEC);
	struct stat st;
	size_t nr, i, old = copy->size;

	if (fd < 0 || fstat(fd, &st) || (size_t)st.st_size > sizeof(copy->data))
		die("%s: %ld bytes", paths[n], (long)st.st_size);
	if (!(changes_mask(&c, &st) & CONTENT) && copy->ino == st.st_ino)
		goto out;
	ranges = copy->ino == st.st_ino ? changes_ranges(&c, &st, &nr) : NULL;
	copy->ino = st.st_ino;
	copy->size = st.st_size;
	if (ranges) {
		with_ranges++;
		for (i = 0; i < nr; i++) {
			pages_told += ranges[i].pages;
			read_at(fd, copy, ranges[i].first * PAGE,
				(ranges[i].first + ranges[i].pages) * PAGE);
		}
		read_at(fd, copy, old & -PAGE, copy->size);
	} else {
		without++;
		read_at(fd, copy, 0, copy->size);
	}
out:
	close(fd);
}

static void round_taken(void)
{
	int n;

	changes_take(&c);
	if (c.round.lost)
		die("lost: %llu", (unsigned long long)c.round.lost);
	for (n = 0; n < FILES; n++)
		apply(n);
}

/* The child is stopped. */
static bool same(int n)
{
	static char data[sizeof(now[0].data)];
	int fd = open(paths[n], O_RDONLY | O_CLOEXEC);
	ssize_t len = pread(fd, data, sizeof(data), 0);
	size_t i;

	close(fd);
	if ((size_t)len == now[n].size && !memcmp(data, now[n].data, len))
		return true;
	for (i = 0; i < now[n].size && data[i] == now[n].data[i]; i++)
		;
	note("file %d: %zd bytes, copy %zu, page %zu differs", n, len, now[n].size, i / PAGE);
	return false;
}

static void epoch(uint64_t *state, bool *good)
{
	bool live = rnd(state) % 2;
	int rounds = (int)(rnd(state) % 3), n;

	child.shared[1] = rnd(state) % 3 ? 0 : rnd(state) % (1u << FILES);
	child.shared[2] = 4 + rnd(state) % 30;
	child_step(&child, BATCH);
	if (live)
		child_step(&child, THREADS_START);
	for (n = 0; n < rounds; n++) {
		round_taken();
		child.shared[2] = rnd(state) % 8;
		child_step(&child, BATCH);
	}
	child_stop(&child);
	round_taken();
	for (n = 0; n < FILES; n++)
		*good &= same(n);
	if (rnd(state) % 4) {
		changes_commit(&c);
		memcpy(committed, now, sizeof(now));
	} else {
		changes_abort(&c);
		memcpy(now, committed, sizeof(now));
	}
	child_continue(&child);
	if (live)
		child_step(&child, THREADS_STOP);
}

static void on(const char *root, const char *type, uint64_t seed, int epochs)
{
	uint64_t state = seed;
	bool good = true;
	int n;

	note("on %s, seed %llu", type, (unsigned long long)seed);
	memset(now, 0, sizeof(now));
	memset(committed, 0, sizeof(committed));
	with_ranges = without = pages_told = 0;
	for (n = 0; n < FILES; n++) {
		snprintf(paths[n], sizeof(paths[n]), "%s/%d", root, n);
		replace(n, &state);
	}
	changes_open(&c, "files-ranges-random");
	changes_root(&c, root);
	child_start(&child, c.group, step);
	child.shared[0] = seed;
	for (n = 0; n < epochs && good; n++)
		epoch(&state, &good);
	check(good, "%s: after %d epochs the copy equals the files", type, n);
	check(with_ranges > without / 4, "told by ranges %zu times, %zu pages, whole %zu times",
	      with_ranges, pages_told, without);
	child_end(&child);
	changes_close(&c);
}

int main(void)
{
	const char *epochs = getenv("CKPT_EPOCHS"), *seed = getenv("CKPT_SEED");
	int n = epochs && *epochs ? atoi(epochs) : 20;
	uint64_t first = seed && *seed ? strtoull(seed, NULL, 10) : 1;

	on(disk_mount("ext4"), "ext4", first, n);
	disk_umount("ext4");
	on(disk_mount("xfs"), "xfs", first + 1, n);
	disk_umount("xfs");
	return finish();
}
