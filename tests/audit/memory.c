// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Operations on private memory
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "audit.h"

#define RW (PROT_READ | PROT_WRITE)
#define MADV_GUARD_INSTALL_ 102
#define MADV_GUARD_REMOVE_ 103

static char *slot(struct hand *h)
{
	return REGION(KIND_ANON) + pick(h, SLOTS) * HUGE;
}

/* Up to @max pages of a slot. */
static char *range(struct hand *h, size_t max, size_t *ret_len)
{
	size_t n = 1 + pick(h, max);
	char *p = slot(h) + pick(h, SLOT_PAGES - n + 1) * PAGE;

	*ret_len = n * PAGE;
	say(h, p, *ret_len);
	return p;
}

/* Where it cannot be mapped there is a hole, and whoever comes by faults. */
static void map(char *p, size_t len, int prot, int flags)
{
	(void)mmap(p, len, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | flags, -1, 0);
}

static void again(char *p, size_t len)
{
	map(p, len, RW, 0);
}

static void read_all(const char *p, size_t len)
{
	volatile char sum = 0;
	size_t i;

	for (i = 0; i < len; i += PAGE)
		sum += p[i];
}

static void op_store(struct hand *h)
{
	size_t len;
	char *p = range(h, 1, &len);

	scribble(h, p, len);
}

static void op_store_range(struct hand *h)
{
	size_t len;
	char *p = range(h, 24, &len);

	scribble(h, p, len);
}

static void op_read(struct hand *h)
{
	size_t len;
	char *p = range(h, 16, &len);

	read_all(p, len);
}

static void op_calm(struct hand *h)
{
	char *p = REGION(KIND_CALM) + pick(h, SOME_PAGES) * PAGE;

	say(h, p, PAGE);
	scribble(h, p, PAGE);
}

static void op_calm_drop(struct hand *h)
{
	char *p = REGION(KIND_CALM) + pick(h, SOME_PAGES) * PAGE;

	say(h, p, PAGE);
	madvise(p, PAGE, MADV_DONTNEED);
}

static void op_drop(struct hand *h)
{
	size_t len;
	char *p = range(h, 16, &len);

	if (madvise(p, len, MADV_DONTNEED))
		missed(h);
	if (pick(h, 2))
		read_all(p, len);
}

static void op_free(struct hand *h)
{
	size_t len;
	char *p = range(h, 16, &len);

	if (madvise(p, len, MADV_FREE))
		missed(h);
	if (pick(h, 2))
		scribble(h, p, PAGE);
}

static void op_map_again(struct hand *h)
{
	size_t len;
	char *p = range(h, 16, &len);

	if (pick(h, 2))
		munmap(p, len);
	again(p, len);
	if (pick(h, 2))
		scribble(h, p, PAGE);
}

static void op_protect(struct hand *h)
{
	size_t len;
	char *p = range(h, 16, &len);

	mprotect(p, len, pick(h, 3) ? PROT_READ : PROT_NONE);
	if (pick(h, 2))
		read_all(p, PAGE);
	mprotect(p, len, RW);
	scribble(h, p, PAGE);
}

/* New memory beside old: the next mprotect merges them, and the mark of the new one goes. */
static void op_merge(struct hand *h)
{
	size_t len;
	char *p = range(h, 8, &len);

	munmap(p, len);
	map(p, len, PROT_READ, 0);
	if (pick(h, 2))
		read_all(p, PAGE);
	mprotect(p, len, RW);
	if (pick(h, 2))
		scribble(h, p, len);
}

/* A move that fails (several areas) may have unmapped where it would have gone. */
static void move(struct hand *h, char *from, char *to, size_t len, int flags)
{
	if (mremap(from, len, len, MREMAP_MAYMOVE | MREMAP_FIXED | flags, to) == MAP_FAILED) {
		missed(h);
		again(to, len);
	} else if (!flags) {
		again(from, len);
	}
}

static void op_move_slot(struct hand *h)
{
	char *from = slot(h), *to = slot(h);

	say(h, from, (uintptr_t)to);
	if (from == to) {
		missed(h);
		return;
	}
	if (pick(h, 2)) {
		/* One area, so that the move can be made. */
		mprotect(from, HUGE, RW);
		scribble(h, from + pick(h, SLOT_PAGES) * PAGE, PAGE);
	}
	move(h, from, to, HUGE, pick(h, 3) ? 0 : MREMAP_DONTUNMAP);
	if (pick(h, 2))
		scribble(h, from + pick(h, SLOT_PAGES) * PAGE, PAGE);
}

