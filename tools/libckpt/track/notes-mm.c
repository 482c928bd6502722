// SPDX-License-Identifier: GPL-2.0-or-later
/* Notes: the walk of one address space. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/pages.h"
#include "track/area-line.h"
#include "track/pagemap.h"
#include "track/populated.h"
#include "track/protect.h"
#include "track/notes.h"

/* With more than 512 some kernels tell a wrong end of what they have looked at. */
#define REGIONS 512

/**
 * struct walk - an address space being walked
 * @whole: every page is dirty
 * @dirty: told so, in areas whose writes are noted from now on
 */
struct walk {
	struct ckpt_notes_mm *mm;
	struct ckpt_take_mm *take;
	int pagemap;
	bool whole;
	struct ckpt_ranges dirty;
};

/* A line of maps. @file: of one; @file_pages: it may hold such pages */
struct line {
	struct ckpt_area_line l;
	bool file, file_pages;
};

static int no_memory(const struct walk *w, struct ckpt_err *err)
{
	return ckpt_fail(err, CKPT_FAILED, 0, "no memory for the pages of pid %d", w->mm->pid);
}

static int cannot(const struct walk *w, int e, struct ckpt_err *err)
{
	return ckpt_fail(err, CKPT_FAILED, -e, "cannot watch the memory of pid %d", w->mm->pid);
}

static bool parse(const char *text, struct line *ret)
{
	if (!ckpt_area_line_parse(text, &ret->l))
		return false;
	ret->file = ret->l.ino || ret->l.name[0] == '/';
	ret->file_pages = ckpt_area_line_of_file(&ret->l);
	return true;
}

/* Where the pages of a file end; of all else, and of what cannot be told, they never do. */
static uint64_t file_end(const struct walk *w, const struct line *line)
{
	char path[96];
	uint64_t size;
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/map_files/%" PRIx64 "-%" PRIx64, w->mm->pid,
		 line->l.start, line->l.end);
	if (!line->file || stat(path, &st) || !S_ISREG(st.st_mode))
		return UINT64_MAX;
	size = ((uint64_t)st.st_size + CKPT_PAGE_LEN - 1) & ~(uint64_t)(CKPT_PAGE_LEN - 1);
	return line->l.start + (size > line->l.offset ? size - line->l.offset : 0);
}

static int add(struct walk *w, struct ckpt_take_area *area, uint64_t start, uint64_t end,
	       uint16_t state, bool dirty, struct ckpt_err *err)
{
	if (ckpt_take_add_pages(area, start, end, state, dirty ? CKPT_RUN_DIRTY : 0) ||
	    (dirty && ckpt_ranges_append(&w->dirty, start >> CKPT_PAGE_SHIFT,
					 end >> CKPT_PAGE_SHIFT)))
		return no_memory(w, err);
	return 0;
}

/* Pages that have not been written: but those told since the last commit are dirty still. */
static int add_clean(struct walk *w, struct ckpt_take_area *area, uint64_t start, uint64_t end,
		     uint16_t state, struct ckpt_err *err)
{
	struct ckpt_range r;

	while (ckpt_ranges_overlap(&w->mm->taken, start >> CKPT_PAGE_SHIFT, end >> CKPT_PAGE_SHIFT,
				   &r)) {
		uint64_t first = r.start << CKPT_PAGE_SHIFT, last = r.end << CKPT_PAGE_SHIFT;

		if ((first > start && add(w, area, start, first, state, false, err)) ||
		    add(w, area, first, last, state, true, err))
			return -1;
		start = last;
	}
	return start < end ? add(w, area, start, end, state, false, err) : 0;
}

/*
 * All pages of an area whose writes are noted; what was written is protected from here on.
 * @end: behind it there is nothing of a file
 * @fresh: that is so since now, and all of it is dirty
 */
static int scan(struct walk *w, struct ckpt_take_area *area, const struct line *line, uint64_t end,
		bool fresh, struct ckpt_err *err)
{
	struct ckpt_scan_region regions[REGIONS];
	struct ckpt_scan_arg arg = {
		.size = sizeof(arg), .flags = CKPT_SCAN_WP_MATCHING | CKPT_SCAN_CHECK_WPASYNC,
		.start = area->start, .end = area->end,
		.vec = (uintptr_t)regions, .vec_len = REGIONS,
		.category_anyof_mask = CKPT_SCAN_PRESENT | CKPT_SCAN_SWAPPED,
		.return_mask = ckpt_populated_mask(line->file_pages) | CKPT_SCAN_WRITTEN,
	};

	while (arg.start < area->end) {
		int n = ckpt_scan_next(w->pagemap, &arg);

		if (n < 0)
			return cannot(w, n, err);
		for (int i = 0; i < n; i++) {
			struct ckpt_scan_region *r = &regions[i];
			uint16_t state = ckpt_scan_state(r->categories);
			bool dirty = w->whole || fresh || r->categories & CKPT_SCAN_WRITTEN;

			/* the mark of a page of a file that was dropped looks like swap */
			if (line->file && state == CKPT_PAGE_SWAP) {
				dirty = true;
				r->end = r->end < end ? r->end : end;
				if (r->start >= r->end)
					continue;
			}
			if (dirty ? add(w, area, r->start, r->end, state, true, err) :
				    add_clean(w, area, r->start, r->end, state, err))
				return -1;
		}
	}
	return 0;
}

