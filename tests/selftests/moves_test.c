// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * moves_test.c: memory that moves by tables of a GiB, that leaves its place mapped, or that comes
 * back to where it was in the middle of an epoch
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "lib/client.h"
#include "lib/paging.h"
#include "lib/world.h"

#define GIB (1UL << 30)
/* Pages of the GiB that are there: one under each of so many page tables. */
#define SPARSE 16
#define STRIDE (GIB / SPARSE)
#define NR 64
#define LEN (2 * HUGE)
/* Pages of small areas that wait in a batch. */
#define FEW 8

enum {
	SETUP,
	GIB_MOVE,	/* by whole tables of tables */
	GIB_AGAIN,	/* a new map where it was */
	LEAVE,		/* pages go, their area stays */
	LEFT_WRITE,	/* a page is written in the area that stayed */
	RETURN,		/* they come back to it */
	WRITE,		/* page 5, where the pages are */
	AWAY,
	BACK,
	FILL,		/* every page of two tables */
	DROP,		/* the last page of the second one, beside a move to no place at all */
};

static char *gib_a, *gib_b, *left, *to, *home, *away, *full;
static bool is_away;

static void *move(char *from, char *at, size_t len, int flags)
{
	char *p = mremap(from, len, len, MREMAP_MAYMOVE | MREMAP_FIXED | flags, at);

	if (p != at)
		_exit(1);
	return p;
}

/* Addresses for a GiB that tables of that size fit. */
static char *reserve_gib(void)
{
	char *p = mmap(NULL, 2 * GIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		       -1, 0);

	if (p == MAP_FAILED)
		_exit(1);
	return (char *)(((uintptr_t)p + GIB - 1) & ~(GIB - 1));
}

static void fill_gib(char *at)
{
	size_t i;

	map_anon_at(at, GIB);
	for (i = 0; i < SPARSE; i++)
		at[i * STRIDE] = 1;
}

static void setup(uint64_t *shared)
{
	/* Small pages, by a switch that keeps areas mergeable. */
	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	gib_a = reserve_gib();
	gib_b = reserve_gib();
	fill_gib(gib_a);
	left = map_anon(LEN, HUGE);
	to = map_anon(LEN, HUGE);
	home = map_anon(LEN, HUGE);
	away = map_anon(LEN, HUGE);
	full = map_anon(LEN, HUGE);
	memset(left, 1, NR * PAGE);
	memset(home, 1, NR * PAGE);
	shared[0] = (uint64_t)(uintptr_t)gib_a;
	shared[1] = (uint64_t)(uintptr_t)gib_b;
	shared[2] = (uint64_t)(uintptr_t)left;
	shared[3] = (uint64_t)(uintptr_t)to;
	shared[4] = (uint64_t)(uintptr_t)home;
	shared[5] = (uint64_t)(uintptr_t)away;
	shared[6] = (uint64_t)(uintptr_t)full;
}

/* To half a page before the last one: refused, whatever there is to move. */
static void drop(void)
{
	size_t off = HUGE - 2 * PAGE + PAGE / 2;

	if (madvise(full + LEN - PAGE, PAGE, MADV_DONTNEED) ||
	    mremap(to + off, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, full + HUGE + off) !=
	    MAP_FAILED)
		_exit(1);
}

static void step(int n, uint64_t *shared)
{
	switch (n) {
	case SETUP:
		setup(shared);
		break;
	case GIB_MOVE:
		move(gib_a, gib_b, GIB, 0);
		break;
	case GIB_AGAIN:
		fill_gib(gib_a);
		break;
	case LEAVE:
		move(left, to, LEN, MREMAP_DONTUNMAP);
		break;
	case LEFT_WRITE:
		left[3 * PAGE] = 2;
		break;
	case RETURN:
		move(to, left, LEN, 0);
		break;
	case WRITE:
		(is_away ? away : home)[5 * PAGE]++;
		break;
	case AWAY:
		move(home, away, LEN, 0);
		is_away = true;
		break;
	case BACK:
		move(away, home, LEN, 0);
		is_away = false;
		break;
	case FILL:
		memset(full, 1, LEN);
		break;
	case DROP:
		drop();
		break;
	}
}

static size_t dirty_gib(const struct pages *p, pid_t pid, uint64_t at)
{
	return pages_dirty(p, pid, at, at + GIB);
}

