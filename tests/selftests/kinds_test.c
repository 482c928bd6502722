// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kinds_test.c: what is told of every kind of memory that is walked: written pages, or all of it
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/userfaultfd.h>

#include "lib/client.h"
#include "lib/paging.h"
#include "lib/world.h"

#define NR 32
#define LEN (NR * PAGE)
/* In the middle: what the kernel reads ahead or maps around it is in it as well. */
#define WRITTEN 17
/* Pages that the kernel holds for a moment, for work of its own. */
#define FEW 4

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif

enum want {
	EXACT,		/* the page written and nothing that was not */
	WHOLE,		/* every page, always: an area of which the bits say nothing */
};

/* Each maps LEN bytes and fills them. */
static char *filled(void *p)
{
	if (p == MAP_FAILED)
		return NULL;
	madvise(p, LEN, MADV_NOHUGEPAGE);
	memset(p, 1, LEN);
	return p;
}

static char *map_fd(int fd, int flags)
{
	char *p;

	if (fd < 0 || ftruncate(fd, LEN))
		return NULL;
	p = filled(mmap(NULL, LEN, PROT_READ | PROT_WRITE, flags, fd, 0));
	close(fd);
	return p;
}

static int file_at(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	unlink(path);
	return fd;
}

static char *make_private(void)
{
	return filled(map_anon(LEN, 0));
}

static char *make_zero_private(void)
{
	int fd = open("/dev/zero", O_RDWR | O_CLOEXEC);

	return filled(mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
}

static char *make_file_private(void)
{
	return map_fd(file_at("/scratch/kinds"), MAP_PRIVATE);
}

static char *make_memfd_private(void)
{
	return map_fd(memfd_create("kinds", MFD_CLOEXEC), MAP_PRIVATE);
}

static char *make_heap(void)
{
	char *p = sbrk(0);

	p = (char *)(((uintptr_t)p + PAGE - 1) & ~(PAGE - 1));
	return brk(p + LEN) ? NULL : filled(p);
}

/* Mapped one page high: the rest is grown into, as a stack is. */
static char *make_grown(void)
{
	char *p = map_anon(LEN + HUGE, 0) + HUGE, *top = p + LEN - PAGE;
	long i;

	munmap(p - HUGE, LEN + HUGE);
	if (mmap(top, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED |
		 MAP_GROWSDOWN, -1, 0) != top)
		return NULL;
	for (i = NR - 1; i >= 0; i--)
		((volatile char *)p)[i * (long)PAGE] = 1;
	return p;
}

static char *make_shared(void)
{
	return filled(mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
}

static char *make_memfd(void)
{
	return map_fd(memfd_create("kinds", MFD_CLOEXEC), MAP_SHARED);
}

static char *make_shmem_file(void)
{
	return map_fd(file_at("/dev/shm/kinds"), MAP_SHARED);
}

static char *make_file(void)
{
	return map_fd(file_at("/scratch/kinds"), MAP_SHARED);
}

static char *make_sysv(void)
{
	int id = shmget(IPC_PRIVATE, LEN, 0600);
	char *p = id < 0 ? MAP_FAILED : shmat(id, NULL, 0);

	shmctl(id, IPC_RMID, NULL);
	return filled(p);
}

static char *make_swapped(void)
{
	char *p = make_private();
	int tries;

	/* One that is being written to swap stays for a moment. */
	for (tries = 0; tries < 50; tries++) {
		if (madvise(p, LEN, MADV_PAGEOUT))
			return NULL;
		if (entries_with(getpid(), (uint64_t)(uintptr_t)p, 1, ENTRY_SWAPPED))
			break;
		usleep(20000);
	}
	return p;
}

static char *make_dropped_lazily(void)
{
	char *p = make_private();

	/* The kernel may take them at any time, until they are written. */
	return madvise(p, LEN, MADV_FREE) ? NULL : p;
}

/* Nobody answers its faults: a walk that touched an absent page would hang. */
static char *make_uffd(uint64_t mode, size_t fill)
{
	struct uffdio_register reg = { .mode = mode };
	struct uffdio_api api = { .api = UFFD_API };
	char *p = map_anon(LEN, 0);
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	madvise(p, LEN, MADV_NOHUGEPAGE);
	memset(p, 1, fill);
	reg.range.start = (uintptr_t)p;
	reg.range.len = LEN;
	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &reg))
		return NULL;
	return p;
}