static void op_move_back(struct hand *h)
{
	char *from = slot(h), *to = slot(h);

	say(h, from, (uintptr_t)to);
	if (from == to) {
		missed(h);
		return;
	}
	move(h, from, to, HUGE, 0);
	scribble(h, to + pick(h, SLOT_PAGES) * PAGE, PAGE);
	move(h, to, from, HUGE, 0);
}

static void op_move_pages(struct hand *h)
{
	size_t len;
	char *p = range(h, 16, &len);
	char *to = slot(h) + pick(h, SLOT_PAGES - len / PAGE + 1) * PAGE;

	if (to < p + len && p < to + len) {
		missed(h);
		return;
	}
	move(h, p, to, len, pick(h, 3) ? 0 : MREMAP_DONTUNMAP);
}

/* Shrink and grow in place; the new part is new. */
static void op_resize(struct hand *h)
{
	char *p = slot(h), *q = REGION(KIND_ANON) + (SLOTS + pick(h, 8) * 2) * HUGE;
	size_t cut = (1 + pick(h, 64)) * PAGE;

	say(h, p, cut);
	if (pick(h, 2)) {
		mremap(p, HUGE, HUGE - cut, 0);
		if (mremap(p, HUGE - cut, HUGE, 0) == MAP_FAILED) {
			missed(h);
			again(p + HUGE - cut, cut);
		}
		return;
	}
	/* As realloc() does it: somewhere else, larger; then back. */
	if (mremap(p, HUGE, HUGE + cut, MREMAP_MAYMOVE | MREMAP_FIXED, q) == MAP_FAILED) {
		missed(h);
		return;
	}
	again(p, HUGE);
	scribble(h, q, PAGE);
	if (mremap(q, HUGE, HUGE, MREMAP_MAYMOVE | MREMAP_FIXED, p) == MAP_FAILED)
		again(p, HUGE);
	munmap(q, HUGE + cut);
}

