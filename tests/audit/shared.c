// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Operations on shared memory
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "audit.h"

static char *shared_page(struct hand *h)
{
	static const enum kind kind[] = { KIND_ZERO, KIND_MEMFD, KIND_TMPFS, KIND_SYSV, KIND_EXT4 };
	char *p = REGION(kind[pick(h, 5)]) + pick(h, SOME_PAGES) * PAGE;

	say(h, p, PAGE);
	return p;
}

static void op_shared(struct hand *h)
{
	scribble(h, shared_page(h), PAGE);
}

/* The bits go with the entry, the page stays; or it becomes a hole. */
static void op_shared_drop(struct hand *h)
{
	static const int advice[] = { MADV_DONTNEED, MADV_DONTNEED, MADV_PAGEOUT, MADV_PAGEOUT,
				      MADV_REMOVE };
	char *p = shared_page(h);

	scribble(h, p, PAGE);
	madvise(p, PAGE, advice[pick(h, 5)]);
	if (pick(h, 2))
		h->entry->b = (uint8_t)*p;
}

static void op_shared_huge(struct hand *h)
{
	char *p = REGION(KIND_SHARED_HUGE) + pick(h, SHARED_HUGE_PAGES) * PAGE;
	char *half = (char *)((uintptr_t)p & ~(HUGE - 1));
	uint64_t what = pick(h, 24);

	say(h, p, what);
	scribble(h, p, PAGE);
	switch (what) {
	case 0:
		madvise(half, HUGE, MADV_DONTNEED);
		break;
	case 1:
		madvise(half, HUGE, MADV_PAGEOUT);
		break;
	case 2:
		madvise(p, PAGE, MADV_REMOVE);
		break;
	case 3:
	case 4:
		madvise(half, HUGE, MADV_COLLAPSE_);
		break;
	case 5:
		madvise(p, PAGE, MADV_DONTNEED);
		break;
	}
}

static int any_file(struct hand *h)
{
	const int fd[] = { files.lone, files.lone, files.memfd, files.tmpfs, files.ext4 };

	return fd[pick(h, 5)];
}

static off_t any_part(struct hand *h)
{
	return (off_t)(pick(h, SOME_PAGES - WINDOW_PAGES + 1) * PAGE);
}

/* A part of a file that nobody else may have mapped: stored, and then in no page table. */
static void op_window(struct hand *h)
{
	char *p = REGION(KIND_WINDOW) + (size_t)h->thread * SOME_PAGES * PAGE;
	uint64_t what = pick(h, 4);

	say(h, p, what);
	if (what && mmap(p, WINDOW_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
			 any_file(h), any_part(h)) != p) {
		missed(h);
		return;
	}
	/* It faults if it is not there. */
	scribble(h, p + pick(h, WINDOW_PAGES - 2) * PAGE, 2 * PAGE);
	if (pick(h, 2))
		madvise(p, WINDOW_PAGES * PAGE, MADV_DONTNEED);
	if (!pick(h, 8))
		munmap(p, WINDOW_PAGES * PAGE);
}

static void store_and_leave(struct hand *h)
{
	char *p = mmap(NULL, WINDOW_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, any_file(h),
		       any_part(h));

	if (p != MAP_FAILED)
		scribble(h, p, 2 * PAGE);
	scribble(h, shared_page(h), PAGE);
}

/* Map, store, and be gone: whoever asks afterwards finds no process that did it. */
static void op_share_exit(struct hand *h)
{
	pid_t pid = fork();

	if (!pid) {
		guarded(h, store_and_leave);
		_exit(0);
	}
	if (pid < 0)
		missed(h);
	say(h, NULL, (uint64_t)pid);
}

static void op_memfd_write(struct hand *h)
{
	char buf[64];

	memset(buf, (int)pick(h, 256), sizeof(buf));
	if (pwrite(files.memfd, buf, sizeof(buf), (off_t)pick(h, SOME_PAGES * PAGE - 64)) < 0)
		missed(h);
}

/* Map, store, unmap: nothing of it is there at the take. */
static void op_map_write(struct hand *h)
{
	int fd = pick(h, 2) ? files.ext4 : files.tmpfs;
	char *p = mmap(NULL, SOME_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED) {
		missed(h);
		return;
	}
	h->map = p;
	scribble(h, p + pick(h, SOME_PAGES) * PAGE, PAGE);
}

static void op_hugetlb(struct hand *h)
{
	char *p = REGION(KIND_HUGETLB) + pick(h, 2) * HUGE + pick(h, SLOT_PAGES) * PAGE;

	say(h, p, PAGE);
	scribble(h, p, PAGE);
}

const struct op shared_ops[] = {
	{ "shared", op_shared, 80, -1 },
	{ "shared-drop", op_shared_drop, 20, -1 },
	{ "shared-huge", op_shared_huge, 24, -1 },
	{ "window", op_window, 16, -1 },
	{ "share-exit", op_share_exit, 4, -1 },
	{ "memfd-write", op_memfd_write, 20, -1 },
	{ "map-write", op_map_write, 8, -1 },
	{ "hugetlb", op_hugetlb, 10, -1 },
	{ },
};