static char *make_uffd_missing(void)
{
	/* the page written later, and what is before it */
	return make_uffd(UFFDIO_REGISTER_MODE_MISSING, (WRITTEN + 1) * PAGE);
}

static char *make_uffd_wp(void)
{
	return make_uffd(UFFDIO_REGISTER_MODE_WP, LEN);
}

#define SHARED_FILE (CKPT_AREA_WHOLE | CKPT_AREA_SHARED | CKPT_AREA_FILE)
#define SHARED_SHMEM (SHARED_FILE | CKPT_AREA_SHMEM)

static const struct kind {
	const char *name;
	char *(*make)(void);
	enum want want;
	uint32_t flags;		/* CKPT_AREA_* that its area has */
	int state;		/* of its first page */
} kinds[] = {
	{ "private memory", make_private, EXACT, 0, CKPT_PAGE_ANON },
	{ "a private map of /dev/zero", make_zero_private, EXACT, 0, CKPT_PAGE_ANON },
	{ "a private file map", make_file_private, EXACT, CKPT_AREA_FILE, CKPT_PAGE_ANON },
	{ "a private map of a memfd", make_memfd_private, EXACT, CKPT_AREA_FILE | CKPT_AREA_SHMEM,
	  CKPT_PAGE_ANON },
	{ "the heap", make_heap, EXACT, 0, CKPT_PAGE_ANON },
	{ "an area that grew downwards", make_grown, EXACT, CKPT_AREA_GROWSDOWN, CKPT_PAGE_ANON },
	{ "swapped memory", make_swapped, EXACT, 0, CKPT_PAGE_SWAP },
	{ "memory given up lazily", make_dropped_lazily, EXACT, 0, CKPT_PAGE_ANON },
	{ "memory with a fault handler", make_uffd_missing, EXACT, 0, CKPT_PAGE_ANON },
	{ "memory with a write fault handler", make_uffd_wp, EXACT, 0, CKPT_PAGE_ANON },
	{ "shared memory", make_shared, WHOLE, SHARED_SHMEM, CKPT_PAGE_FILE },
	{ "a memfd", make_memfd, WHOLE, SHARED_SHMEM, CKPT_PAGE_FILE },
	{ "a file in /dev/shm", make_shmem_file, WHOLE, SHARED_SHMEM, CKPT_PAGE_FILE },
	{ "System V memory", make_sysv, WHOLE, SHARED_SHMEM, CKPT_PAGE_FILE },
	{ "a shared file map", make_file, WHOLE, SHARED_FILE, CKPT_PAGE_FILE },
};
#define NR_KINDS (sizeof(kinds) / sizeof(kinds[0]))

static char *at[NR_KINDS];

/* Step k makes kind k, step NR_KINDS + k writes a page of it. */
enum {
	GUARD = 2 * NR_KINDS,
	UNGUARD,
	FORBID,		/* write a page of private memory, then let nobody read or write it */
	ALLOW,
};

static void guard(int n, uint64_t *shared)
{
	static char *mem;

	if (n == GUARD)
		mem = make_private();
	shared[0] = madvise(mem + WRITTEN * PAGE, PAGE, n == GUARD ? MADV_GUARD_INSTALL :
			    MADV_GUARD_REMOVE) ? 0 : (uint64_t)(uintptr_t)mem;
}

static void forbid(int n)
{
	if (n == FORBID)
		at[0][WRITTEN * PAGE + 5]++;
	if (mprotect(at[0], LEN, n == FORBID ? PROT_NONE : PROT_READ | PROT_WRITE))
		_exit(1);
}