static void op_huge(struct hand *h)
{
	char *p = slot(h);

	say(h, p, 0);
	madvise(p, HUGE, pick(h, 4) ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	if (!pick(h, 3))
		madvise(p, HUGE, MADV_DONTNEED);
	if (!pick(h, 3))
		madvise(p, HUGE, MADV_COLLAPSE_);
	scribble(h, p + pick(h, SLOT_PAGES) * PAGE, PAGE);
}

static void op_advise(struct hand *h)
{
	static const int advice[] = {
		MADV_COLD, MADV_PAGEOUT, MADV_PAGEOUT, MADV_PAGEOUT, MADV_POPULATE_READ,
		MADV_POPULATE_WRITE, MADV_WIPEONFORK, MADV_KEEPONFORK, MADV_DONTFORK, MADV_DOFORK,
		MADV_GUARD_INSTALL_, MADV_GUARD_REMOVE_, MADV_SEQUENTIAL, MADV_NORMAL,
	};
	int which = advice[pick(h, sizeof(advice) / sizeof(advice[0]))];
	size_t len;
	char *p = range(h, 32, &len);

	if (madvise(p, len, which))
		missed(h);
	if (which == MADV_GUARD_INSTALL_ && pick(h, 2))
		madvise(p, len, MADV_GUARD_REMOVE_);
}

static void op_lock(struct hand *h)
{
	size_t len;
	char *p = range(h, 4, &len);

	if (mlock(p, len))
		missed(h);
	scribble(h, p, PAGE);
	munlock(p, len);
}

/* To the other node: migration entries under the walk. */
static void op_migrate(struct hand *h)
{
	unsigned long mask = 1UL << pick(h, 2);
	size_t len;
	char *p = range(h, 32, &len);

	if (syscall(SYS_mbind, p, len, 2 /* MPOL_BIND */, &mask, 3, 2 /* MPOL_MF_MOVE */))
		missed(h);
	scribble(h, p, PAGE);
	syscall(SYS_mbind, p, len, 0 /* MPOL_DEFAULT */, NULL, 0, 0);
}

/* Drop it, read it, or write it most of the time. */
static void one_page(struct hand *h, char *p)
{
	say(h, p, PAGE);
	switch (pick(h, 4)) {
	case 0:
		madvise(p, PAGE, MADV_DONTNEED);
		break;
	case 1:
		read_all(p, PAGE);
		break;
	default:
		scribble(h, p, PAGE);
	}
}

static void op_cow(struct hand *h)
{
	char *p = REGION(KIND_COW) + pick(h, SOME_PAGES) * PAGE;

	one_page(h, p);
}

static void op_cow_map(struct hand *h)
{
	size_t first = pick(h, SOME_PAGES);
	char *p = REGION(KIND_COW) + first * PAGE;

	say(h, p, PAGE);
	(void)mmap(p, PAGE, RW, MAP_PRIVATE | MAP_FIXED, files.cow, (off_t)(first * PAGE));
	if (pick(h, 2))
		scribble(h, p, PAGE);
}

/* A forced write, as a debugger's, into memory that stays read-only. */
static void op_force(struct hand *h)
{
	char *p = REGION(KIND_READONLY) + pick(h, SOME_PAGES) * PAGE + pick(h, PAGE);
	int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	char value = (char)rnd(&h->seed);

	say(h, p, 1);
	if (pwrite(fd, &value, 1, (off_t)(uintptr_t)p) != 1)
		missed(h);
	close(fd);
}

static void op_grow(struct hand *h)
{
	char *top = REGION(KIND_GROWS) + 512 * PAGE, *p;
	size_t i, deep = 1 + pick(h, 48);

	say(h, top, deep);
	if (!pick(h, 8)) {
		munmap(top - 64 * PAGE, 64 * PAGE);
		map(top - PAGE, PAGE, RW, MAP_GROWSDOWN);
	}
	for (i = 1, p = top; i <= deep; i++) {
		p -= PAGE;
		if (!pick(h, 4) || i == deep)
			*p = (char)rnd(&h->seed);
		else
			read_all(p, PAGE);
	}
}

static void op_stack(struct hand *h)
{
	char deep[64 * 1024];
	volatile char *p = deep;

	p[pick(h, sizeof(deep))] = (char)rnd(&h->seed);
	say(h, (const void *)p, 0);
}

static void op_heap(struct hand *h)
{
	static __thread char *heap[32];
	size_t i = pick(h, 32), len = 1 + pick(h, pick(h, 20) ? 6000 : 200000);

	free(heap[i]);
	heap[i] = malloc(len);
	if (heap[i])
		memset(heap[i], (int)pick(h, 256), len);
	say(h, heap[i], len);
}

static void op_merged(struct hand *h)
{
	char *p = REGION(KIND_MERGED) + pick(h, SOME_PAGES) * PAGE;

	say(h, p, PAGE);
	switch (pick(h, 8)) {
	case 0:
		madvise(p, PAGE, MADV_DONTNEED);
		break;
	case 1:
		madvise(p, PAGE, MADV_PAGEOUT);
		break;
	case 2:
		scribble(h, p, PAGE);
		break;
	default:
		/* Few contents, so that there is something to merge. */
		memset(p, (int)pick(h, 4), PAGE);
	}
}

static void op_faults(struct hand *h)
{
	char *p = REGION(KIND_FAULTS) + pick(h, SOME_PAGES) * PAGE;

	one_page(h, p);
}

const struct op memory_ops[] = {
	{ "store", op_store, 240, -1 },
	{ "store-range", op_store_range, 30, -1 },
	{ "read", op_read, 40, -1 },
	{ "calm", op_calm, 160, -1 },
	{ "calm-drop", op_calm_drop, 20, -1 },
	{ "drop", op_drop, 40, -1 },
	{ "free", op_free, 30, -1 },
	{ "map-again", op_map_again, 24, -1 },
	{ "protect", op_protect, 24, -1 },
	{ "merge", op_merge, 24, -1 },
	{ "move-slot", op_move_slot, 14, -1 },
	{ "move-back", op_move_back, 6, -1 },
	{ "move-pages", op_move_pages, 24, -1 },
	{ "resize", op_resize, 12, -1 },
	{ "huge", op_huge, 10, -1 },
	{ "advise", op_advise, 30, -1 },
	{ "lock", op_lock, 10, -1 },
	{ "migrate", op_migrate, 8, -1 },
	{ "cow", op_cow, 60, -1 },
	{ "cow-map", op_cow_map, 10, -1 },
	{ "force", op_force, 20, -1 },
	{ "grow", op_grow, 12, -1 },
	{ "stack", op_stack, 40, -1 },
	{ "heap", op_heap, 60, -1 },
	{ "merged", op_merged, 120, ACTOR_MERGED },
	{ "faults", op_faults, 60, ACTOR_FAULTS },
	{ },
};
