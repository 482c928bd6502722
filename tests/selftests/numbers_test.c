// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * numbers_test.c: what a round says is dirty and resident is what its runs say, and what there is;
 * and what is said of all rounds is their sum
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <netlink/attr.h>

#include "lib/client.h"
#include "lib/paging.h"
#include "lib/world.h"

#define PAGES 4000
#define SHARED_PAGES 40
#define TOUCHED 100
#define SYS "/sys/kernel/ckpt/groups/numbers/"

enum { STEP_MIXED, STEP_TOUCH };

static const uint8_t id[CKPT_ID_LEN] = { 3 };
static char *mem, *huge;

/* Written, only read, given back, shared, and of a file. */
static void mixed(void)
{
	volatile char *only_read = map_anon(10 * PAGE, 0);
	int fd = memfd_create("numbers", MFD_CLOEXEC);
	size_t i;

	mem = map_anon(PAGES * PAGE, 0);
	madvise(mem, PAGES * PAGE, MADV_NOHUGEPAGE);
	memset(mem, 1, PAGES * PAGE);
	madvise(mem + (PAGES - 50) * PAGE, 50 * PAGE, MADV_DONTNEED);
	for (i = 0; i < 10; i++)
		(void)only_read[i * PAGE];
	huge = map_anon(HUGE, HUGE);
	memset(huge, 1, HUGE);
	if (fd < 0 || ftruncate(fd, SHARED_PAGES * PAGE))
		_exit(1);
	memset(mmap(NULL, SHARED_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), 1,
	       SHARED_PAGES * PAGE);
	close(fd);
}

static void step(int n, uint64_t *shared)
{
	size_t i;

	(void)shared;
	if (n == STEP_MIXED)
		mixed();
	for (i = 0; n == STEP_TOUCH && i < TOUCHED; i++)
		mem[i * 7 * PAGE]++;
}

/* Pages of the round's runs that say so, and those that have a page or an entry of swap. */
static void sums(const struct pages *p, uint64_t *ret_dirty, uint64_t *ret_resident)
{
	const struct area *a;
	const struct ckpt_run *r;
	size_t i, j;

	*ret_dirty = *ret_resident = 0;
	for (i = 0; i < p->nr_areas; i++) {
		a = &p->area[i];
		for (j = 0; j < a->nr_runs; j++) {
			r = &p->run[a->run + j];
			if (r->flags & CKPT_RUN_DIRTY)
				*ret_dirty += r->pages;
			if (r->state != CKPT_PAGE_ZERO && r->state != CKPT_PAGE_GUARD &&
			    (r->state != CKPT_PAGE_FILE || (a->flags & CKPT_AREA_SHARED)))
				*ret_resident += r->pages;
		}
	}
}

/* The page frame of zeros, which is nobody's. */
static uint64_t zero_frame(void)
{
	volatile char *p = map_anon(PAGE, 0);
	uint64_t entry = 0;
	int map = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	(void)*p;
	if (pread(map, &entry, sizeof(entry), (off_t)((uintptr_t)p / PAGE * 8)) != sizeof(entry))
		die("pagemap");
	close(map);
	munmap((void *)p, PAGE);
	return entry & ENTRY_FRAME;
}

/* Pages and entries of swap between two addresses, as the kernel's pagemap has them. */
static uint64_t in_area(int map, uint64_t from, uint64_t to, bool shared, uint64_t zero)
{
	uint64_t entry, n = 0;

	for (; from < to; from += PAGE) {
		if (pread(map, &entry, sizeof(entry), (off_t)(from / PAGE * 8)) != sizeof(entry))
			die("pagemap");
		if (!(entry & (ENTRY_PRESENT | ENTRY_SWAPPED)))
			continue;
		if (shared || (entry & ENTRY_SWAPPED) ||
		    (!(entry & ENTRY_FILE) && (entry & ENTRY_FRAME) != zero))
			n++;
	}
	return n;
}

/* The same of a process that does nothing. */
static uint64_t resident(pid_t pid)
{
	uint64_t from, to, n = 0, zero = zero_frame();
	char path[64], line[512], mode[8];
	int map;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	map = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	f = fopen(path, "re");
	if (map < 0 || !f)
		die("%s", path);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx %7s", &from, &to, mode) != 3)
			die("%s: %s", path, line);
		/* what the kernel shows every process is no area that is walked */
		if (!strstr(line, "[v"))
			n += in_area(map, from, to, mode[3] == 's', zero);
	}
	fclose(f);
	close(map);
	return n;
}

/* The numbers of a round are those of its runs, and of what is there. */
static void want_true(struct client *c, const struct child *child, const struct round *r,
		      const char *what)
{
	uint64_t dirty, there;
	struct pages p;

	if (client_pages(c, "numbers", &p))
		die("dump: %s", c->text);
	sums(&p, &dirty, &there);
	check(dirty == r->dirty_pages, "%s: %lu pages dirty, the runs say %lu", what,
	      r->dirty_pages, dirty);
	check(there == r->resident_pages && resident(child->pid) == there,
	      "%s: %lu pages resident, the runs say %lu, the kernel %lu", what,
	      r->resident_pages, there, resident(child->pid));
	pages_free(&p);
}