static void step(int n, uint64_t *shared)
{
	size_t k = (size_t)n % NR_KINDS;

	if (n >= FORBID) {
		forbid(n);
	} else if (n >= GUARD) {
		guard(n, shared);
	} else if ((size_t)n < NR_KINDS) {
		at[k] = kinds[k].make();
		shared[0] = (uint64_t)(uintptr_t)at[k];
		shared[1] = (uint64_t)errno;
	} else {
		at[k][WRITTEN * PAGE + 3] = 2;
	}
}

/*
 * How many pages are told when nothing was written.  Those that wait in an LRU batch look as if
 * direct I/O held them.
 */
static size_t settled(struct client *c, const struct child *child, uint64_t start,
		      enum want want)
{
	struct pages p;
	size_t still;
	int tries;

	for (tries = 0; ; tries++) {
		batches_drain();
		client_take(c, "kinds", &p);
		still = pages_dirty(&p, child->pid, start, start + LEN);
		pages_free(&p);
		if (want == WHOLE || still <= FEW || tries == 20)
			return still;
	}
}

/* Nothing is written between two takes, then one page is. */
static void read_all(pid_t pid, uint64_t start)
{
	char byte;
	size_t i;

	for (i = 0; i < NR; i++)
		child_read(pid, start + i * PAGE, &byte, 1);
}

static void test_kind(struct client *c, const struct child *child, size_t k)
{
	const struct kind *kind = &kinds[k];
	const struct area *area;
	size_t still, after;
	struct pages p;
	uint64_t start;
	uint32_t flags;

	child_step(child, (int)k);
	start = child->shared[0];
	if (!check(start, "%s: it can be made (%s)", kind->name,
		   strerror((int)child->shared[1])))
		return;
	client_take(c, "kinds", &p);
	area = pages_area(&p, child->pid, start);
	check(area && (area->flags & kind->flags) == kind->flags &&
	      (kind->want != EXACT) == !!(area->flags & (CKPT_AREA_WHOLE | CKPT_AREA_UNWALKED)),
	      "%s: its area is told as it is (%#x)", kind->name, area ? area->flags : 0);
	check(pages_state(&p, child->pid, start, &flags) == kind->state,
	      "%s: its pages, too", kind->name);
	pages_free(&p);
	/* The bit of a page that was swapped out is cleared when it has come back. */
	if (kind->state == CKPT_PAGE_SWAP)
		read_all(child->pid, start);
	still = settled(c, child, start, kind->want);
	child_step(child, (int)(NR_KINDS + k));
	client_take(c, "kinds", &p);
	after = pages_dirty(&p, child->pid, start, start + LEN);
	pages_state(&p, child->pid, start + WRITTEN * PAGE, &flags);
	check(flags & CKPT_RUN_DIRTY, "%s: the page written is told", kind->name);
	if (kind->want == WHOLE)
		check(still == NR && after == NR, "%s: as is all of it, always", kind->name);
	else
		check(still <= FEW && after && after <= still + 1,
		      "%s: the others are not (%zu, then %zu)",
		      kind->name, still, after);
	pages_free(&p);
}

/* A page just written may wait in a batch, where nobody takes it, or be on its way out. */
static void swap_out(pid_t pid, uint64_t page)
{
	int tries;

	for (tries = 0; tries < 20 && entries_with(pid, page, 1, ENTRY_SWAPPED) != 1; tries++) {
		batches_drain();
		/* It fails when it finds less than that. */
		put("/sys/fs/cgroup/kinds/memory.reclaim", "8M");
		usleep(10000);
	}
}

