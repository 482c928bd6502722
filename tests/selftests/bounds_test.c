// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * bounds_test.c: an address space of more runs than are kept is all to be copied, and told again
 */
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/client.h"
#include "lib/world.h"

#define RUNS_MAX "/sys/module/ckpt/parameters/runs_max"
/* Every other page is written: more runs than a page table has entries. */
#define NR 4096UL
#define LEN (NR * PAGE)

static struct client c;
static struct child child;

static void step(int n, uint64_t *shared)
{
	static char *mem;
	size_t i;

	if (!n) {
		mem = map_anon(LEN, 0);
		madvise(mem, LEN, MADV_NOHUGEPAGE);
		memset(mem, 1, LEN);
		shared[0] = (uint64_t)(uintptr_t)mem;
		return;
	}
	for (i = 1; i < NR; i += 2)
		mem[i * PAGE] = (char)n;
}

static void begin(struct round *r, struct pages *p)
{
	if (client_begin(&c, "bounds", r) || client_pages(&c, "bounds", p))
		die("begin: %s", c.text);
}

static void commit(const struct round *r)
{
	uint8_t id[CKPT_ID_LEN] = { 9 };

	if (client_commit(&c, "bounds", r->epoch, id))
		die("commit: %s", c.text);
}

static size_t dirty(const struct pages *p)
{
	return pages_dirty(p, child.pid, child.shared[0], child.shared[0] + LEN);
}

static void settle(void)
{
	struct pages p;
	struct round r;

	begin(&r, &p);
	pages_free(&p);
	commit(&r);
}

static void test_over(void)
{
	struct pages p;
	struct round r;

	put(RUNS_MAX, "1000");
	child_step(&child, 2);
	begin(&r, &p);
	check(pages_mm_flags(&p, child.pid) & CKPT_MM_OVERFLOW, "over the bound it says so (%#x)",
	      pages_mm_flags(&p, child.pid));
	check(!dirty(&p) && !pages_area(&p, child.pid, child.shared[0]), "and tells no pages");
	pages_free(&p);
	put(RUNS_MAX, "4194304");
	if (client_next(&c, "bounds", 0, &r) || client_pages(&c, "bounds", &p))
		die("next: %s", c.text);
	check(!(pages_mm_flags(&p, child.pid) & CKPT_MM_OVERFLOW) && dirty(&p) == NR,
	      "the next round tells all of them (%zu)", dirty(&p));
	pages_free(&p);
	commit(&r);
}

/* What was taken over the bound and is given back is all of it. */
static void test_abort(void)
{
	struct pages p;
	struct round r;

	settle();
	put(RUNS_MAX, "1000");
	child_step(&child, 3);
	begin(&r, &p);
	pages_free(&p);
	put(RUNS_MAX, "4194304");
	client_abort(&c, "bounds", r.epoch);
	begin(&r, &p);
	check(dirty(&p) == NR, "after an abort, too (%zu)", dirty(&p));
	pages_free(&p);
	commit(&r);
}

static void test_under(void)
{
	struct pages p;
	struct round r;

	settle();
	settle();
	child_step(&child, 4);
	begin(&r, &p);
	check(dirty(&p) >= NR / 2 && dirty(&p) < NR / 2 + 64,
	      "under the bound the pages written are told (%zu)", dirty(&p));
	pages_free(&p);
	commit(&r);
	put(RUNS_MAX, "4294967295");
	child_step(&child, 5);
	begin(&r, &p);
	check(dirty(&p) >= NR / 2, "a bound above the greatest is the greatest");
	pages_free(&p);
	commit(&r);
	put(RUNS_MAX, "4194304");
}

int main(void)
{
	cgroup_make("bounds");
	if (client_open(&c) || client_group_new(&c, "bounds", "/bounds"))
		die("tag: %s", c.text);
	child_start(&child, "bounds", step);
	child_step(&child, 0);
	settle();
	test_under();
	test_over();
	test_abort();
	child_end(&child);
	client_group_del(&c, "bounds");
	client_close(&c);
	cgroup_gone("bounds");
	return finish();
}
