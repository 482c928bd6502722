// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ksm_test.c: pages that KSM merged, and that show no trace of it, are reported
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "lib/client.h"
#include "lib/paging.h"
#include "lib/world.h"

#define KSM "/sys/kernel/mm/ksm/"
#define NR 32

enum { MAP, SAME, DROP, PAGEOUT, NOT_ANY_MORE, READ, MERGEABLE };

static struct client c;
static struct child child;

/* Two halves of NR pages: what one half holds at the end was in both in between. */
static void step(int n, uint64_t *shared)
{
	static char *mem;
	size_t i;

	switch (n) {
	case MAP:
		prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
		mem = map_anon(2 * NR * PAGE, 0);
		for (i = 0; i < 2 * NR; i++)
			memset(mem + i * PAGE, (int)(i + 1), PAGE);
		shared[0] = (uint64_t)(uintptr_t)mem;
		break;
	case MERGEABLE:
		if (madvise(mem, 2 * NR * PAGE, MADV_MERGEABLE))
			_exit(1);
		break;
	case SAME:
		for (i = 0; i < 2 * NR; i++)
			memset(mem + i * PAGE, (int)(i % NR + 100), PAGE);
		break;
	case DROP:
		madvise(mem + NR * PAGE, NR * PAGE, MADV_DONTNEED);
		break;
	case PAGEOUT:
		madvise(mem, NR * PAGE, MADV_PAGEOUT);
		break;
	case NOT_ANY_MORE:
		madvise(mem, 2 * NR * PAGE, MADV_UNMERGEABLE);
		break;
	case READ:
		for (i = 0; i < NR; i++)
			shared[1] += *(volatile char *)(mem + i * PAGE);
		break;
	}
}

static long number(const char *file)
{
	char text[32];

	return get(file, text, sizeof(text)) < 0 ? -1 : atol(text);
}

static void take(struct pages *p)
{
	uint8_t id[CKPT_ID_LEN] = { 8 };
	struct round r;

	if (client_begin(&c, "ksm", &r) || client_pages(&c, "ksm", p) ||
	    client_commit(&c, "ksm", r.epoch, id))
		die("take: %s", c.text);
}

/* Return: pages of the first half that the last take reports dirty. */
static size_t dirty(const struct pages *p)
{
	uint64_t at = child.shared[0];

	return pages_dirty(p, child.pid, at, at + NR * PAGE);
}

/* Return: pages of the first half that are told as merged. */
static size_t merged(const struct pages *p)
{
	uint32_t flags;
	size_t i, nr = 0;

	for (i = 0; i < NR; i++)
		nr += pages_state(p, child.pid, child.shared[0] + i * PAGE, &flags) ==
		      CKPT_PAGE_ANON && (flags & CKPT_RUN_KSM) && (flags & CKPT_RUN_DIRTY);
	return nr;
}

static void merge(void)
{
	int tries;

	put(KSM "smart_scan", "0");
	if (put(KSM "pages_to_scan", "1000") || put(KSM "sleep_millisecs", "10") ||
	    put(KSM "run", "1"))
		die("start KSM");
	for (tries = 0; number(KSM "pages_sharing") < NR && tries < 500; tries++)
		usleep(20000);
	check(number(KSM "pages_sharing") >= NR, "KSM has merged the halves (%ld)",
	      number(KSM "pages_sharing"));
	put(KSM "run", "0");
}

static void swap_out(void)
{
	uint64_t at = child.shared[0];
	int tries;

	child_step(&child, DROP);
	for (tries = 0; tries < 50; tries++) {
		child_step(&child, PAGEOUT);
		if (entries_with(child.pid, at, NR, ENTRY_SWAPPED) == NR)
			break;
		usleep(20000);
	}
	check(entries_with(child.pid, at, NR, ENTRY_SWAPPED) == NR, "they were swapped out (%zu)",
	      entries_with(child.pid, at, NR, ENTRY_SWAPPED));
	check(!entries_with(child.pid, at, NR, ENTRY_SOFT_DIRTY),
	      "and nothing tells that they were written (%zu)",
	      entries_with(child.pid, at, NR, ENTRY_SOFT_DIRTY));
}

/* KSM forgets an address space where it finds nothing to do; then it stops. */
static void forget(void)
{
	long scans = -1;
	int tries;

	child_step(&child, NOT_ANY_MORE);
	put(KSM "run", "1");
	for (tries = 0; number(KSM "full_scans") != scans && tries < 100; tries++) {
		scans = number(KSM "full_scans");
		usleep(300000);
	}
	check(number(KSM "full_scans") == scans, "KSM has forgotten the process");
	put(KSM "run", "0");
}

static void test_merged(void)
{
	struct pages p;

	child_step(&child, MERGEABLE);
	take(&p);
	pages_free(&p);
	take(&p);
	check(dirty(&p) == NR, "where KSM may work nothing is said to be unchanged");
	pages_free(&p);

	child_step(&child, SAME);
	merge();
	take(&p);
	check(merged(&p) == NR, "what it merged is told as that (%zu)", merged(&p));
	pages_free(&p);
	swap_out();
	forget();
	take(&p);
	check(dirty(&p) == NR, "what it did is reported after it has gone (%zu)", dirty(&p));
	pages_free(&p);
	child_step(&child, READ);
	take(&p);
	check(dirty(&p) == NR, "and after the pages came back (%zu)", dirty(&p));
	pages_free(&p);
}

/* Between two takes: neither finds that it has been there. */
static void test_come_and_gone(void)
{
	struct pages p;

	batches_drain();
	take(&p);
	pages_free(&p);
	take(&p);
	check(!dirty(&p), "what is not written is clean (%zu)", dirty(&p));
	pages_free(&p);
	child_step(&child, SAME);
	child_step(&child, MERGEABLE);
	merge();
	forget();
	note("%zu pages tell that they were written",
	     entries_with(child.pid, child.shared[0], NR, ENTRY_SOFT_DIRTY));
	take(&p);
	check(dirty(&p) == NR, "what was written before it came is reported (%zu)", dirty(&p));
	pages_free(&p);
}

static void with_child(void (*test)(void))
{
	child_start(&child, "ksm", step);
	child_step(&child, MAP);
	test();
	child_end(&child);
}

int main(void)
{
	if (access(KSM "run", W_OK)) {
		printf("ok 1 - KSM # SKIP the kernel has none\n1..1\n");
		return 0;
	}
	swap_start();
	cgroup_make("ksm");
	if (client_open(&c) || client_group_new(&c, "ksm", "/ksm"))
		die("tag: %s", c.text);
	with_child(test_merged);
	with_child(test_come_and_gone);
	client_group_del(&c, "ksm");
	client_close(&c);
	cgroup_gone("ksm");
	swap_end();
	return finish();
}