/* A page that is read back from swap, and one that is written and swapped out again. */
static void test_swap(struct client *c, const struct child *child)
{
	uint64_t start, written;
	size_t k, still;
	struct pages p;

	for (k = 0; kinds[k].make != make_swapped; k++)
		;
	child_step(child, (int)k);
	start = child->shared[0];
	written = start + WRITTEN * PAGE;
	client_take(c, "kinds", &p);
	check(entries_with(child->pid, start, NR, ENTRY_SWAPPED) > NR / 2, "most is swapped out");
	pages_free(&p);
	/* The bit of a page that went is cleared when it has come back. */
	read_all(child->pid, start);
	settled(c, child, start, EXACT);
	put("/sys/fs/cgroup/kinds/memory.reclaim", "8M");
	check(entries_with(child->pid, start, NR, ENTRY_SWAPPED) > NR / 2, "and again");
	/* what is not out yet may wait in a batch */
	still = settled(c, child, start, EXACT);
	check(still <= FEW, "swapped out: clean (%zu)", still);
	child_step(child, (int)(NR_KINDS + k));
	swap_out(child->pid, written);
	client_take(c, "kinds", &p);
	check(entries_with(child->pid, written, 1, ENTRY_SWAPPED) == 1,
	      "a page is written and swapped out");
	check(pages_dirty(&p, child->pid, written, written + PAGE) == 1, "and told");
	check(pages_dirty(&p, child->pid, start, written) <= FEW, "alone (%zu)",
	      pages_dirty(&p, child->pid, start, written));
	pages_free(&p);
}

/* Kernels before 6.13 have no guard pages. */
static void test_guard(struct client *c, const struct child *child)
{
	struct pages p;
	uint64_t start;
	uint32_t flags;

	child_step(child, GUARD);
	start = child->shared[0];
	check(!start == !kernel_from(6, 13), "guard pages are tested where there are any");
	if (!start)
		return;
	client_take(c, "kinds", &p);
	check(pages_state(&p, child->pid, start + WRITTEN * PAGE, &flags) == CKPT_PAGE_GUARD &&
	      !(flags & CKPT_RUN_DIRTY), "a guard page is told as one");
	pages_free(&p);
	child_step(child, UNGUARD);
	client_take(c, "kinds", &p);
	check(pages_state(&p, child->pid, start + WRITTEN * PAGE, &flags) == CKPT_PAGE_NONE,
	      "and where it was removed there is nothing");
	check(pages_state(&p, child->pid, start, &flags) == CKPT_PAGE_ANON, "beside it there is");
	pages_free(&p);
}

/* Written while it could be, and out of everybody's reach when the round comes. */
static void test_forbidden(struct client *c, const struct child *child)
{
	const struct area *area;
	struct pages p;
	uint64_t start;
	uint32_t flags;
	size_t dirty;

	child_step(child, 0);
	start = child->shared[0];
	settled(c, child, start, EXACT);
	child_step(child, FORBID);
	client_take(c, "kinds", &p);
	area = pages_area(&p, child->pid, start);
	check(area && area->start == start && area->end == start + LEN &&
	      area->flags == CKPT_AREA_MAYWRITE,
	      "memory that is forbidden has no rights (%#x)", area ? area->flags : 0);
	dirty = pages_dirty(&p, child->pid, start, start + LEN);
	check(pages_state(&p, child->pid, start + WRITTEN * PAGE, &flags) == CKPT_PAGE_ANON &&
	      (flags & CKPT_RUN_DIRTY) && dirty <= FEW + 1,
	      "the page written before that is told, no others (%zu)", dirty);
	pages_free(&p);
	dirty = settled(c, child, start, EXACT);
	child_step(child, ALLOW);
	client_take(c, "kinds", &p);
	check(dirty <= FEW && pages_dirty(&p, child->pid, start, start + LEN) <= FEW,
	      "it is clean after that, and when it is allowed again (%zu)", dirty);
	pages_free(&p);
}

int main(void)
{
	struct client c;
	struct child child;
	size_t k;

	swap_start();
	put("/proc/sys/vm/page-cluster", "0");
	cgroup_make("kinds");
	if (client_open(&c) || client_group_new(&c, "kinds", "/kinds"))
		die("tag: %s", c.text);
	child_start(&child, "kinds", step);
	for (k = 0; k < NR_KINDS; k++)
		test_kind(&c, &child, k);
	test_swap(&c, &child);
	test_guard(&c, &child);
	test_forbidden(&c, &child);
	child_end(&child);
	client_group_del(&c, "kinds");
	client_close(&c);
	cgroup_gone("kinds");
	swap_end();
	return finish();
}
