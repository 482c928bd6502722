// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sparse_test.c: what a multi-threaded child writes here and there is reported, not much more
 */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/client.h"
#include "lib/world.h"

#define PAGES 8192
#define WRITES 300
/* Stack, heap and libc of the child, pages in a CPU's LRU batch. */
#define SLACK 60

static char *mem;
static volatile int hold = 1;

static void *idle(void *arg)
{
	while (hold)
		sched_yield();
	return arg;
}

static void write_pages(uint64_t seed)
{
	uint64_t page;
	int i;

	for (i = 0; i < WRITES; i++) {
		page = rnd(&seed) % PAGES;
		mem[page * PAGE + 17] = (char)rnd(&seed);
	}
}

static void step(int n, uint64_t *shared)
{
	pthread_t thread;

	if (n == 0) {
		mem = map_anon(PAGES * PAGE, 0);
		madvise(mem, PAGES * PAGE, MADV_NOHUGEPAGE);
		memset(mem, 1, PAGES * PAGE);
		shared[0] = (uint64_t)(uintptr_t)mem;
		/* A second thread, so that pages are written on both CPUs. */
		pthread_create(&thread, NULL, idle, NULL);
		return;
	}
	write_pages((uint64_t)n * 7919);
}

/* The pages step n writes, as the child computes them. */
static void expect_pages(bool *written, int n)
{
	uint64_t seed = (uint64_t)n * 7919;
	int i;

	memset(written, 0, PAGES);
	for (i = 0; i < WRITES; i++) {
		written[rnd(&seed) % PAGES] = true;
		rnd(&seed);
	}
}

static void compare(const struct pages *p, const struct child *c, int n)
{
	static bool written[PAGES];
	uint64_t base = c->shared[0];
	size_t missed = 0, want = 0, dirty;
	uint32_t flags;
	size_t i;

	expect_pages(written, n);
	for (i = 0; i < PAGES; i++) {
		if (!written[i])
			continue;
		want++;
		if (pages_state(p, c->pid, base + i * PAGE, &flags) != CKPT_PAGE_ANON ||
		    !(flags & CKPT_RUN_DIRTY))
			missed++;
	}
	dirty = pages_dirty(p, c->pid, base, base + PAGES * PAGE);
	check(!missed, "round after step %d: none of %zu written pages is missed (%zu)", n, want,
	      missed);
	check(dirty <= want + SLACK, "and not many more are reported (%zu of %u)", dirty, PAGES);
}

/* On a busy machine a round may not have had the lock: the next one tells it. */
static void dump(struct client *c, const struct child *child, struct round *r, struct pages *p)
{
	int tries;

	for (tries = 0; ; tries++) {
		if (client_pages(c, "sparse", p))
			die("dump: %s", c->text);
		if (!(pages_mm_flags(p, child->pid) & CKPT_MM_BUSY) || tries == 20)
			return;
		pages_free(p);
		if (client_next(c, "sparse", 0, r))
			die("next: %s", c->text);
	}
}

int main(void)
{
	uint8_t id[CKPT_ID_LEN] = { 1 };
	struct client c;
	struct child child;
	struct pages p;
	struct round r;
	int n;

	cgroup_make("sparse");
	if (client_open(&c) || client_group_new(&c, "sparse", "/sparse"))
		die("tag: %s", c.text);
	child_start(&child, "sparse", step);
	child_step(&child, 0);
	check(!client_begin(&c, "sparse", &r), "begin %s", c.text);
	dump(&c, &child, &r, &p);
	check(pages_dirty(&p, child.pid, child.shared[0], child.shared[0] + PAGES * PAGE) == PAGES,
	      "a new mm is reported whole");
	check(pages_mm_flags(&p, child.pid) == CKPT_MM_NEW, "and flagged new");
	pages_free(&p);
	for (n = 1; n < 4; n++) {
		child_step(&child, n);
		check(!client_next(&c, "sparse", n == 3 ? CKPT_EPOCH_FINAL : 0, &r), "next");
		dump(&c, &child, &r, &p);
		check(pages_mm_flags(&p, child.pid) == 0, "the mm is known");
		compare(&p, &child, n);
		pages_free(&p);
	}
	check(!client_commit(&c, "sparse", r.epoch, id), "commit");
	child_step(&child, n);
	check(!client_begin(&c, "sparse", &r), "the next epoch begins");
	dump(&c, &child, &r, &p);
	compare(&p, &child, n);
	pages_free(&p);
	child_end(&child);
	client_group_del(&c, "sparse");
	client_close(&c);
	cgroup_gone("sparse");
	return finish();
}
