// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * areas_test.c: memory that moved, or was mapped anew in place, is reported whatever its bits say
 */
#define MOVES "/sys/module/ckpt/parameters/moves"
#define _GNU_SOURCE
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "lib/client.h"
#include "lib/paging.h"
#include "lib/world.h"

#define LEN (2 * HUGE)
#define NR (LEN / PAGE)
/* Pages that wait in the LRU batches of two CPUs look as if direct I/O held them. */
#define BATCHES 30

static char *a, *b, *odd, *still;

static void *move(char *from, char *to, size_t len)
{
	return mremap(from, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, to);
}

/* A map in place of a page joins its neighbours and marks them: VM_SOFTDIRTY. */
static void merge_new(char *p)
{
	munmap(p, PAGE);
	map_anon_at(p, PAGE);
}

static void step(int n, uint64_t *shared)
{
	switch (n) {
	case 0:
		/* Small pages, by a switch that keeps areas mergeable. */
		prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
		a = map_anon(LEN, HUGE);
		b = map_anon(LEN, HUGE);
		memset(a, 1, LEN);
		memset(b, 2, LEN);
		odd = map_anon(64 * PAGE, 0);
		memset(odd, 3, 64 * PAGE);
		still = map_anon(64 * PAGE, 0);
		memset(still, 6, 64 * PAGE);
		shared[0] = (uint64_t)(uintptr_t)a;
		shared[3] = (uint64_t)(uintptr_t)still;
		shared[1] = (uint64_t)(uintptr_t)b;
		shared[2] = (uint64_t)(uintptr_t)odd;
		break;
	case 1:	/* whole page tables move: the kernel marks nothing */
		move(a, b, LEN);
		break;
	case 2:	/* a new map where a was, to be moved the same way once more */
		map_anon_at(a, LEN);
		memset(a, 4, LEN);
		break;
	case 3:	/* b had the same identity before: only the page tables differ */
		move(a, b, LEN);
		break;
	case 4:	/* a hole, filled again, merged by the neighbour's mprotect */
		munmap(odd + 16 * PAGE, 32 * PAGE);
		map_anon_at(odd + 16 * PAGE, 32 * PAGE);
		odd[20 * PAGE] = 5;
		mprotect(odd, 16 * PAGE, PROT_READ);
		mprotect(odd, 16 * PAGE, PROT_READ | PROT_WRITE);
		break;
	case 5:	/* by single entries: the kernel marks them */
		move(odd, b + PAGE, 16 * PAGE);
		break;
	case 6:	/* merged with a new neighbour an area is marked whole, and not written */
		merge_new(still + 40 * PAGE);
		break;
	case 7:	/* marked so, a page may be written without its soft-dirty bit */
		merge_new(still + 40 * PAGE);
		mprotect(still + 8 * PAGE, 16 * PAGE, PROT_READ);
		mprotect(still + 8 * PAGE, 16 * PAGE, PROT_READ | PROT_WRITE);
		still[13 * PAGE] = 7;
		mprotect(still + 8 * PAGE, 16 * PAGE, PROT_READ);
		mprotect(still + 8 * PAGE, 16 * PAGE, PROT_READ | PROT_WRITE);
		break;
	}
}

/* Where a huge page was, a table of small ones that was moved away from there before. */
static void step_huge(int n, uint64_t *shared)
{
	static char *home, *away;

	switch (n) {
	case 0:
		away = map_anon(HUGE, HUGE);
		home = map_anon(HUGE, HUGE);
		madvise(home, HUGE, MADV_NOHUGEPAGE);
		memset(home, 1, HUGE);
		move(home, away, HUGE);
		map_anon_at(home, HUGE);
		madvise(home, HUGE, MADV_HUGEPAGE);
		memset(home, 2, HUGE);
		shared[0] = (uint64_t)(uintptr_t)home;
		break;
	case 1:
		munmap(home, HUGE);
		move(away, home, HUGE);
		break;
	}
}

static size_t count(const struct pages *p, pid_t pid, uint64_t start, size_t nr, int state)
{
	uint32_t flags;
	size_t i, found = 0;

	for (i = 0; i < nr; i++)
		found += pages_state(p, pid, start + i * PAGE, &flags) == state;
	return found;
}

static void test_moves(struct client *c, struct child *child)
{
	uint64_t from = child->shared[0], to = child->shared[1];
	const struct area *area;
	struct pages p;

	child_step(child, 1);
	client_take(c, "areas", &p);
	check(pages_dirty(&p, child->pid, to, to + LEN) == NR,
	      "an aligned move is reported whole where it went (%zu of %lu)",
	      pages_dirty(&p, child->pid, to, to + LEN), NR);
	area = pages_area(&p, child->pid, to);
	check(area && (area->flags & CKPT_AREA_NEW), "and its area is new");
	check(!pages_area(&p, child->pid, from), "where it came from nothing is left");
	pages_free(&p);

	child_step(child, 2);
	client_take(c, "areas", &p);
	check(pages_dirty(&p, child->pid, to, to + LEN) <= BATCHES, "untouched since: clean");
	pages_free(&p);
	child_step(child, 3);
	client_take(c, "areas", &p);
	area = pages_area(&p, child->pid, to);
	check(area && !(area->flags & CKPT_AREA_NEW), "a second move looks like the same area");
	check(pages_dirty(&p, child->pid, to, to + LEN) == NR,
	      "and is reported whole by its page tables (%zu of %lu)",
	      pages_dirty(&p, child->pid, to, to + LEN), NR);
	pages_free(&p);
}

