// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * files_busy_test.c: a process whose mmap lock is not had is asked again, not counted as lost
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/changes.h"
#include "lib/world.h"

#define ROOT "/scratch/files-busy"
#define FILE_NAME ROOT "/f"
/* To read this much in small pages keeps the mmap lock for much longer than a round tries. */
#define HOG_LEN (2UL << 30)
#define TRIES 200

enum { START, MAP, UNMAP };
/* Words of the shared page. */
enum { HOGGING, IDLE_READER, IDLE_WRITER };

static struct changes c;
static char *map;

/* One reader of the lock after the other, each for long. */
static void *hold(void *arg)
{
	volatile uint64_t *shared = arg;

	for (;;) {
		shared[IDLE_READER] = !shared[HOGGING];
		if (shared[HOGGING]) {
			void *p = mmap(NULL, HOG_LEN, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS |
				       MAP_NORESERVE, -1, 0);

			madvise(p, HOG_LEN, MADV_NOHUGEPAGE);
			madvise(p, HOG_LEN, MADV_POPULATE_READ);
			munmap(p, HOG_LEN);
		} else {
			usleep(1000);
		}
	}
	return NULL;
}

/* A writer that waits for it keeps other readers out. */
static void *queue(void *arg)
{
	volatile uint64_t *shared = arg;

	for (;;) {
		shared[IDLE_WRITER] = !shared[HOGGING];
		if (shared[HOGGING])
			munmap(map_anon(PAGE, 0), PAGE);
		usleep(1000);
	}
	return NULL;
}

static void step(int n, uint64_t *shared)
{
	pthread_t thread;
	int fd;

	switch (n) {
	case START:
		pthread_create(&thread, NULL, hold, shared);
		pthread_create(&thread, NULL, queue, shared);
		break;
	case MAP:
		fd = open(FILE_NAME, O_RDWR | O_CLOEXEC);
		map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (fd < 0 || map == MAP_FAILED)
			die("map " FILE_NAME);
		close(fd);
		break;
	case UNMAP:
		munmap(map, PAGE);
		break;
	}
}

static void hog(const struct child *child, bool on)
{
	volatile uint64_t *shared = child->shared;

	shared[HOGGING] = on;
	if (on)
		usleep(50000);
	while (!on && !(shared[IDLE_READER] && shared[IDLE_WRITER]))
		usleep(1000);
}

static uint32_t flags_of_file(void)
{
	struct stat st = changes_id(FILE_NAME);

	return changes_flags(&c, &st);
}

static bool is_suspect(void)
{
	struct stat st = changes_id(FILE_NAME);

	return changes_mask(&c, &st) & CKPT_INODE_SUSPECT;
}

/*
 * A round in which the maps of the child are not seen: it does not tell that the file, mapped
 * since the round before, is mapped.  Now and then the lock is free at the right moment.
 */
static bool round_unseen(const struct child *child)
{
	int tries;

	for (tries = 1; tries <= TRIES; tries++) {
		changes_take(&c);
		child_step(child, MAP);
		hog(child, true);
		changes_take(&c);
		if (!(flags_of_file() & CKPT_INODE_F_MAPPED)) {
			note("%d tries", tries);
			return true;
		}
		hog(child, false);
		child_step(child, UNMAP);
		changes_commit(&c);
		changes_settle(&c);
	}
	return false;
}

static void put_off(const struct child *child)
{
	if (!check(round_unseen(child), "the maps of a busy process are not seen"))
		return;
	check(!c.round.lost, "nothing is lost by that (%llu)", (unsigned long long)c.round.lost);
	check(is_suspect(), "and the file is suspect all the same");
	hog(child, false);
	changes_take(&c);
	check(flags_of_file() & CKPT_INODE_F_MAPPED, "the next round sees them");
	check(!c.round.lost, "and nothing is lost");
	changes_commit(&c);
	child_step(child, UNMAP);
	changes_settle(&c);
}

/* What came in between was seen: its end is no loss. */
static void seen_again(struct child *child)
{
	child_end(child);
	changes_take(&c);
	check(!c.round.lost, "the end of a process that was seen since loses nothing");
	changes_commit(&c);
	changes_settle(&c);
}

static void over_a_commit(struct child *child)
{
	if (!check(round_unseen(child), "not seen in the last round of an epoch"))
		return;
	changes_commit(&c);
	child_end(child);
	changes_take(&c);
	check(c.round.lost == 1, "gone before the next epoch: lost (%llu)",
	      (unsigned long long)c.round.lost);
	changes_commit(&c);
	changes_settle(&c);
	check(!c.round.lost, "but not for ever");
}

/* The last round has no next one.  This child is not stopped, as it ought to be. */
static void in_the_last(const struct child *child)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_nl_round r = { 0 };
	int tries;

	changes_take(&c);
	hog(child, true);
	for (tries = 0; tries < TRIES && !r.lost; tries++)
		if (ckpt_nl_epoch_next(c.nl, c.group, true, &r, &err))
			die("%s", err.text);
	check(r.lost, "not seen in a final round: lost (%llu after %d rounds)",
	      (unsigned long long)r.lost, tries);
	hog(child, false);
	changes_abort(&c);
}

int main(void)
{
	struct child child;

	shell("rm -rf " ROOT " && mkdir " ROOT);
	append(FILE_NAME, "content");
	changes_open(&c, "files-busy");
	changes_root(&c, ROOT);
	changes_settle(&c);
	child_start(&child, c.group, step);
	child_step(&child, START);
	put_off(&child);
	seen_again(&child);
	child_start(&child, c.group, step);
	child_step(&child, START);
	over_a_commit(&child);
	child_start(&child, c.group, step);
	child_step(&child, START);
	in_the_last(&child);
	child_end(&child);
	changes_close(&c);
	shell("rm -rf " ROOT);
	return finish();
}
