// SPDX-License-Identifier: GPL-2.0-or-later
/* Notes: the pages of areas, and what is told of them. */
#include "base/pages.h"
#include "track/notes-walk.h"
#include "track/pagemap.h"
#include "track/populated.h"

int ckpt_walk_cannot(const struct ckpt_walk *w, int e, struct ckpt_err *err)
{
	return ckpt_fail(err, CKPT_FAILED, -e, "cannot watch the memory of pid %d", w->mm->pid);
}

int ckpt_walk_no_memory(const struct ckpt_walk *w, struct ckpt_err *err)
{
	return ckpt_fail(err, CKPT_FAILED, 0, "no memory for the pages of pid %d", w->mm->pid);
}

static int add(struct ckpt_walk *w, struct ckpt_take_area *area, uint64_t start, uint64_t end,
	       uint16_t state, bool dirty, struct ckpt_err *err)
{
	if (ckpt_take_add_pages(area, start, end, state, dirty ? CKPT_RUN_DIRTY : 0) ||
	    (dirty && ckpt_ranges_append(&w->dirty, start >> CKPT_PAGE_SHIFT,
					 end >> CKPT_PAGE_SHIFT)))
		return ckpt_walk_no_memory(w, err);
	return 0;
}

/* Pages that have not been written: but those told since the last commit are dirty still. */
static int add_clean(struct ckpt_walk *w, struct ckpt_take_area *area, uint64_t start, uint64_t end,
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

/* A region of area @area, or of a part of it. */
static int tell(struct ckpt_walk *w, struct ckpt_take_area *area, uint64_t start, uint64_t end,
		uint16_t state, bool dirty, struct ckpt_err *err)
{
	return dirty ? add(w, area, start, end, state, true, err) :
		       add_clean(w, area, start, end, state, err);
}

int ckpt_walk_look(struct ckpt_walk *w, struct ckpt_take_area *area,
		   const struct ckpt_walk_line *line, bool *ret_noted, struct ckpt_err *err)
{
	struct ckpt_scan_region regions[CKPT_SCAN_REGIONS];
	struct ckpt_scan_arg arg = {
		.size = sizeof(arg), .start = area->start, .end = area->end,
		.vec = (uintptr_t)regions, .vec_len = CKPT_SCAN_REGIONS,
		.category_anyof_mask = CKPT_SCAN_PRESENT | CKPT_SCAN_SWAPPED,
		.return_mask = ckpt_populated_mask(line->file_pages) | CKPT_SCAN_WPALLOWED,
	};

	*ret_noted = false;
	while (arg.start < area->end) {
		int n = ckpt_scan_next(w->pagemap, &arg);

		if (n < 0)
			return ckpt_walk_cannot(w, n, err);
		for (int i = 0; i < n; i++) {
			const struct ckpt_scan_region *r = &regions[i];

			*ret_noted |= !!(r->categories & CKPT_SCAN_WPALLOWED);
			if (ckpt_take_add_pages(area, r->start, r->end,
						ckpt_scan_state(r->categories), CKPT_RUN_DIRTY))
				return ckpt_walk_no_memory(w, err);
		}
	}
	return 0;
}

int ckpt_walk_scan(struct ckpt_walk *w, struct ckpt_take_area *area,
		   const struct ckpt_walk_line *line, uint64_t end, bool fresh,
		   struct ckpt_err *err)
{
	struct ckpt_scan_region regions[CKPT_SCAN_REGIONS];
	struct ckpt_scan_arg arg = {
		.size = sizeof(arg), .flags = CKPT_SCAN_WP_MATCHING | CKPT_SCAN_CHECK_WPASYNC,
		.start = area->start, .end = area->end,
		.vec = (uintptr_t)regions, .vec_len = CKPT_SCAN_REGIONS,
		.category_anyof_mask = CKPT_SCAN_PRESENT | CKPT_SCAN_SWAPPED,
		.return_mask = ckpt_populated_mask(line->file_pages) | CKPT_SCAN_WRITTEN,
	};

	while (arg.start < area->end) {
		int n = ckpt_scan_next(w->pagemap, &arg);

		if (n < 0)
			return ckpt_walk_cannot(w, n, err);
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
			if (tell(w, area, r->start, r->end, state, dirty, err))
				return -1;
		}
	}
	return 0;
}

/* The parts of region @r that lie in areas from @*at on, which is moved on to the last of them. */
static int tell_areas(struct ckpt_walk *w, size_t *at, const struct ckpt_scan_region *r,
		      struct ckpt_err *err)
{
	uint16_t state = ckpt_scan_state(r->categories);
	bool dirty = w->whole || r->categories & CKPT_SCAN_WRITTEN;

	while (*at < w->take->n_areas && w->take->areas[*at].end <= r->start)
		++*at;
	for (; *at < w->take->n_areas; ++*at) {
		struct ckpt_take_area *area = &w->take->areas[*at];
		uint64_t start = r->start > area->start ? r->start : area->start;
		uint64_t end = r->end < area->end ? r->end : area->end;

		if (start < end && tell(w, area, start, end, state, dirty, err))
			return -1;
		if (r->end <= area->end)
			break;
	}
	return 0;
}

int ckpt_walk_scan_span(struct ckpt_walk *w, struct ckpt_err *err)
{
	struct ckpt_scan_region regions[CKPT_SCAN_REGIONS];
	struct ckpt_scan_arg arg = {
		.size = sizeof(arg), .flags = CKPT_SCAN_WP_MATCHING,
		.start = w->span.start, .end = w->span.end,
		.vec = (uintptr_t)regions, .vec_len = CKPT_SCAN_REGIONS,
		.category_mask = CKPT_SCAN_WPALLOWED,
		.category_anyof_mask = CKPT_SCAN_PRESENT | CKPT_SCAN_SWAPPED,
		.return_mask = ckpt_populated_mask(false) | CKPT_SCAN_WRITTEN,
	};
	size_t at = w->span.first;

	while (arg.start < arg.end) {
		int n = ckpt_scan_next(w->pagemap, &arg);

		if (n < 0)
			return ckpt_walk_cannot(w, n, err);
		for (int i = 0; i < n; i++)
			if (tell_areas(w, &at, &regions[i], err))
				return -1;
	}
	return 0;
}