static void test_gib(struct client *c, const struct child *child)
{
	uint64_t from = child->shared[0], there = child->shared[1];
	const struct area *area;
	struct pages p;

	client_take(c, "moves", &p);
	check(dirty_gib(&p, child->pid, from) <= FEW, "a GiB, untouched: clean");
	pages_free(&p);
	child_step(child, GIB_MOVE);
	client_take(c, "moves", &p);
	check(dirty_gib(&p, child->pid, there) == SPARSE && !pages_area(&p, child->pid, from),
	      "moved: all of its pages are told where they went (%zu)",
	      dirty_gib(&p, child->pid, there));
	area = pages_area(&p, child->pid, there);
	check(area && (area->flags & CKPT_AREA_NEW), "in a new area");
	pages_free(&p);
	child_step(child, GIB_AGAIN);
	client_take(c, "moves", &p);
	check(dirty_gib(&p, child->pid, there) <= FEW, "untouched since: clean");
	pages_free(&p);
	client_take(c, "moves", &p);
	pages_free(&p);
	child_step(child, GIB_MOVE);
	client_take(c, "moves", &p);
	area = pages_area(&p, child->pid, there);
	check(area && !(area->flags & CKPT_AREA_NEW), "a second move looks like the same area");
	check(dirty_gib(&p, child->pid, there) == SPARSE,
	      "and its pages are told by their tables (%zu)", dirty_gib(&p, child->pid, there));
	pages_free(&p);
}

static size_t count(const struct pages *p, pid_t pid, uint64_t start, int state)
{
	uint32_t flags;
	size_t i, found = 0;

	for (i = 0; i < NR; i++)
		found += pages_state(p, pid, start + i * PAGE, &flags) == state;
	return found;
}

/* MREMAP_DONTUNMAP, as garbage collectors use it */
static void test_left(struct client *c, const struct child *child)
{
	uint64_t stays = child->shared[2], there = child->shared[3];
	const struct area *area;
	struct pages p;

	child_step(child, LEAVE);
	client_take(c, "moves", &p);
	area = pages_area(&p, child->pid, there);
	check(pages_dirty(&p, child->pid, there, there + LEN) == NR &&
	      area && (area->flags & CKPT_AREA_NEW),
	      "pages that left their area are told where they went, in a new one");
	check(pages_area(&p, child->pid, stays) &&
	      count(&p, child->pid, stays, CKPT_PAGE_NONE) == NR,
	      "and their area with nothing in it");
	pages_free(&p);
	child_step(child, LEFT_WRITE);
	client_take(c, "moves", &p);
	check(pages_dirty(&p, child->pid, stays, stays + LEN) == 1 &&
	      count(&p, child->pid, stays, CKPT_PAGE_NONE) == NR - 1,
	      "a page written there: that one");
	pages_free(&p);
	client_take(c, "moves", &p);
	pages_free(&p);
	child_step(child, RETURN);
	client_take(c, "moves", &p);
	check(pages_dirty(&p, child->pid, stays, stays + LEN) == NR,
	      "what comes back to it is told whole");
	check(!pages_area(&p, child->pid, there), "and nothing where it was");
	pages_free(&p);
}

/* --- there and back within an epoch --- */

enum end { COMMIT, ABORT };

static void begin(struct client *c, struct round *r)
{
	if (client_begin(c, "moves", r))
		die("begin: %s", c->text);
}

static void next(struct client *c, struct round *r)
{
	if (client_next(c, "moves", 0, r))
		die("next: %s", c->text);
}

static void finished(struct client *c, const struct round *r, enum end end)
{
	uint8_t id[CKPT_ID_LEN] = { 4 };

	if (end == COMMIT ? client_commit(c, "moves", r->epoch, id)
			  : client_abort(c, "moves", r->epoch))
		die("the end of an epoch: %s", c->text);
}

/* How many of the pages does the last round tell, and the written one among them? */
static size_t told(struct client *c, const struct child *child, uint64_t at, bool *ret_written)
{
	struct pages p;
	size_t n;

	if (client_pages(c, "moves", &p))
		die("dump: %s", c->text);
	n = pages_dirty(&p, child->pid, at, at + LEN);
	*ret_written = pages_dirty(&p, child->pid, at + 5 * PAGE, at + 6 * PAGE);
	pages_free(&p);
	return n;
}

static void want_told(struct client *c, const struct child *child, uint64_t at, bool all,
		      const char *what)
{
	bool written;
	size_t n = told(c, child, at, &written);

	check(all ? n == NR : written, "%s (%zu of %d)", what, n, NR);
}

/* Committed and clean, and then a page written. */
static void fresh(struct client *c, const struct child *child)
{
	uint64_t at = child->shared[4];
	struct round r;
	bool written;
	int i;

	for (i = 0; i < 3; i++) {
		batches_drain();
		begin(c, &r);
		finished(c, &r, COMMIT);
	}
	begin(c, &r);
	if (told(c, child, at, &written) > FEW || written)
		die("the pages do not become clean");
	finished(c, &r, COMMIT);
	child_step(child, WRITE);
}

