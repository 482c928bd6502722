// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * files_during_test.c: a tree that comes into a root while a take is under way
 *
 * A process outside the group has mapped a file of the tree, on an overlay, where closing it is
 * the last event of it that there is.  A take that tells the tree has looked for such processes
 * before it came; the stores that come after the take must be told by the next one.
 *
 * debug: slow
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/changes.h"
#include "lib/disks.h"
#include "lib/world.h"

#define MUST(call) do { if ((call) < 0) die("%s", #call); } while (0)
/* A take looks at each of them, after it has looked for what came. */
#define MAPS 20000
#define TRIES 400
#define HITS 2

static struct changes c;
static char top[64];

/* Every other page of a file, so that the areas stay apart. */
static void step(int n, uint64_t *shared)
{
	char path[96];
	int fd;

	(void)shared;
	snprintf(path, sizeof(path), "%s/root/mapped", top);
	MUST(fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644));
	for (n = 0; n < MAPS; n++)
		if (mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			 2 * n * PAGE) == MAP_FAILED)
			die("mmap");
	close(fd);
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000ULL + t.tv_nsec / 1000;
}

/* How long did the last take last?  Other machines may run beside this one, or end. */
static uint64_t lasted;

static void *take(void *arg)
{
	uint64_t from = now_us();

	changes_take(arg);
	lasted = now_us() - from;
	return NULL;
}

static char *map_file(const char *path)
{
	char *map;
	int fd;

	append(path, "content");
	MUST(truncate(path, PAGE));
	MUST(fd = open(path, O_RDWR | O_CLOEXEC));
	map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		die("mmap %s", path);
	close(fd);
	return map;
}

/*
 * Move a tree in @after microseconds into a take.  Return: whether the take told it and had not
 * seen that it has a writer; then the next one is checked.
 */
static bool come(int nr, uint64_t after)
{
	char from[96], to[96], file[128];
	struct stat dir, f;
	pthread_t thread;
	bool hit;
	char *map;

	snprintf(from, sizeof(from), "%s/away%d", top, nr);
	snprintf(to, sizeof(to), "%s/root/in%d", top, nr);
	snprintf(file, sizeof(file), "%s/f", from);
	MUST(mkdir(from, 0755));
	map = map_file(file);
	dir = changes_id(from);
	f = changes_id(file);
	if (pthread_create(&thread, NULL, take, &c))
		die("thread");
	usleep(after);
	MUST(rename(from, to));
	pthread_join(thread, NULL);
	hit = changes_mask(&c, &dir) & CKPT_INODE_CREATED && !changes_mask(&c, &f);
	map[100]++;
	MUST(munmap(map, PAGE));
	changes_take(&c);
	if (hit)
		check(changes_mask(&c, &f) & CKPT_INODE_SUSPECT, "stored to after that take");
	changes_commit(&c);
	return hit;
}

int main(void)
{
	uint64_t state = 3;
	int tries, hits = 0;
	struct child child;
	char root[80];

	snprintf(top, sizeof(top), "%s/during", disk_mount("overlay"));
	snprintf(root, sizeof(root), "%s/root", top);
	shell("mkdir -p %s", root);
	changes_open(&c, "files-during");
	child_start(&child, c.group, step);
	child_step(&child, 0);
	changes_root(&c, root);
	changes_settle(&c);
	take(&c);
	changes_commit(&c);
	for (tries = 0; tries < TRIES && hits < HITS; tries++)
		hits += come(tries, rnd(&state) % lasted);
	check(hits == HITS, "a tree came between look and round: %d times in %d tries, "
	      "takes of %llu us", hits, tries, (unsigned long long)lasted);
	check(!c.round.lost, "nothing is lost");
	child_end(&child);
	changes_close(&c);
	disk_umount("overlay");
	return finish();
}
