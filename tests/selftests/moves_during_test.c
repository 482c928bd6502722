// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * moves_during_test.c: a page table that moves while a walk has let the lock go
 *
 * The walk finds it at two places.  At one of them it clears the bit of a page, and tells it for
 * that place; at the other, where the table belongs, it finds nothing written.  When the table is
 * home again the next round has to tell the page, though no bit says so any more.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "lib/client.h"
#include "lib/paging.h"
#include "lib/world.h"

/* In rising order, as they are walked; the lock is let go of many times in the long one. */
#define LOW ((char *)0x10000000UL)
#define LONG ((char *)0x40000000UL)
#define LONG_LEN (1000 * HUGE)
#define HIGH ((char *)0x1000000000UL)
#define WRITTEN (5 * PAGE)
#define TABLES_MAX "/sys/module/ckpt/parameters/tables_max"
#define TRIES 200
#define WANTED 3

enum { SETUP_LOW, SETUP_HIGH, WRITE, LEAVE, RETURN, FILL };
/* Words of the shared page. */
enum { GO = 1, DELAY_US, GONE, WHAT };

static struct client c;
static char *home, *away;

static void leave(void)
{
	mremap(home, HUGE, HUGE, MREMAP_MAYMOVE | MREMAP_FIXED, away);
}

static void come_back(void)
{
	mremap(away, HUGE, HUGE, MREMAP_MAYMOVE | MREMAP_FIXED, home);
}

/* Moves the table once, a while after it was asked to. */
static void *mover(void *arg)
{
	volatile uint64_t *shared = arg;

	for (;;) {
		if (!shared[GO]) {
			usleep(200);
			continue;
		}
		usleep((useconds_t)shared[DELAY_US]);
		if (shared[WHAT] == RETURN) {
			come_back();
		} else {
			home[WRITTEN]++;
			leave();
		}
		shared[GO] = 0;
		shared[GONE] = 1;
	}
	return NULL;
}

static void setup(uint64_t *shared, bool low)
{
	pthread_t thread;
	size_t i;

	home = low ? LOW : HIGH;
	away = low ? HIGH : LOW;
	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	memset(map_anon_at(home, HUGE), 1, 16 * PAGE);
	if (mmap(LONG, LONG_LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED |
		 MAP_NORESERVE, -1, 0) != LONG)
		die("mmap");
	/* A page table each. */
	for (i = 0; i < LONG_LEN; i += HUGE)
		(void)*(volatile char *)(LONG + i);
	pthread_create(&thread, NULL, mover, shared);
}

static void step(int n, uint64_t *shared)
{
	switch (n) {
	case SETUP_LOW:
	case SETUP_HIGH:
		setup(shared, n == SETUP_LOW);
		break;
	case WRITE:
		home[WRITTEN]++;
		break;
	case LEAVE:
		leave();
		break;
	case RETURN:
		come_back();
		break;
	case FILL:
		memset(map_anon_at(home, HUGE), 9, 16 * PAGE);
		break;
	}
}

static void take(void)
{
	struct pages p;

	client_take(&c, "moves-during", &p);
	pages_free(&p);
}

/* What a round tells of the page at one of the places. */
static int told(const struct child *child, const char *place, uint32_t *ret_flags)
{
	struct pages p;
	int state;

	if (client_pages(&c, "moves-during", &p))
		die("dump: %s", c.text);
	*ret_flags = 0;
	state = pages_state(&p, child->pid, (uintptr_t)place + WRITTEN, ret_flags);
	pages_free(&p);
	return state;
}

