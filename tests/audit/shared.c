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

/* The bits go with the entry, the page stays. */
static void op_shared_drop(struct hand *h)
{
	char *p = shared_page(h);

	scribble(h, p, PAGE);
	madvise(p, PAGE, pick(h, 2) ? MADV_DONTNEED : MADV_PAGEOUT);
	if (pick(h, 2))
		h->entry->b = (uint8_t)*p;
}

static void op_memfd_write(struct hand *h)
{
	char buf[64];

	memset(buf, (int)pick(h, 256), sizeof(buf));
	if (pwrite(files.memfd, buf, sizeof(buf), (off_t)pick(h, SOME_PAGES * PAGE - 64)) < 0)
		h->entry->b = 1;
}

/* Map, store, unmap: nothing of it is there at the take. */
static void op_map_write(struct hand *h)
{
	int fd = pick(h, 2) ? files.ext4 : files.tmpfs;
	char *p = mmap(NULL, SOME_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		return;
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
	{ "memfd-write", op_memfd_write, 20, -1 },
	{ "map-write", op_map_write, 8, -1 },
	{ "hugetlb", op_hugetlb, 10, -1 },
	{ },
};
