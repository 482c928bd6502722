// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * states_test.c: pages that vanish, appear as zeros, or are the file's are told as what they are
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/client.h"
#include "lib/world.h"

#define NR 32
#define LEN (NR * PAGE)

/* Huge pages of zeros, which are one page, walked in pieces. */
#define ZEROS 4
#define TABLES_MAX "/sys/module/ckpt/parameters/tables_max"
/* Two huge pages of shared memory, by three maps. */
#define SHARED_LEN (2 * HUGE)
#define SHARED_NR (SHARED_LEN / PAGE)

static char *anon, *file, *shmem, *huge, *reserve, *huge_shmem, *huge_memfd, *huge_copy;

static void make_file(void)
{
	char buf[PAGE];
	int fd = open("/tmp/states", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int i;

	memset(buf, 9, sizeof(buf));
	for (i = 0; i < NR; i++)
		if (write(fd, buf, PAGE) != PAGE)
			_exit(1);
	file = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	close(fd);
	memset(file, 1, 8 * PAGE);
}

static char touch_all(volatile char *p)
{
	char sum = 0;
	size_t i;

	for (i = 0; i < LEN; i += PAGE)
		sum += p[i];
	return sum;
}

/* With addresses that huge pages fit; @fd: of a memfd, or -1. */
static char *map_huge_shared(int fd, int flags)
{
	char *at = map_anon(SHARED_LEN, HUGE);
	char *p = mmap(at, SHARED_LEN, PROT_READ | PROT_WRITE,
		       flags | MAP_FIXED | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0);

	if (p != at || madvise(p, SHARED_LEN, MADV_HUGEPAGE))
		_exit(1);
	return p;
}

static void make_zeros(uint64_t *shared)
{
	char *p = map_anon(ZEROS * HUGE, HUGE);
	size_t i;

	if (madvise(p, ZEROS * HUGE, MADV_HUGEPAGE))
		_exit(1);
	for (i = 0; i < ZEROS; i++)
		(void)*(volatile char *)(p + i * HUGE);
	shared[5] = (uint64_t)(uintptr_t)p;
}

static void make_huge_shared(uint64_t *shared)
{
	int fd = memfd_create("states", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, SHARED_LEN))
		_exit(1);
	huge_shmem = map_huge_shared(-1, MAP_SHARED);
	huge_memfd = map_huge_shared(fd, MAP_SHARED);
	memset(huge_shmem, 1, SHARED_LEN);
	memset(huge_memfd, 2, SHARED_LEN);
	huge_copy = map_huge_shared(fd, MAP_PRIVATE);
	(void)*(volatile char *)huge_copy;
	(void)*(volatile char *)(huge_copy + HUGE);
	close(fd);
	shared[0] = (uint64_t)(uintptr_t)huge_shmem;
	shared[1] = (uint64_t)(uintptr_t)huge_memfd;
	shared[2] = (uint64_t)(uintptr_t)huge_copy;
}