static void commit(const struct round *r)
{
	uint8_t id[CKPT_ID_LEN] = { 9 };

	if (client_commit(&c, "moves-during", r->epoch, id))
		die("commit: %s", c.text);
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* How long did the last walk last?  Other machines may run beside this one, or end. */
static uint64_t lasted;

static void begin(struct round *r)
{
	uint64_t from = now_us();

	if (client_begin(&c, "moves-during", r))
		die("begin: %s", c.text);
	lasted = now_us() - from;
}

/*
 * One epoch of two rounds; the table moves in the first, and is home before the last.
 * Return: was the page found at both places, clean where it belongs; @ret_lost: no round told it.
 */
static bool twice(struct child *child, bool low, uint64_t delay, bool *ret_lost)
{
	volatile uint64_t *shared = child->shared;
	uint32_t at_home, at_away, last;
	int home_state, away_state;
	struct round r;

	take();
	take();
	if (!low) {
		child_step(child, WRITE);
		child_step(child, LEAVE);
	}
	shared[GONE] = 0;
	shared[DELAY_US] = delay;
	shared[WHAT] = low ? LEAVE : RETURN;
	shared[GO] = 1;
	begin(&r);
	while (!shared[GONE])
		usleep(200);
	home_state = told(child, low ? LOW : HIGH, &at_home);
	away_state = told(child, low ? HIGH : LOW, &at_away);
	if (low)
		child_step(child, RETURN);
	if (client_next(&c, "moves-during", CKPT_EPOCH_FINAL, &r))
		die("next: %s", c.text);
	told(child, low ? LOW : HIGH, &last);
	*ret_lost = !((at_home | last) & CKPT_RUN_DIRTY);
	commit(&r);
	return home_state == CKPT_PAGE_ANON && !(at_home & CKPT_RUN_DIRTY) &&
	       away_state == CKPT_PAGE_ANON && (at_away & CKPT_RUN_DIRTY);
}

static void on(bool low)
{
	const char *how = low ? "moved ahead of the walk" : "moved home ahead of the walk";
	int tries, seen = 0, lost = 0;
	uint64_t state = 7;
	struct child child;
	struct round r;
	bool is_lost;

	child_start(&child, "moves-during", step);
	child_step(&child, low ? SETUP_LOW : SETUP_HIGH);
	take();
	begin(&r);
	commit(&r);
	for (tries = 0; tries < TRIES && seen < WANTED; tries++) {
		seen += twice(&child, low, rnd(&state) % lasted, &is_lost);
		lost += is_lost;
	}
	note("a walk takes %llu us; %d tries", (unsigned long long)lasted, tries);
	check(seen == WANTED, "%s: found at two places %d times", how, seen);
	check(!lost, "%s: and not told %d times", how, lost);
	child_end(&child);
}

/* Who copies what a live round told reads what is there then. */
static void copied_meanwhile(void)
{
	struct child child;
	struct round r;
	uint32_t flags;

	child_start(&child, "moves-during", step);
	child_step(&child, SETUP_LOW);
	take();
	batches_drain();
	take();
	take();
	child_step(&child, WRITE);
	begin(&r);
	told(&child, LOW, &flags);
	check(flags & CKPT_RUN_DIRTY, "a live round tells what was written");
	child_step(&child, LEAVE);
	child_step(&child, FILL);
	child_step(&child, RETURN);
	if (client_next(&c, "moves-during", CKPT_EPOCH_FINAL, &r))
		die("next: %s", c.text);
	told(&child, LOW, &flags);
	check(flags & CKPT_RUN_DIRTY,
	      "the last tells it again: what was copied may be of what was there meanwhile");
	commit(&r);
	take();
	begin(&r);
	told(&child, LOW, &flags);
	check(!(flags & CKPT_RUN_DIRTY), "and no more after that");
	commit(&r);
	child_end(&child);
}

int main(void)
{
	cgroup_make("moves-during");
	if (client_open(&c) || client_group_new(&c, "moves-during", "/moves-during"))
		die("tag: %s", c.text);
	put(TABLES_MAX, "1");
	on(true);
	on(false);
	put(TABLES_MAX, "128");
	copied_meanwhile();
	client_group_del(&c, "moves-during");
	client_close(&c);
	cgroup_gone("moves-during");
	return finish();
}
