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
#include "track/pagemap.h"
#include "track/populated.h"
#include "track/protect.h"
#include "track/notes-walk.h"

static bool parse(const char *text, struct ckpt_walk_line *ret)
{
	if (!ckpt_area_line_parse(text, &ret->l))
		return false;
	ret->file = ret->l.ino || ret->l.name[0] == '/';
	ret->file_pages = ckpt_area_line_of_file(&ret->l);
	return true;
}

/* Where the pages of a file end; of all else, and of what cannot be told, they never do. */
static uint64_t file_end(const struct ckpt_walk *w, const struct ckpt_walk_line *line)
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

/*
 * In older kernels mremap leaves protected what it moves, in an area that is not registered,
 * where a write does not take the protection away any more: then it says nothing.
 */
static int drop_leftovers(struct ckpt_walk *w, const struct ckpt_take_area *area)
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

static int walk_private(struct ckpt_walk *w, struct ckpt_take_area *area,
			const struct ckpt_walk_line *line, struct ckpt_err *err)
{
	bool noted;
	uint64_t end;
	int r;

	/*
	 * What is only read, files, and reservations, are left alone while they have no page of
	 * their own: registered, a file's pages would be mapped one at a time, and each that the
	 * kernel takes away would leave a mark.
	 */
	if (!line->l.writable || line->file) {
		if (ckpt_walk_look(w, area, line, &noted, err))
			return -1;
		if (!noted && !has_pages_of_its_own(area))
			return 0;
	} else {
		noted = ckpt_protect_noted(w->pagemap, area->start) > 0;
	}
	end = file_end(w, line);
	/* also one that is noted: by us, or by somebody else */
	r = ckpt_protect_register(w->mm->uffd, area->start, area->end);
	area->flags |= r == -EBUSY ? CKPT_TAKE_AREA_FOREIGN : 0;
	area->n_runs = 0;
	if (!r && !noted)
		r = drop_leftovers(w, area);
	/* also one that is gone: that of a call that was made in the process meanwhile */
	if (r)
		return ckpt_populated_add(w->pagemap, w->mm->pid, area, line->file_pages, err);
	return ckpt_walk_scan(w, area, line, end, !noted, err);
}

/* Each by itself: one of them cannot be registered. */
static int walk_apart(struct ckpt_walk *w, struct ckpt_err *err)
{
	for (size_t i = w->span.first; i < w->take->n_areas; i++) {
		struct ckpt_take_area *area = &w->take->areas[i];
		const struct ckpt_walk_line line = {
			.l = { .start = area->start, .end = area->end, .writable = true },
		};

		if (walk_private(w, area, &line, err))
			return -1;
	}
	return 0;
}

/*
 * Registered at once, all of them or none.  What was not registered before has no protection, so
 * that all of it shows as written; older kernels, where that is not so, have no spans.
 */
static int walk_span(struct ckpt_walk *w, struct ckpt_err *err)
{
	int ret = 0;

	if (w->span.end)
		ret = ckpt_protect_register(w->mm->uffd, w->span.start, w->span.end) ?
		      walk_apart(w, err) : ckpt_walk_scan_span(w, err);
	w->span.end = 0;
	return ret;
}

/* An area may join others where it is one that is always registered, and no file's. */
static bool joins(const struct ckpt_walk *w, const struct ckpt_walk_line *line)
{
	return w->spans && ckpt_area_line_plain(&line->l);
}

static void join(struct ckpt_walk *w, const struct ckpt_take_area *area)
{
	if (!w->span.end) {
		w->span.start = area->start;
		w->span.first = area - w->take->areas;
	}
	w->span.end = area->end;
}

/* @maps: all of it was read before: areas grow together while they are registered */
static int walk_areas(struct ckpt_walk *w, char *maps, struct ckpt_err *err)
{
	char *at = NULL;

	for (char *text = strtok_r(maps, "\n", &at); text; text = strtok_r(NULL, "\n", &at)) {
		struct ckpt_take_area *area;
		struct ckpt_walk_line line;
		bool beside;

		if (!parse(text, &line))
			return ckpt_fail(err, CKPT_FAILED, 0, "cannot read the areas of pid %d",
					 w->mm->pid);
		beside = joins(w, &line);
		if (!beside && walk_span(w, err))
			return -1;
		if (!ckpt_area_line_by_task(&line.l))
			continue;
		area = ckpt_take_add_area(w->take, line.l.start, line.l.end,
					  line.l.shared ? CKPT_AREA_SHARED : 0);
		if (!area)
			return ckpt_walk_no_memory(w, err);
		if (beside)
			join(w, area);
		else if (line.l.shared ? ckpt_populated_guards(w->pagemap, w->mm->pid, area, err) :
			 walk_private(w, area, &line, err))
			return -1;
	}
	return walk_span(w, err);
}

int ckpt_notes_walk(const struct ckpt_notes *notes, struct ckpt_notes_mm *mm, char *maps,
		    bool whole, struct ckpt_take_mm *take, struct ckpt_err *err)
{
	struct ckpt_walk w = {
		.mm = mm, .take = take, .whole = whole,
		.spans = !notes->apart && ckpt_protect_spans(),
	};
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
		ret = ckpt_walk_no_memory(&w, err);
	ckpt_ranges_done(&w.dirty);
	return ret;
}
