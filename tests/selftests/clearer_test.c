// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * clearer_test.c: another program that clears soft-dirty bits takes nothing away
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/client.h"
#include "lib/paging.h"
#include "lib/world.h"

#define LEN (64 * PAGE)
#define WRITTEN (13 * PAGE)
#define IDLE (40 * PAGE)
#define ROUNDS 40

enum { SETUP, WRITE, PAGEOUT, NO_VDSO };

static struct client c;
static struct child child;

/* What maps says of the vdso. */
static void unmap_vdso(void)
{
	char line[256], name[64];
	unsigned long start, end;
	FILE *f = fopen("/proc/self/maps", "re");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%lx-%lx %*s %*s %*s %*s %63s", &start, &end, name) == 3 &&
		    !strcmp(name, "[vdso]"))
			munmap((void *)start, end - start);
	if (f)
		fclose(f);
}

static void step(int n, uint64_t *shared)
{
	static char *p;

	switch (n) {
	case SETUP:
		prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
		p = map_anon(LEN, 0);
		memset(p, 1, LEN);
		shared[0] = (uintptr_t)p;
		break;
	case WRITE:
		p[WRITTEN]++;
		break;
	case PAGEOUT:
		madvise(p + WRITTEN, PAGE, MADV_PAGEOUT);
		break;
	case NO_VDSO:
		unmap_vdso();
		break;
	}
}

static void clear(void)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/clear_refs", child.pid);
	if (put(path, "4"))
		die("%s", path);
}

static bool dirty(const struct pages *p, uint64_t offset)
{
	uint64_t addr = child.shared[0] + offset;

	return pages_dirty(p, child.pid, addr, addr + PAGE);
}

/* Written, then swapped out: then the soft-dirty bit is all that tells of it. */
static void write_and_page_out(void)
{
	uint64_t addr = child.shared[0] + WRITTEN;
	int tries;

	child_step(&child, WRITE);
	for (tries = 0; tries < 500; tries++) {
		child_step(&child, PAGEOUT);
		if (entries_with(child.pid, addr, 1, ENTRY_SWAPPED))
			return;
		usleep(20000);
	}
	die("a page is not swapped out");
}

static void take(struct pages *p)
{
	client_take(&c, "clearer", p);
}

static void settle(void)
{
	struct pages p;
	int i;

	batches_drain();
	for (i = 0; i < 2; i++) {
		take(&p);
		pages_free(&p);
	}
}

static void test_cleared(void)
{
	uint64_t addr = child.shared[0] + WRITTEN;
	struct pages p;

	settle();
	take(&p);
	check(!dirty(&p, WRITTEN) && !dirty(&p, IDLE), "what is not written is clean");
	pages_free(&p);
	write_and_page_out();
	check(entries_with(child.pid, addr, 1, ENTRY_SOFT_DIRTY), "a page written has its bit");
	clear();
	check(!entries_with(child.pid, addr, 1, ENTRY_SOFT_DIRTY), "another program clears it");
	take(&p);
	check(dirty(&p, WRITTEN), "the page is told");
	check(dirty(&p, IDLE) && (pages_mm_flags(&p, child.pid) & CKPT_MM_NEW),
	      "with all others, as of a new address space");
	pages_free(&p);
	take(&p);
	check(!dirty(&p, IDLE) && !(pages_mm_flags(&p, child.pid) & CKPT_MM_NEW),
	      "the next take tells only what was written");
	pages_free(&p);
}

/* What a round tells because of it comes back after an abort. */
static void test_abort(void)
{
	struct pages p;
	struct round r;

	settle();
	if (client_begin(&c, "clearer", &r))
		die("begin: %s", c.text);
	write_and_page_out();
	clear();
	if (client_next(&c, "clearer", 0, &r) || client_pages(&c, "clearer", &p))
		die("next: %s", c.text);
	check(dirty(&p, WRITTEN), "a next round tells it");
	pages_free(&p);
	if (client_abort(&c, "clearer", r.epoch))
		die("abort: %s", c.text);
	take(&p);
	check(dirty(&p, WRITTEN) && dirty(&p, IDLE), "and after an abort the next epoch");
	pages_free(&p);
}

/* The bits are cleared all the time: before, between and after the takes. */
static void test_all_the_time(void)
{
	struct pages p;
	int i, lost = 0;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, 9);
		for (;;) {
			clear();
			usleep(2000);
		}
	}
	for (i = 0; i < ROUNDS; i++) {
		write_and_page_out();
		take(&p);
		lost += !dirty(&p, WRITTEN);
		pages_free(&p);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	check(!lost, "%d writes beside it: %d were not told", ROUNDS, lost);
}

static void test_no_vdso(void)
{
	struct pages p;
	int i;

	settle();
	child_step(&child, NO_VDSO);
	for (i = 0; i < 2; i++) {
		take(&p);
		check(dirty(&p, IDLE), "without a vdso all is told, time %d", i + 1);
		pages_free(&p);
	}
}

int main(void)
{
	swap_start();
	cgroup_make("clearer");
	if (client_open(&c) || client_group_new(&c, "clearer", "/clearer"))
		die("tag: %s", c.text);
	child_start(&child, "clearer", step);
	child_step(&child, SETUP);
	test_cleared();
	test_abort();
	test_all_the_time();
	test_no_vdso();
	child_end(&child);
	client_group_del(&c, "clearer");
	client_close(&c);
	cgroup_gone("clearer");
	swap_end();
	return finish();
}