/*
 * In older kernels mremap leaves protected what it moves, in an area that is not registered,
 * where a write does not take the protection away any more: then it says nothing.
 */
static int drop_leftovers(struct walk *w, const struct ckpt_take_area *area)
{
	struct ckpt_scan_region region;
	struct ckpt_scan_arg arg = {
		.size = sizeof(arg), .start = area->start, .end = area->end,
		.vec = (uintptr_t)&region, .vec_len = 1, .max_pages = 1,
		.category_mask = CKPT_SCAN_WRITTEN, .category_inverted = CKPT_SCAN_WRITTEN,
		.category_anyof_mask = CKPT_SCAN_PRESENT | CKPT_SCAN_SWAPPED,
	};
	int r = ckpt_scan_next(w->pagemap, &arg);

	if (r > 0)
		r = ckpt_protect_unregister(w->mm->uffd, area->start, area->end);
	return r ? r : ckpt_protect_register(w->mm->uffd, area->start, area->end);
}

static bool has_pages_of_its_own(const struct ckpt_take_area *area)
{
	for (size_t i = 0; i < area->n_runs; i++) {
		if (area->runs[i].state != CKPT_PAGE_FILE && area->runs[i].state != CKPT_PAGE_ZERO)
			return true;
	}
	return false;
}

static int walk_private(struct walk *w, struct ckpt_take_area *area, const struct line *line,
			struct ckpt_err *err)
{
	int noted = ckpt_protect_noted(w->pagemap, area->start);
	uint64_t end;
	int r;

	/*
	 * What is only read, files, and reservations, are left alone while they have no page of
	 * their own: registered, a file's pages would be mapped one at a time, and each that the
	 * kernel takes away would leave a mark.
	 */
	if (noted <= 0 && (!line->l.writable || line->file)) {
		if (ckpt_populated_add(w->pagemap, w->mm->pid, area, line->file_pages, err))
			return -1;
		if (!has_pages_of_its_own(area))
			return 0;
	}
	end = file_end(w, line);
	/* also one that is noted: by us, or by somebody else */
	r = ckpt_protect_register(w->mm->uffd, area->start, area->end);
	area->flags |= r == -EBUSY ? CKPT_TAKE_AREA_FOREIGN : 0;
	area->n_runs = 0;
	if (!r && noted <= 0)
		r = drop_leftovers(w, area);
	/* also one that is gone: that of a call that was made in the process meanwhile */
	if (r)
		return ckpt_populated_add(w->pagemap, w->mm->pid, area, line->file_pages, err);
	return scan(w, area, line, end, noted <= 0, err);
}

/* @maps: all of it was read before: areas grow together while they are registered */
static int walk_areas(struct walk *w, char *maps, struct ckpt_err *err)
{
	char *at = NULL;

	for (char *text = strtok_r(maps, "\n", &at); text; text = strtok_r(NULL, "\n", &at)) {
		struct ckpt_take_area *area;
		struct line line;

		if (!parse(text, &line))
			return ckpt_fail(err, CKPT_FAILED, 0, "cannot read the areas of pid %d",
					 w->mm->pid);
		if (!ckpt_area_line_by_task(&line.l))
			continue;
		area = ckpt_take_add_area(w->take, line.l.start, line.l.end,
					  line.l.shared ? CKPT_AREA_SHARED : 0);
		if (!area)
			return no_memory(w, err);
		if (!line.l.shared && walk_private(w, area, &line, err))
			return -1;
	}
	return 0;
}

int ckpt_notes_walk(struct ckpt_notes_mm *mm, char *maps, bool whole, struct ckpt_take_mm *take,
		    struct ckpt_err *err)
{
	struct walk w = { .mm = mm, .take = take, .whole = whole };
	cleanup_close int pagemap = -1;
	char path[64];
	int ret;

	snprintf(path, sizeof(path), "/proc/%d/pagemap", mm->pid);
	pagemap = open(path, O_RDONLY | O_CLOEXEC);
	if (pagemap < 0)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot open %s", path);
	w.pagemap = pagemap;
	ret = walk_areas(&w, maps, err);
	if (!ret && ckpt_ranges_join(&mm->taken, &w.dirty))
		ret = no_memory(&w, err);
	ckpt_ranges_done(&w.dirty);
	return ret;
}
