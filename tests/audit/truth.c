// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The truth of memory: every page of every process, absent ones included, and every area
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image.h"

#define ENTRY_PRESENT (1ULL << 63)
#define ENTRY_SWAP (1ULL << 62)
#define ENTRY_FILE (1ULL << 61)
#define WHOLE_PAGES (2 * SOME_PAGES)
#define SHOW 12

/**
 * struct look - comparing one address space
 * @mm: what is known of it
 * @mem, @pagemap: of the process
 * @area: area under comparison
 * @file: what it maps, -1: none
 * @state, @flags: of the pages of a window, as told
 * @entry: the same, as the kernel has it
 * @is: their content
 */
struct look {
	struct image_mm *mm;
	int mem, pagemap, file;
	const struct area *area;
	bool thorough;
	uint8_t state[SLOT_PAGES];
	uint16_t flags[SLOT_PAGES];
	uint64_t entry[SLOT_PAGES];
	bool readable[SLOT_PAGES];
	uint8_t is[SLOT_PAGES * PAGE];
	size_t checked, lost, gone, filled;
};

/* Fill in what was told of @n pages from @addr on; runs before *@cursor end below. */
static bool told(struct look *k, const struct ckpt_run *run, size_t nr, size_t *cursor,
		 uint64_t addr, size_t n)
{
	uint64_t end = addr + n * PAGE, at, to;
	bool any = false;
	size_t i;

	memset(k->state, CKPT_PAGE_NONE, n);
	memset(k->flags, 0, n * sizeof(k->flags[0]));
	while (*cursor < nr && run[*cursor].start + (uint64_t)run[*cursor].pages * PAGE <= addr)
		(*cursor)++;
	for (i = *cursor; i < nr && run[i].start < end; i++) {
		at = run[i].start > addr ? run[i].start : addr;
		to = run[i].start + (uint64_t)run[i].pages * PAGE;
		for (; at < to && at < end; at += PAGE) {
			k->state[(at - addr) / PAGE] = (uint8_t)run[i].state;
			k->flags[(at - addr) / PAGE] = run[i].flags;
			any = true;
		}
	}
	return any;
}

static void read_content(struct look *k, uint64_t addr, size_t first, size_t n)
{
	size_t i, whole = read_pages(k->mm->pid, k->mem, addr + first * PAGE,
				     k->is + first * PAGE, n);

	for (i = 0; i < whole; i++)
		k->readable[first + i] = true;
	if (whole + 1 < n)
		read_content(k, addr, first + whole + 1, n - whole - 1);
}

/*
 * Reading what is absent makes it present, so that is for some epochs and small areas, and
 * where there is something to compare with.
 */
static bool is_read_whole(const struct look *k)
{
	return k->thorough && (k->area->flags & CKPT_AREA_READ) &&
	       k->area->end - k->area->start <= WHOLE_PAGES * PAGE &&
	       (k->file >= 0 || !(k->area->flags & CKPT_AREA_FILE));
}

/* Is the content of a page to be read from the process? */
static bool of_interest(const struct look *k, size_t i)
{
	if (is_read_whole(k))
		return true;
	if (!(k->entry[i] & (ENTRY_PRESENT | ENTRY_SWAP)))
		return false;
	/* What both call the file's page is the file's. */
	return k->state[i] != CKPT_PAGE_FILE || !(k->entry[i] & ENTRY_FILE) ||
	       kind_of(k->area->start) != KIND_IMAGE;
}

static void read_truth(struct look *k, uint64_t addr, size_t n)
{
	size_t i, last;

	memset(k->readable, 0, n);
	for (i = 0; i < n; i = last) {
		last = i + 1;
		if (!of_interest(k, i))
			continue;
		while (last < n && of_interest(k, last))
			last++;
		read_content(k, addr, i, last - i);
	}
}