static void test_numbers(struct client *c)
{
	struct child child;
	struct round r;

	child_start(&child, "numbers", step);
	child_step(&child, STEP_MIXED);
	if (client_begin(c, "numbers", &r))
		die("begin: %s", c->text);
	want_true(c, &child, &r, "all new");
	check(r.dirty_pages == r.resident_pages, "all that is resident is dirty");
	child_step(&child, STEP_TOUCH);
	batches_drain();
	if (client_next(c, "numbers", 0, &r))
		die("next: %s", c->text);
	child_step(&child, STEP_TOUCH);
	if (client_next(c, "numbers", 0, &r))
		die("next: %s", c->text);
	want_true(c, &child, &r, "some written");
	check(r.dirty_pages >= TOUCHED + SHARED_PAGES && r.dirty_pages < r.resident_pages / 2,
	      "the ones written and those of shared memory, no half of all");
	if (client_commit(c, "numbers", r.epoch, id))
		die("commit: %s", c->text);
	child_end(&child);
}

/* What a dump of groups says of ours. */
struct said {
	uint64_t taken;
	uint64_t lost;
};

static void got_group(struct nlattr **attrs, void *data)
{
	struct said *said = data;

	if (strcmp(nla_get_string(attrs[CKPT_A_GROUP_NAME]), "numbers"))
		return;
	said->taken = nla_get_u64(attrs[CKPT_A_TAKEN]);
	said->lost = nla_get_u64(attrs[CKPT_A_LOST]);
}

/* One case: these are the numbers, in the attributes and in sysfs. */
static void want_said(struct client *c, uint64_t taken, uint64_t lost, const char *when)
{
	struct said said = { UINT64_MAX, UINT64_MAX };
	char in_taken[32] = "", in_lost[32] = "";

	client_group_list(c, got_group, &said);
	get(SYS "taken", in_taken, sizeof(in_taken));
	get(SYS "lost", in_lost, sizeof(in_lost));
	check(said.taken == taken && strtoull(in_taken, NULL, 10) == taken,
	      "%s: %lu pages are taken, said are %lu and %s", when, taken, said.taken, in_taken);
	check(said.lost == lost && strtoull(in_lost, NULL, 10) == lost,
	      "%s: %lu changes are lost, said are %lu and %s", when, lost, said.lost, in_lost);
}

/* A loss: what changes while a root is none is in no set. */
static void lose(struct client *c)
{
	if (client_root(c, CKPT_CMD_ROOT_ADD, "numbers", "/tmp") ||
	    client_root(c, CKPT_CMD_ROOT_DEL, "numbers", "/tmp"))
		die("root: %s", c->text);
}

/* All rounds since the last begin; all losses since the last commit. */
static void test_sums(struct client *c)
{
	struct child child;
	struct round r;
	uint64_t sum;

	child_start(&child, "numbers", step);
	child_step(&child, STEP_MIXED);
	want_said(c, 0, 0, "after a commit");
	lose(c);
	want_said(c, 0, 1, "a root is removed");
	if (client_begin(c, "numbers", &r))
		die("begin: %s", c->text);
	sum = r.dirty_pages;
	check(sum > PAGES / 2 && r.lost == 1, "a round takes both (%lu, %lu)", sum, r.lost);
	want_said(c, sum, 1, "one round");
	lose(c);
	child_step(&child, STEP_TOUCH);
	if (client_next(c, "numbers", 0, &r))
		die("next: %s", c->text);
	sum += r.dirty_pages;
	check(r.dirty_pages >= TOUCHED && r.lost == 2, "the next one more of both (%lu, %lu)",
	      r.dirty_pages, r.lost);
	want_said(c, sum, 2, "two rounds");
	if (client_abort(c, "numbers", r.epoch))
		die("abort: %s", c->text);
	want_said(c, sum, 2, "after an abort");
	if (client_begin(c, "numbers", &r))
		die("begin: %s", c->text);
	check(r.lost == 2, "an abort forgets no loss (%lu)", r.lost);
	want_said(c, r.dirty_pages, 2, "the next begin");
	lose(c);
	if (client_commit(c, "numbers", r.epoch, id))
		die("commit: %s", c->text);
	want_said(c, 0, 1, "a commit, of which the last loss was none");
	child_end(&child);
}

int main(void)
{
	struct client c;

	cgroup_make("numbers");
	if (client_open(&c) || client_group_new(&c, "numbers", "/numbers"))
		die("tag: %s", c.text);
	test_numbers(&c);
	test_sums(&c);
	client_group_del(&c, "numbers");
	client_close(&c);
	cgroup_gone("numbers");
	return finish();
}