static void step(int n, uint64_t *shared)
{
	switch (n) {
	case 0:
		anon = map_anon(LEN, 0);
		memset(anon, 1, LEN);
		make_file();
		shmem = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		memset(shmem, 1, LEN);
		huge = map_anon(2 * HUGE, HUGE);
		madvise(huge, 2 * HUGE, MADV_HUGEPAGE);
		memset(huge, 1, 2 * HUGE);
		reserve = mmap(NULL, 1UL << 40, PROT_NONE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		shared[0] = (uint64_t)(uintptr_t)anon;
		shared[1] = (uint64_t)(uintptr_t)file;
		shared[2] = (uint64_t)(uintptr_t)shmem;
		shared[3] = (uint64_t)(uintptr_t)huge;
		shared[4] = (uint64_t)(uintptr_t)reserve;
		break;
	case 1:
		madvise(anon, LEN, MADV_DONTNEED);
		break;
	case 2:
		touch_all(anon);
		break;
	case 3:
		madvise(file, 8 * PAGE, MADV_DONTNEED);
		shared[7] = (uint64_t)touch_all(file);
		break;
	case 4:
		shmem[PAGE] = 2;
		break;
	case 5:
		huge[5] = 2;
		break;
	case 6:	/* the first huge page is split, and only its hole changes */
		madvise(huge + 16 * PAGE, PAGE, MADV_DONTNEED);
		break;
	case 7:
		make_huge_shared(shared);
		break;
	case 9:
		make_zeros(shared);
		break;
	case 8:
		huge_shmem[HUGE + 3 * PAGE]++;
		huge_copy[5 * PAGE]++;
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

static void test_vanish(struct client *c, struct child *child)
{
	uint64_t anon_at = child->shared[0], file_at = child->shared[1];
	struct pages p;

	client_take(c, "states", &p);
	check(count(&p, child->pid, anon_at, NR, CKPT_PAGE_ANON) == NR, "written memory: anon");
	check(count(&p, child->pid, file_at, 8, CKPT_PAGE_ANON) == 8, "written private file: anon");
	check(pages_dirty(&p, child->pid, file_at, file_at + LEN) == 8,
	      "of a new file map only what differs from the file is dirty");
	check(pages_area(&p, child->pid, child->shared[4]) != NULL,
	      "a reservation of 1 TiB is told");
	pages_free(&p);

	child_step(child, 1);
	client_take(c, "states", &p);
	check(count(&p, child->pid, anon_at, NR, CKPT_PAGE_NONE) == NR, "dropped: none");
	pages_free(&p);
	child_step(child, 2);
	client_take(c, "states", &p);
	check(count(&p, child->pid, anon_at, NR, CKPT_PAGE_ZERO) == NR, "dropped and read: zero");
	check(pages_dirty(&p, child->pid, anon_at, anon_at + LEN) == 0, "and nothing to copy");
	pages_free(&p);

	child_step(child, 3);
	client_take(c, "states", &p);
	check(count(&p, child->pid, file_at, NR, CKPT_PAGE_FILE) == NR,
	      "a dropped copy of a file page is the file's again");
	pages_free(&p);
}

static void test_shared(struct client *c, struct child *child)
{
	uint64_t at = child->shared[2];
	const struct area *area;
	struct pages p;

	child_step(child, 4);
	client_take(c, "states", &p);
	area = pages_area(&p, child->pid, at);
	check(area && (area->flags & CKPT_AREA_SHARED) && (area->flags & CKPT_AREA_SHMEM) &&
	      (area->flags & CKPT_AREA_WHOLE), "shared memory is told as such");
	check(pages_dirty(&p, child->pid, at, at + LEN) == NR, "and never said to be unchanged");
	pages_free(&p);
}

static void test_huge(struct client *c, struct child *child)
{
	uint64_t at = child->shared[3];
	struct pages p;
	uint32_t flags;

	client_take(c, "states", &p);
	pages_state(&p, child->pid, at, &flags);
	if (!check(flags & CKPT_RUN_HUGE, "the heap is of huge pages"))
		note("flags %#x", flags);
	check(pages_dirty(&p, child->pid, at, at + 2 * HUGE) == 0, "untouched: clean");
	pages_free(&p);
	child_step(child, 5);
	client_take(c, "states", &p);
	check(pages_dirty(&p, child->pid, at, at + HUGE) == 512, "one byte: 2 MiB");
	check(pages_dirty(&p, child->pid, at + HUGE, at + 2 * HUGE) == 0, "the other is clean");
	pages_free(&p);
	child_step(child, 6);
	client_take(c, "states", &p);
	check(pages_state(&p, child->pid, at + 16 * PAGE, &flags) == CKPT_PAGE_NONE,
	      "a hole in a huge page is told");
	check(pages_dirty(&p, child->pid, at, at + HUGE) == 0,
	      "the pages it was split into are the same (%zu)",
	      pages_dirty(&p, child->pid, at, at + HUGE));
	pages_free(&p);
}

/* The page is at many places, and has moved to none of them. */
static void test_zeros(struct client *c, struct child *child)
{
	size_t i, huge_ones = 0, zeros, told = 0;
	struct pages p;
	uint32_t flags;
	uint64_t at;

	child_step(child, 9);
	at = child->shared[5];
	put(TABLES_MAX, "1");
	client_take(c, "states", &p);
	pages_free(&p);
	for (i = 0; i < ZEROS; i++) {
		client_take(c, "states", &p);
		told += pages_dirty(&p, child->pid, at, at + ZEROS * HUGE);
		pages_state(&p, child->pid, at + i * HUGE, &flags);
		huge_ones += !!(flags & CKPT_RUN_HUGE);
		zeros = count(&p, child->pid, at, ZEROS * HUGE / PAGE, CKPT_PAGE_ZERO);
		pages_free(&p);
	}
	put(TABLES_MAX, "128");
	check(huge_ones == ZEROS && zeros == ZEROS * HUGE / PAGE,
	      "huge pages of zeros are told as what they are (%zu, %zu)", huge_ones, zeros);
	check(!told, "and as untouched, however often they are walked in pieces (%zu)", told);
}

/* KiB of an area that the kernel says are mapped as huge pages of shared memory. */
static long huge_kib(pid_t pid, uint64_t at)
{
	unsigned long start, end, here = 0;
	char path[64], line[512];
	long kib = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/smaps", pid);
	f = fopen(path, "re");
	while (f && kib < 0 && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			here = start;
		else if (here == at)
			sscanf(line, "ShmemPmdMapped: %ld", &kib);
	}
	if (!f)
		die("%s", path);
	fclose(f);
	return kib;
}

/* One case: every page from here on has this state and these flags, and no others. */
static void want_all(const struct pages *p, pid_t pid, uint64_t at, size_t nr, int state,
		     uint32_t flags, const char *what)
{
	size_t i, found = 0;
	uint32_t is;

	for (i = 0; i < nr; i++)
		found += pages_state(p, pid, at + i * PAGE, &is) == state && is == flags;
	check(found == nr, "%s (%zu of %zu)", what, found, nr);
}

/* Huge pages of shared memory: of these no bit says anything either. */
static void test_huge_shared(struct client *c, struct child *child)
{
	const uint32_t whole = CKPT_RUN_HUGE | CKPT_RUN_DIRTY;
	const struct area *area;
	uint64_t shmem_at, memfd_at, copy_at;
	struct pages p;
	uint32_t flags;
	int i;

	if (put("/sys/kernel/mm/transparent_hugepage/shmem_enabled", "advise"))
		die("shmem_enabled");
	child_step(child, 7);
	shmem_at = child->shared[0];
	memfd_at = child->shared[1];
	copy_at = child->shared[2];
	check(huge_kib(child->pid, shmem_at) == SHARED_LEN >> 10 &&
	      huge_kib(child->pid, memfd_at) == SHARED_LEN >> 10 &&
	      huge_kib(child->pid, copy_at) == SHARED_LEN >> 10,
	      "shared memory of huge pages: anonymous %ld KiB, a memfd %ld, a private map %ld",
	      huge_kib(child->pid, shmem_at), huge_kib(child->pid, memfd_at),
	      huge_kib(child->pid, copy_at));
	for (i = 0; i < 2; i++) {
		client_take(c, "states", &p);
		area = pages_area(&p, child->pid, shmem_at);
		check(area && (area->flags & CKPT_AREA_WHOLE) && (area->flags & CKPT_AREA_SHMEM) &&
		      !(area->flags & CKPT_AREA_UNWALKED), "its area is told as shared memory");
		want_all(&p, child->pid, shmem_at, SHARED_NR, CKPT_PAGE_FILE, whole,
			 "all of the anonymous one is told");
		want_all(&p, child->pid, memfd_at, SHARED_NR, CKPT_PAGE_FILE, whole,
			 "all of the memfd");
		want_all(&p, child->pid, copy_at, SHARED_NR, CKPT_PAGE_FILE, CKPT_RUN_HUGE,
			 "the private map is the file's, and not to be copied");
		pages_free(&p);
	}
	child_step(child, 8);
	client_take(c, "states", &p);
	check(pages_dirty(&p, child->pid, shmem_at, shmem_at + SHARED_LEN) == SHARED_NR,
	      "written since: all again");
	check(pages_state(&p, child->pid, copy_at + 5 * PAGE, &flags) == CKPT_PAGE_ANON &&
	      (flags & (CKPT_RUN_DIRTY | CKPT_RUN_HUGE)) == CKPT_RUN_DIRTY,
	      "a page written in the private map is its own");
	check(pages_dirty(&p, child->pid, copy_at, copy_at + SHARED_LEN) == 1,
	      "and the only one to copy");
	want_all(&p, child->pid, copy_at + HUGE, HUGE / PAGE, CKPT_PAGE_FILE, CKPT_RUN_HUGE,
		 "the other huge page stays the file's");
	pages_free(&p);
	put("/sys/kernel/mm/transparent_hugepage/shmem_enabled", "never");
}

int main(void)
{
	struct client c;
	struct child child;

	cgroup_make("states");
	if (client_open(&c) || client_group_new(&c, "states", "/states"))
		die("tag: %s", c.text);
	child_start(&child, "states", step);
	child_step(&child, 0);
	test_vanish(&c, &child);
	test_shared(&c, &child);
	test_huge(&c, &child);
	test_zeros(&c, &child);
	test_huge_shared(&c, &child);
	child_end(&child);
	client_group_del(&c, "states");
	client_close(&c);
	cgroup_gone("states");
	unlink("/tmp/states");
	return finish();
}