static void test_merges(struct client *c, struct child *child)
{
	uint64_t to = child->shared[1], odd = child->shared[2], still = child->shared[3];
	struct pages p;
	uint32_t flags;

	child_step(child, 4);
	client_take(c, "areas", &p);
	check(pages_state(&p, child->pid, odd + 20 * PAGE, &flags) == CKPT_PAGE_ANON &&
	      (flags & CKPT_RUN_DIRTY), "the page written in a map filled in place is reported");
	check(count(&p, child->pid, odd + 16 * PAGE, 32, CKPT_PAGE_NONE) == 31,
	      "and the 31 not written are told to be gone");
	check(count(&p, child->pid, odd, 16, CKPT_PAGE_ANON) == 16, "its neighbours are there");
	pages_free(&p);

	child_step(child, 5);
	client_take(c, "areas", &p);
	check(pages_dirty(&p, child->pid, to + PAGE, to + 17 * PAGE) == 16,
	      "an unaligned move is reported");
	check(pages_dirty(&p, child->pid, to + 17 * PAGE, to + LEN) <= BATCHES,
	      "what it did not overwrite is clean");
	pages_free(&p);

	child_step(child, 6);
	client_take(c, "areas", &p);
	check(pages_dirty(&p, child->pid, still, still + 64 * PAGE) <= BATCHES,
	      "an area that was merged with a new one is not reported for it (%zu)",
	      pages_dirty(&p, child->pid, still, still + 64 * PAGE));
	pages_free(&p);

	/* a page that waits in a batch is told once more */
	batches_drain();
	client_take(c, "areas", &p);
	pages_free(&p);
	child_step(child, 7);
	client_take(c, "areas", &p);
	pages_state(&p, child->pid, still + 13 * PAGE, &flags);
	check(flags & CKPT_RUN_DIRTY, "a page written between two mprotects is reported");
	/* Since Linux 6.2 the pages between the two are writable again, and so reported. */
	check(pages_dirty(&p, child->pid, still, still + 8 * PAGE) +
	      pages_dirty(&p, child->pid, still + 24 * PAGE, still + 64 * PAGE) < 16,
	      "the pages beside them are not (%zu, %zu)",
	      pages_dirty(&p, child->pid, still, still + 8 * PAGE),
	      pages_dirty(&p, child->pid, still + 24 * PAGE, still + 64 * PAGE));
	pages_free(&p);
}

static void test_huge(struct client *c)
{
	const struct area *area;
	struct child child;
	struct pages p;
	uint64_t home;
	uint32_t flags;

	child_start(&child, "areas", step_huge);
	child_step(&child, 0);
	home = child.shared[0];
	client_take(c, "areas", &p);
	pages_free(&p);
	client_take(c, "areas", &p);
	pages_state(&p, child.pid, home, &flags);
	check(flags == CKPT_RUN_HUGE, "a huge page, not written since (%#x)", flags);
	pages_free(&p);
	child_step(&child, 1);
	client_take(c, "areas", &p);
	area = pages_area(&p, child.pid, home);
	check(area && !(area->flags & CKPT_AREA_NEW),
	      "small pages take its place, in the same area");
	check(pages_dirty(&p, child.pid, home, home + HUGE) == HUGE / PAGE,
	      "and are all told (%zu of %lu)", pages_dirty(&p, child.pid, home, home + HUGE),
	      HUGE / PAGE);
	pages_free(&p);
	child_end(&child);
}

int main(void)
{
	struct client c;
	struct child child;
	struct pages p;

	/* What page tables tell, where nobody hears of moves. */
	if (put(MOVES, "N"))
		die(MOVES);
	cgroup_make("areas");
	if (client_open(&c) || client_group_new(&c, "areas", "/areas"))
		die("tag: %s", c.text);
	child_start(&child, "areas", step);
	child_step(&child, 0);
	client_take(&c, "areas", &p);
	check(pages_dirty(&p, child.pid, child.shared[0], child.shared[0] + LEN) == NR, "all new");
	pages_free(&p);
	client_take(&c, "areas", &p);
	check(pages_dirty(&p, child.pid, child.shared[0], child.shared[0] + LEN) <= BATCHES,
	      "untouched: clean");
	pages_free(&p);
	test_moves(&c, &child);
	test_merges(&c, &child);
	child_end(&child);
	test_huge(&c);
	client_group_del(&c, "areas");
	client_close(&c);
	cgroup_gone("areas");
	if (put(MOVES, "Y"))
		die(MOVES);
	return finish();
}
