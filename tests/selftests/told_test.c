// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * told_test.c: a page of shared memory is told once in a round, whoever maps it
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/client.h"
#include "lib/world.h"

#define NR 64
#define LEN (NR * PAGE)
#define HALF (LEN / 2)
#define CHILDREN 3

static int memfd;
static char *at;

static void fill(char *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i += PAGE)
		p[i]++;
}

static void step(int n, uint64_t *shared)
{
	switch (n) {
	case 0:
	case 1:
		/* The first half of it, from the second child on all. */
		at = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
		fill(at, n ? LEN : HALF);
		shared[0] = (uintptr_t)at;
		break;
	case 2:
		/* A second time, from the middle on. */
		at = mmap(NULL, HALF, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, HALF);
		fill(at, HALF);
		shared[1] = (uintptr_t)at;
		break;
	case 3:
		at = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE, memfd, 0);
		fill(at, LEN);
		shared[2] = (uintptr_t)at;
		break;
	case 4:
		munmap((void *)(uintptr_t)shared[0], LEN);
		break;
	}
}

static struct client c;
static struct child child[CHILDREN];
static struct pages p;

static void take(uint64_t *ret_dirty)
{
	uint8_t id[CKPT_ID_LEN] = { 5 };
	struct round r;

	pages_free(&p);
	if (client_begin(&c, "told", &r) || client_pages(&c, "told", &p) ||
	    client_commit(&c, "told", r.epoch, id))
		die("take: %s", c.text);
	*ret_dirty = r.dirty_pages;
}

/* How many pages of an area of child @i have runs; two cases. */
static void want(int i, int which, size_t len, size_t pages, bool told, const char *what)
{
	uint64_t start = child[i].shared[which];
	const struct area *a = pages_area(&p, child[i].pid, start);
	size_t n = pages_dirty(&p, child[i].pid, start, start + len);

	check(n == pages, "%s: %zu pages (%zu)", what, pages, n);
	check(a && !!(a->flags & CKPT_AREA_TOLD) == told, "%s: flags %#x", what,
	      a ? a->flags : 0);
}

int main(void)
{
	uint64_t dirty, one;
	int i;

	cgroup_make("told");
	memfd = memfd_create("told", MFD_CLOEXEC);
	if (ftruncate(memfd, (off_t)LEN) || client_open(&c) ||
	    client_group_new(&c, "told", "/told"))
		die("tag: %s", c.text);
	for (i = 0; i < CHILDREN; i++) {
		child_start(&child[i], "told", step);
		take(&dirty);
		child_step(&child[i], i ? 1 : 0);
	}
	take(&dirty);
	want(0, 0, LEN, NR / 2, false, "the first tells what it has mapped");
	want(1, 0, LEN, NR / 2, true, "the second tells the rest");
	want(2, 0, LEN, 0, true, "the third nothing");
	take(&one);
	want(0, 0, LEN, NR / 2, false, "the next round the same");
	want(1, 0, LEN, NR / 2, true, "the next round the same");
	want(2, 0, LEN, 0, true, "the next round the same");

	child_step(&child[0], 2);
	take(&dirty);
	want(0, 1, HALF, NR / 2, false, "a second mapping of the first tells what it has");
	want(1, 0, LEN, 0, true, "and the second process nothing any more");
	check(dirty < one + NR, "counted once (%llu, before %llu)", (unsigned long long)dirty,
	      (unsigned long long)one);

	child_step(&child[2], 3);
	take(&dirty);
	want(2, 2, LEN, NR, false, "private copies are told, whatever the file is");

	for (i = 0; i < 2; i++)
		child_step(&child[i], 4);
	take(&dirty);
	want(2, 0, LEN, NR / 2, true, "what nobody else maps any more is the third's to tell");
	pages_free(&p);
	for (i = 0; i < CHILDREN; i++)
		child_end(&child[i]);
	client_group_del(&c, "told");
	client_close(&c);
	cgroup_gone("told");
	return finish();
}