/* Zeros, or what the file has there. */
static const uint8_t *bare(struct look *k, uint64_t addr)
{
	static uint8_t buf[PAGE];

	memset(buf, 0, PAGE);
	if (k->area->flags & CKPT_AREA_FILE &&
	    pread(k->file, buf, PAGE,
		  (off_t)((k->area->pgoff << 12) + (addr - k->area->start))) < 0)
		return NULL;
	return buf;
}

static void report(struct look *k, uint64_t addr, size_t i, const char *what)
{
	k->lost++;
	if (k->lost > SHOW)
		return;
	note("LOST %#" PRIx64 " of pid %d (%s): told state %u flags %#x, entry %#" PRIx64
	     ", area %#" PRIx64 "-%#" PRIx64 " flags %#x mm flags %#x: %s", addr, k->mm->pid,
	     kind_name(kind_of(addr)), k->state[i], k->flags[i], k->entry[i], k->area->start,
	     k->area->end, k->area->flags, k->area->mm_flags, what);
}

/* What differs tells who wrote it. */
static void show_difference(const uint8_t *want, const uint8_t *is)
{
	size_t i, n = 0, first = 0;

	for (i = 0; i < PAGE; i++) {
		if ((want ? want[i] : 0) == is[i])
			continue;
		if (!n++)
			first = i;
	}
	note("%zu bytes of it, the first at %#zx: %#x, not %#x", n, first, is[first],
	     want ? want[first] : 0);
}

static void compare_page(struct look *k, uint64_t addr, size_t i)
{
	bool absent = !(k->entry[i] & (ENTRY_PRESENT | ENTRY_SWAP));
	const uint8_t *want, *is = k->is + i * PAGE;

	if (!k->readable[i] && !absent)
		return;		/* of the file for both, or not to be read (past its end) */
	if (!has_content(k->state[i]) && k->state[i] != CKPT_PAGE_ZERO &&
	    k->state[i] != CKPT_PAGE_GUARD && !absent && !(k->entry[i] & ENTRY_FILE)) {
		/*
		 * khugepaged fills what is absent, of frozen processes, too: zeros are what was
		 * told.  Of a file the process would not follow the file any more.
		 */
		if (k->area->flags & CKPT_AREA_FILE) {
			k->checked++;
			report(k, addr, i, "is the process's own");
			return;
		}
		k->filled++;
	}
	if (has_content(k->state[i])) {
		want = image_want(k->mm, addr);
		if (!want) {
			k->checked++;
			report(k, addr, i, "never told dirty");
			return;
		}
	} else {
		/* Nothing there for both is right whatever the file holds. */
		if (absent && !k->readable[i])
			return;
		want = k->state[i] == CKPT_PAGE_ZERO ? NULL : bare(k, addr);
		if (k->state[i] != CKPT_PAGE_ZERO && !want)
			return;
	}
	if (!k->readable[i])
		is = bare(k, addr);
	if (!is)
		return;
	k->checked++;
	if (want ? !memcmp(want, is, PAGE) : !is[0] && !memcmp(is, is + 1, PAGE - 1))
		return;
	if (absent && has_content(k->state[i]))
		k->gone++;
	report(k, addr, i, absent ? "is gone" : "differs");
	if (k->lost <= SHOW)
		show_difference(want, is);
}

/* An area told in parts has its runs one after the other. */
static void compare_area(struct look *k, const struct pages *p, const struct area *a,
			 size_t nr_runs)
{
	uint64_t addr, end;
	size_t cursor = 0, n, i;
	bool any;

	for (addr = a->start; addr < a->end; addr = end) {
		end = (addr + HUGE) & ~(HUGE - 1);
		end = end < a->end ? end : a->end;
		n = (end - addr) / PAGE;
		any = told(k, &p->run[a->run], nr_runs, &cursor, addr, n);
		if (pread(k->pagemap, k->entry, n * 8, (off_t)(addr / PAGE * 8)) !=
		    (ssize_t)(n * 8))
			die("pagemap of %d", k->mm->pid);
		for (i = 0; i < n && !any; i++)
			any = k->entry[i] & (ENTRY_PRESENT | ENTRY_SWAP);
		if (!any && !is_read_whole(k))
			continue;
		read_truth(k, addr, n);
		for (i = 0; i < n; i++)
			if (is_read_whole(k) || k->state[i] != CKPT_PAGE_NONE ||
			    (k->entry[i] & (ENTRY_PRESENT | ENTRY_SWAP)))
				compare_page(k, addr + i * PAGE, i);
	}
}

