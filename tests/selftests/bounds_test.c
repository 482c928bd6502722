// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * bounds_test.c: an address space of more runs than are kept is all to be copied, and told again;
 * one of the largest size is no work where nothing is mapped; and a walk lets others in
 */
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/client.h"
#include "lib/paging.h"
#include "lib/world.h"

#define RUNS_MAX "/sys/module/ckpt/parameters/runs_max"
/* Every other page is written: more runs than a page table has entries. */
#define NR 4096UL
#define LEN (NR * PAGE)
/* As engines of languages reserve, only more: 33 million page tables would be looked for. */
#define RESERVED (64ULL << 40)
#define TABLES_MAX "/sys/module/ckpt/parameters/tables_max"
/* A page table each. */
#define WIDE_LEN (400 * HUGE)
#define WIDE_TURNS 5

/* Steps of the child, and words of the shared page. */
enum { RESERVE = 100, WIDE, MARK };
enum { AT, BETWEEN, WATCHING };

static struct client c;
static struct child child;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool soft_dirty(int pagemap, const char *p)
{
	uint64_t entry;

	if (pread(pagemap, &entry, 8, (off_t)((uintptr_t)p / PAGE * 8)) != 8)
		_exit(1);
	return entry & ENTRY_SOFT_DIRTY;
}

static char *mem;

/*
 * Count how often the lock was had in the middle of a walk: to read pagemap takes it, and the first
 * page was taken by then and the last was not.
 */
static void *look_between(void *arg)
{
	int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	volatile uint64_t *shared = arg;

	for (;;)
		if (shared[WATCHING] && !soft_dirty(pagemap, mem) &&
		    soft_dirty(pagemap, mem + WIDE_LEN - HUGE))
			shared[BETWEEN]++;
	return NULL;
}

static char *map_wide(char *at, size_t len, int fixed)
{
	char *p = mmap(at, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS |
		       MAP_NORESERVE | fixed, -1, 0);

	if (p == MAP_FAILED || madvise(p, len, MADV_NOHUGEPAGE))
		die("%zu bytes", len);
	return p;
}

/* Page tables, and a page after them that marks them all whenever it is mapped anew. */
static void wide(int n, uint64_t *shared)
{
	pthread_t thread;
	size_t i;

	if (n == WIDE) {
		mem = map_wide(NULL, WIDE_LEN + HUGE + PAGE, 0);
		mem += -(uintptr_t)mem % HUGE;
		for (i = 0; i < WIDE_LEN; i += HUGE)
			mem[i] = 1;
		pthread_create(&thread, NULL, look_between, shared);
		return;
	}
	munmap(mem + WIDE_LEN, PAGE);
	map_wide(mem + WIDE_LEN, PAGE, MAP_FIXED);
	mem[WIDE_LEN - HUGE]++;
	mem[0]++;
}

static void step(int n, uint64_t *shared)
{
	static char *small;
	size_t i;

	if (!n) {
		small = map_anon(LEN, 0);
		madvise(small, LEN, MADV_NOHUGEPAGE);
		memset(small, 1, LEN);
		shared[AT] = (uint64_t)(uintptr_t)small;
		return;
	}
	if (n == WIDE || n == MARK) {
		wide(n, shared);
		return;
	}
	if (n == RESERVE) {
		if (mmap(NULL, RESERVED, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			 -1, 0) == MAP_FAILED)
			die("64 TiB of addresses");
		return;
	}
	for (i = 1; i < NR; i += 2)
		small[i * PAGE] = (char)n;
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
	return pages_dirty(p, child.pid, child.shared[AT], child.shared[AT] + LEN);
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
	check(!dirty(&p) && !pages_area(&p, child.pid, child.shared[AT]), "and tells no pages");
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

/* The least of some epochs: what else happens only makes one longer. */
static double epoch_time(void)
{
	double from, least = 1e9;
	int i;

	for (i = 0; i < 3; i++) {
		from = now();
		settle();
		if (now() - from < least)
			least = now() - from;
	}
	return least;
}

/* The tables above that are not there are stepped over whole. */
static void test_reserved(void)
{
	double without = epoch_time(), with;

	child_step(&child, RESERVE);
	with = epoch_time();
	check(with < 10 * without + 0.2, "64 TiB with nothing in it take no time (%.3f s, %.3f s)",
	      with, without);
}

/* How often the lock was had during some walks. */
static uint64_t had_between(const char *tables)
{
	int i;

	put(TABLES_MAX, tables);
	child.shared[BETWEEN] = 0;
	for (i = 0; i < WIDE_TURNS; i++) {
		child_step(&child, MARK);
		/* in a batch, a page looks as if it were written on */
		batches_drain();
		child.shared[WATCHING] = 1;
		settle();
		child.shared[WATCHING] = 0;
	}
	return child.shared[BETWEEN];
}

/* Also where the area is marked, as a heap that grows is all the time. */
static void test_lets_in(void)
{
	uint64_t at_once, in_parts;

	child_step(&child, WIDE);
	settle();
	at_once = had_between("1000000");
	in_parts = had_between("4");
	/* a page that waits in a batch is marked again by the walk: a few may look like this */
	check(at_once < WIDE_TURNS, "a walk at once lets nobody in (%" PRIu64 ")", at_once);
	check(in_parts >= 10 * WIDE_TURNS, "one in parts does (%" PRIu64 ")", in_parts);
	put(TABLES_MAX, "128");
}

/* In a process of its own, which has some time.  Return: whether it has ended by itself. */
static bool take_ends(void)
{
	struct client own;
	struct pages p;
	int tries, status = -1;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		if (client_open(&own))
			_exit(1);
		client_take(&own, "bounds", &p);
		_exit(!p.nr_areas);
	}
	for (tries = 0; tries < 600 && waitpid(pid, &status, WNOHANG) != pid; tries++)
		usleep(50000);
	if (tries == 600) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	return !status;
}

/* As many page tables as the parameter can say, and all of them in one hold. */
static void test_largest(void)
{
	static const char *const largest[] = { "67108864", "4294967295" };
	size_t i;

	for (i = 0; i < 2; i++) {
		put(TABLES_MAX, largest[i]);
		check(take_ends(), "a walk ends that may take %s page tables at once", largest[i]);
	}
	put(TABLES_MAX, "128");
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
	test_lets_in();
	test_reserved();
	test_largest();
	child_end(&child);
	client_group_del(&c, "bounds");
	client_close(&c);
	cgroup_gone("bounds");
	return finish();
}
