// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vanish_test.c: pages that go between two takes, by whatever takes them, and those that come below
 * a stack or behind an area
 *
 * Nothing is written where a page goes, so its state is all that tells of it.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/client.h"
#include "lib/paging.h"
#include "lib/world.h"

#define NR 64
#define LEN (NR * PAGE)
#define HALF (NR / 2 * PAGE)
#define NEW 8UL
#define FILE_AT "/scratch/vanish"

/* Steps of the child, and words of the shared page: where its areas are. */
enum { MAKE, SETTLED, LAZY, RECLAIM, CUT, UNMAP, GROW, SHRINK, STRETCH, WRITE_NEW };
enum { LAZY_AT, FILE_MEM, HOLE_AT, STACK_AT, SIZED_AT };

static struct client c;
static struct child child;
static char *lazy, *file, *hole, *stack, *sized;

static char *small(size_t len)
{
	char *p = map_anon(len, 0);

	madvise(p, len, MADV_NOHUGEPAGE);
	memset(p, 1, len);
	return p;
}

/* A private map, all of whose pages are written. */
static char *map_file(void)
{
	int fd = open(FILE_AT, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	char *p;

	if (fd < 0 || ftruncate(fd, LEN))
		_exit(1);
	p = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		_exit(1);
	close(fd);
	memset(p, 2, LEN);
	return p;
}

/* The last page of room for more below it. */
static char *make_stack(void)
{
	char *p = map_anon(LEN + HUGE, 0) + HUGE, *top = p + LEN - PAGE;

	munmap(p - HUGE, LEN + HUGE);
	if (mmap(top, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED |
		 MAP_GROWSDOWN, -1, 0) != top)
		_exit(1);
	*top = 3;
	return top;
}

static void make(uint64_t *shared)
{
	lazy = small(LEN);
	file = map_file();
	hole = small(LEN);
	sized = small(LEN);
	/* the last, or something would be mapped in its room */
	stack = make_stack();
	shared[SIZED_AT] = (uint64_t)(uintptr_t)sized;
	shared[LAZY_AT] = (uint64_t)(uintptr_t)lazy;
	shared[FILE_MEM] = (uint64_t)(uintptr_t)file;
	shared[HOLE_AT] = (uint64_t)(uintptr_t)hole;
	shared[STACK_AT] = (uint64_t)(uintptr_t)stack;
}

static void step(int n, uint64_t *shared)
{
	int bad = 0, i;

	switch (n) {
	case MAKE:
		make(shared);
		break;
	case LAZY:
		bad = madvise(lazy, HALF, MADV_FREE);
		break;
	case RECLAIM:
		bad = madvise(lazy, HALF, MADV_PAGEOUT);
		break;
	case CUT:
		bad = truncate(FILE_AT, HALF);
		break;
	case UNMAP:
		bad = munmap(hole + 8 * PAGE, 8 * PAGE);
		break;
	case GROW:
		for (i = 1; i < 8; i++)
			*((volatile char *)stack - i * (long)PAGE) = 3;
		break;
	case SHRINK:
		bad = mremap(sized, LEN, HALF, 0) != sized;
		break;
	case STRETCH:
		bad = mremap(sized, HALF, LEN, 0) != sized;
		break;
	case WRITE_NEW:
		memset(sized + HALF + 4 * PAGE, 4, NEW * PAGE);
		break;
	}
	if (bad)
		_exit(1);
}

static struct pages take_after(int n)
{
	struct pages p;

	child_step(&child, n);
	client_take(&c, "vanish", &p);
	return p;
}

/* New pages wait in batches for a while, and look like those that a device has. */
static void settle(void)
{
	struct pages p;
	int i;

	for (i = 0; i < 3; i++) {
		batches_drain();
		p = take_after(SETTLED);
		pages_free(&p);
	}
}

/* How many of @nr pages have a state. */
static size_t in_state(const struct pages *p, uint64_t at, size_t nr, int state)
{
	uint32_t flags;
	size_t i, n = 0;

	for (i = 0; i < nr; i++)
		n += pages_state(p, child.pid, at + i * PAGE, &flags) == state;
	return n;
}

static void test_lazy(void)
{
	uint64_t at = child.shared[LAZY_AT];
	struct pages p = take_after(LAZY);
	int tries;

	check(in_state(&p, at, NR, CKPT_PAGE_ANON) == NR, "given up lazily, not taken: as before");
	pages_free(&p);
	/* what waits in a batch just now is left alone */
	for (tries = 0; entries_with(child.pid, at, NR / 2, ENTRY_PRESENT) && tries < 50; tries++) {
		batches_drain();
		child_step(&child, RECLAIM);
	}
	p = take_after(SETTLED);
	check(in_state(&p, at, NR / 2, CKPT_PAGE_NONE) == NR / 2, "taken: not there");
	check(in_state(&p, at + HALF, NR / 2, CKPT_PAGE_ANON) == NR / 2 &&
	      !pages_dirty(&p, child.pid, at, at + LEN), "the rest is as it was");
	pages_free(&p);
}

static void test_cut(void)
{
	uint64_t at = child.shared[FILE_MEM];
	struct pages p = take_after(CUT);

	check(in_state(&p, at + HALF, NR / 2, CKPT_PAGE_NONE) == NR / 2,
	      "a file is truncated: of a private map not even the written pages are left");
	check(in_state(&p, at, NR / 2, CKPT_PAGE_ANON) == NR / 2 &&
	      !pages_dirty(&p, child.pid, at, at + LEN), "before its end they are");
	pages_free(&p);
}

static void test_unmap(void)
{
	uint64_t at = child.shared[HOLE_AT];
	struct pages p = take_after(UNMAP);

	check(!pages_area(&p, child.pid, at + 8 * PAGE) &&
	      !pages_area(&p, child.pid, at + 15 * PAGE),
	      "a hole is unmapped: no area is there");
	check(in_state(&p, at, 8, CKPT_PAGE_ANON) == 8 &&
	      in_state(&p, at + 16 * PAGE, NR - 16, CKPT_PAGE_ANON) == NR - 16,
	      "on both sides there is");
	pages_free(&p);
}

static void test_grow(void)
{
	uint64_t top = child.shared[STACK_AT];
	struct pages p = take_after(GROW);

	check(pages_dirty(&p, child.pid, top - 7 * PAGE, top) == 7,
	      "a stack has grown: its new pages are dirty");
	pages_free(&p);
	settle();
	p = take_after(SETTLED);
	check(!pages_dirty(&p, child.pid, top - 7 * PAGE, top + PAGE), "and then not any more");
	pages_free(&p);
}

/* An area that is made smaller and larger where it is. */
static void test_resized(void)
{
	uint64_t at = child.shared[SIZED_AT], new = at + HALF + 4 * PAGE;
	struct pages p;

	settle();
	p = take_after(SHRINK);
	check(!pages_area(&p, child.pid, at + HALF) && !pages_area(&p, child.pid, at + LEN - PAGE),
	      "an area has shrunk: behind its end there is none");
	check(in_state(&p, at, NR / 2, CKPT_PAGE_ANON) == NR / 2 &&
	      !pages_dirty(&p, child.pid, at, at + HALF), "before it all is as it was");
	pages_free(&p);
	p = take_after(STRETCH);
	check(pages_area(&p, child.pid, at + LEN - PAGE) &&
	      in_state(&p, at + HALF, NR / 2, CKPT_PAGE_NONE) == NR / 2,
	      "it has grown again: nothing is where its pages were");
	check(in_state(&p, at, NR / 2, CKPT_PAGE_ANON) == NR / 2 &&
	      !pages_dirty(&p, child.pid, at, at + HALF), "before them all is as it was");
	pages_free(&p);
	p = take_after(WRITE_NEW);
	check(pages_dirty(&p, child.pid, new, new + NEW * PAGE) == NEW, "new pages are told");
	check(in_state(&p, at + HALF, NR / 2, CKPT_PAGE_NONE) == NR / 2 - NEW &&
	      pages_dirty(&p, child.pid, at, at + LEN) == NEW, "and nothing else");
	pages_free(&p);
	settle();
	p = take_after(SETTLED);
	check(in_state(&p, new, NEW, CKPT_PAGE_ANON) == NEW &&
	      !pages_dirty(&p, child.pid, at, at + LEN), "and then not any more");
	pages_free(&p);
	/* shrunk and grown between two takes: no bit tells of the pages that went */
	child_step(&child, SHRINK);
	p = take_after(STRETCH);
	check(in_state(&p, at + HALF, NR / 2, CKPT_PAGE_NONE) == NR / 2 &&
	      !pages_dirty(&p, child.pid, at, at + LEN), "both between two takes: they are gone");
	pages_free(&p);
}

int main(void)
{
	cgroup_make("vanish");
	if (client_open(&c) || client_group_new(&c, "vanish", "/vanish"))
		die("tag: %s", c.text);
	child_start(&child, "vanish", step);
	child_step(&child, MAKE);
	swap_start();
	settle();
	test_lazy();
	test_cut();
	test_unmap();
	test_grow();
	test_resized();
	child_end(&child);
	swap_end();
	client_group_del(&c, "vanish");
	client_close(&c);
	cgroup_gone("vanish");
	unlink(FILE_AT);
	return finish();
}