/* --- areas: everything that is mapped must have been told, as what it is --- */

static bool told_as(const struct pages *p, size_t first, size_t last, uint64_t addr, bool shared,
		    bool writable, uint64_t *ret_end)
{
	const struct area *a;
	size_t i;

	for (i = first; i < last; i++) {
		a = &p->area[i];
		if (addr < a->start || addr >= a->end)
			continue;
		*ret_end = a->end;
		return shared == !!(a->flags & CKPT_AREA_SHARED) &&
		       writable == !!(a->flags & CKPT_AREA_WRITE) &&
		       (!shared || (a->flags & CKPT_AREA_WHOLE));
	}
	return false;
}

static size_t compare_maps(const struct pages *p, size_t first, size_t last, pid_t pid)
{
	uint64_t start, end, to, addr;
	char path[64], line[512], mode[8];
	size_t bad = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	f = fopen(path, "re");
	if (!f)
		die("%s", path);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s", &start, &end, mode) != 3)
			die("%s: %s", path, line);
		for (addr = start; addr < end && start < 1ULL << 47; addr = to) {
			if (told_as(p, first, last, addr, mode[3] == 's', mode[1] == 'w', &to))
				continue;
			note("LOST area of pid %d at %#" PRIx64 " not told as it is: %s", pid,
			     addr, line);
			bad++;
			break;
		}
	}
	fclose(f);
	return bad;
}

static void compare_mm(struct look *k, const struct pages *p, size_t first, size_t last)
{
	const struct area *a;
	size_t i, j, runs;

	for (i = first; i < last; i = j) {
		a = &p->area[i];
		for (runs = 0, j = i; j < last && p->area[j].start == a->start; j++)
			runs += p->area[j].nr_runs;
		k->area = a;
		if (!is_followed(a))
			continue;
		k->file = kind_of(a->start) == KIND_COW ? files.cow : -1;
		compare_area(k, p, a, runs);
	}
}

size_t truth_memory(struct image *img, const struct pages *p, bool thorough,
		    size_t *ret_checked, size_t *ret_gone)
{
	static struct look k;
	size_t i, last, before;
	char path[64];

	k.checked = k.lost = k.gone = k.filled = 0;
	k.thorough = thorough;
	for (i = 0; i < p->nr_areas; i = last) {
		for (last = i; last < p->nr_areas && p->area[last].cookie == p->area[i].cookie;
		     last++)
			;
		k.mm = image_mm(img, p->area[i].cookie);
		snprintf(path, sizeof(path), "/proc/%d/mem", k.mm->pid);
		k.mem = open(path, O_RDONLY | O_CLOEXEC);
		snprintf(path, sizeof(path), "/proc/%d/pagemap", k.mm->pid);
		k.pagemap = open(path, O_RDONLY | O_CLOEXEC);
		if (k.mem < 0 || k.pagemap < 0)
			die("open %s", path);
		before = k.checked;
		compare_mm(&k, p, i, last);
		k.mm->looks++;
		k.mm->compared += k.checked - before;
		k.lost += compare_maps(p, i, last, k.mm->pid);
		close(k.mem);
		close(k.pagemap);
	}
	*ret_checked = k.checked;
	*ret_gone = k.gone;
	img->filled += k.filled;
	return k.lost;
}
