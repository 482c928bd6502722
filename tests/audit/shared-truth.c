// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The truth of shared memory: each page that anybody has mapped is told once in a round
 *
 * Whether it has changed is for a comparison of content, so the whole of it is copied from
 * the area that it is told with; through every other mapping it must look the same.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "image.h"

#define ENTRY_THERE (3ULL << 62)	/* present or swapped */
#define SHOW 12

/* A page of an inode, as it was told; area is NULL where none is. */
struct shared_page {
	uint64_t dev, ino, index;
	const struct area *area;
	uint8_t data[PAGE];
};

/**
 * struct shared - the pages of a round
 * @page: by hash; there is room for twice as many
 * @room: a power of two
 * @twice: told more than once
 */
struct shared {
	struct shared_page *page;
	size_t room, checked, lost, twice;
};

static bool is_shared(const struct area *a)
{
	return a->end && (a->flags & CKPT_AREA_SHARED) && !(a->flags & CKPT_AREA_UNWALKED);
}

static struct shared_page *find(const struct shared *s, const struct area *a, uint64_t index)
{
	uint64_t i = (a->dev * 31 + a->ino * 1000003 + index) * 0x9e3779b97f4a7c15ULL >> 20;
	struct shared_page *page;

	for (;; i++) {
		page = &s->page[i & (s->room - 1)];
		if (!page->area || (page->dev == a->dev && page->ino == a->ino &&
				    page->index == index))
			return page;
	}
}

static uint64_t index_of(const struct area *a, uint64_t addr)
{
	return a->pgoff + (addr - a->start) / PAGE;
}

static void take_run(struct shared *s, const struct area *a, const struct ckpt_run *r, int mem)
{
	struct shared_page *page;
	uint64_t addr = r->start, i;

	for (i = 0; i < r->pages; i++, addr += PAGE) {
		page = find(s, a, index_of(a, addr));
		s->twice += !!page->area;
		page->dev = a->dev;
		page->ino = a->ino;
		page->index = index_of(a, addr);
		page->area = a;
		/* Past the end of the file there is nothing to read. */
		if (pread(mem, page->data, PAGE, (off_t)addr) != (ssize_t)PAGE)
			memset(page->data, 0, PAGE);
	}
}

static void report(struct shared *s, const struct area *a, uint64_t addr, const char *what)
{
	if (s->lost++ < SHOW)
		note("LOST %#" PRIx64 " of pid %d (%s), page %#" PRIx64 " of inode %" PRIu64
		     ", area flags %#x: %s", addr, a->pid, kind_name(kind_of(addr)),
		     index_of(a, addr), a->ino, a->flags, what);
}

static void compare_area(struct shared *s, const struct area *a, int mem, int pagemap)
{
	const struct shared_page *page;
	uint64_t addr, entry;
	uint8_t is[PAGE];

	for (addr = a->start; addr < a->end; addr += PAGE) {
		if (pread(pagemap, &entry, 8, (off_t)(addr / PAGE * 8)) != 8)
			die("pagemap of %d", a->pid);
		if (!(entry & ENTRY_THERE))
			continue;
		s->checked++;
		page = find(s, a, index_of(a, addr));
		if (!page->area)
			report(s, a, addr, "told with no area of its inode");
		else if (pread(mem, is, PAGE, (off_t)addr) == (ssize_t)PAGE &&
			 memcmp(page->data, is, PAGE))
			report(s, a, addr, "not what it was told as");
	}
}

static int open_of(pid_t pid, const char *file)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die("open %s", path);
	return fd;
}

/* Areas in parts are several entries: what is there is looked at with the first. */
static void each_area(struct shared *s, const struct pages *p, bool compare)
{
	const struct area *a;
	int mem, pagemap;
	size_t i, j;

	for (i = 0; i < p->nr_areas; i++) {
		a = &p->area[i];
		if (!is_shared(a) || (compare && i && p->area[i - 1].cookie == a->cookie &&
				      p->area[i - 1].start == a->start))
			continue;
		mem = open_of(a->pid, "mem");
		pagemap = open_of(a->pid, "pagemap");
		for (j = 0; !compare && j < a->nr_runs; j++)
			take_run(s, a, &p->run[a->run + j], mem);
		if (compare)
			compare_area(s, a, mem, pagemap);
		close(mem);
		close(pagemap);
	}
}

size_t truth_shared(const struct pages *p, size_t *ret_checked, size_t *ret_twice)
{
	struct shared s = { .room = 256 };
	size_t i, j, pages = 0;

	for (i = 0; i < p->nr_areas; i++)
		for (j = 0; is_shared(&p->area[i]) && j < p->area[i].nr_runs; j++)
			pages += p->run[p->area[i].run + j].pages;
	while (s.room < 2 * pages)
		s.room *= 2;
	s.page = calloc(s.room, sizeof(*s.page));
	if (!s.page)
		die("no memory for shared pages");
	each_area(&s, p, false);
	each_area(&s, p, true);
	free(s.page);
	*ret_checked = s.checked;
	*ret_twice = s.twice;
	return s.lost;
}