static void test_there_and_back(struct client *c, const struct child *child)
{
	uint64_t at = child->shared[4], there = child->shared[5];
	struct round r;

	fresh(c, child);
	begin(c, &r);
	want_told(c, child, at, false, "a page written and taken where it is");
	child_step(child, AWAY);
	next(c, &r);
	want_told(c, child, there, true, "moved: all, in the next round");
	child_step(child, BACK);
	next(c, &r);
	want_told(c, child, at, true, "moved back: all, in the one after it");
	finished(c, &r, COMMIT);

	fresh(c, child);
	begin(c, &r);
	child_step(child, AWAY);
	child_step(child, WRITE);
	child_step(child, BACK);
	next(c, &r);
	want_told(c, child, at, false, "there and back between two rounds, and written there");
	finished(c, &r, COMMIT);

	fresh(c, child);
	child_step(child, AWAY);
	child_step(child, BACK);
	begin(c, &r);
	want_told(c, child, at, false, "written, there and back before the round");
	child_step(child, AWAY);
	child_step(child, BACK);
	finished(c, &r, ABORT);
	begin(c, &r);
	want_told(c, child, at, false, "taken, there and back, aborted: told again");
	finished(c, &r, COMMIT);

	fresh(c, child);
	begin(c, &r);
	child_step(child, AWAY);
	next(c, &r);
	finished(c, &r, ABORT);
	child_step(child, BACK);
	begin(c, &r);
	want_told(c, child, at, true, "moved, taken, aborted and moved back: all");
	finished(c, &r, COMMIT);

	fresh(c, child);
	begin(c, &r);
	child_step(child, AWAY);
	finished(c, &r, ABORT);
	begin(c, &r);
	want_told(c, child, there, true, "taken, moved and aborted: all where they went");
	child_step(child, BACK);
	finished(c, &r, ABORT);
	begin(c, &r);
	want_told(c, child, at, true, "and all where they came back to");
	finished(c, &r, COMMIT);
}

/* A round has told a page, and where it was is nothing when the reader comes. */
static void test_away_while_read(struct client *c, const struct child *child)
{
	uint64_t page = child->shared[4] + 5 * PAGE;
	struct pages p;
	struct round r;
	uint32_t flags;
	char byte;

	fresh(c, child);
	begin(c, &r);
	want_told(c, child, child->shared[4], false, "a page is told");
	child_step(child, AWAY);
	check(child_read(child->pid, page, &byte, 1) < 0, "it cannot be read while it is away");
	child_step(child, BACK);
	next(c, &r);
	if (client_pages(c, "moves", &p))
		die("dump: %s", c->text);
	check(pages_state(&p, child->pid, page, &flags) == CKPT_PAGE_ANON,
	      "a next round says that it is there (flags %#x): who did not read it must", flags);
	pages_free(&p);
	check(child_read(child->pid, page, &byte, 1) == 1, "and now can");
	finished(c, &r, COMMIT);
}

/* The state of the last page. */
static int last_of_two(struct client *c, const struct child *child, uint32_t *ret_flags)
{
	struct pages p;
	int state;

	client_take(c, "moves", &p);
	state = pages_state(&p, child->pid, child->shared[6] + LEN - PAGE, ret_flags);
	pages_free(&p);
	return state;
}

/* What was asked for is half pages, and each page is told all the same. */
static void test_no_place(struct client *c, const struct child *child)
{
	uint32_t flags;
	int i;

	child_step(child, FILL);
	for (i = 0; i < 3; i++) {
		batches_drain();
		last_of_two(c, child, &flags);
	}
	check(last_of_two(c, child, &flags) == CKPT_PAGE_ANON && !(flags & CKPT_RUN_DIRTY),
	      "the last page of a table: there, and clean");
	child_step(child, DROP);
	check(last_of_two(c, child, &flags) == CKPT_PAGE_NONE,
	      "dropped while a move to half a page was refused: gone");
}

/* The sysctl of all probes; it is refused for a moment after roots were watched. */
static bool probes(const char *value)
{
	int i;

	for (i = 0; i < 50; i++) {
		if (!put("/proc/sys/kernel/ftrace_enabled", value))
			return true;
		usleep(100000);
	}
	return false;
}

/* Nobody hears of moves while probes are off, and that is heard. */
static void test_deaf(struct client *c, const struct child *child)
{
	uint64_t at = child->shared[4];
	struct round r;

	fresh(c, child);
	begin(c, &r);
	finished(c, &r, COMMIT);
	check(probes("0"), "probes are off");
	begin(c, &r);
	want_told(c, child, at, true, "then all is told");
	finished(c, &r, COMMIT);
	check(probes("1"), "probes are on");
	fresh(c, child);
}

int main(void)
{
	struct client c;
	struct child child;
	struct pages p;

	cgroup_make("moves");
	if (client_open(&c) || client_group_new(&c, "moves", "/moves"))
		die("tag: %s", c.text);
	child_start(&child, "moves", step);
	child_step(&child, SETUP);
	batches_drain();
	client_take(&c, "moves", &p);
	pages_free(&p);
	test_gib(&c, &child);
	test_left(&c, &child);
	test_there_and_back(&c, &child);
	test_away_while_read(&c, &child);
	test_no_place(&c, &child);
	test_deaf(&c, &child);
	child_end(&child);
	client_group_del(&c, "moves");
	client_close(&c);
	cgroup_gone("moves");
	return finish();
}
