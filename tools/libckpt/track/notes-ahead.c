// SPDX-License-Identifier: GPL-2.0-or-later
/* Notes: what is told while the group runs, ahead of a round. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "base/cleanup.h"
#include "base/fault.h"
#include "base/pages.h"
#include "base/procstat.h"
#include "track/area-line.h"
#include "track/notes.h"
#include "track/pagemap.h"
#include "track/populated.h"
#include "track/protect.h"
#include "track/quiet.h"

static int no_memory(struct ckpt_err *err)
{
	return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a take");
}

/* What cannot be looked at, for want of a descriptor say, has not ended for that. */
static bool ended(int32_t pid)
{
	uint64_t start;
	int r = ckpt_procstat(pid, CKPT_STAT_START_TIME, &start, 1);

	return r == -ENOENT || r == -ESRCH;
}

/*
 * May I/O be under way that writes to memory without a fault, of whoever is in the group now?
 * @rings: those at rest
 */
static bool behind(const char *dir, struct ckpt_buf *rings, int32_t **ret_pids, size_t *ret_n)
{
	struct ckpt_err ignored = CKPT_ERR_INIT;
	bool found = false;

	*ret_pids = NULL;
	*ret_n = 0;
	if (ckpt_cgroup_dir_pids(dir, ret_pids, ret_n, &ignored))
		return true;
	for (size_t i = 0; i < *ret_n && !found; i++) {
		int32_t pid = (*ret_pids)[i];
		cleanup_free char *maps = ckpt_notes_maps(pid);

		/* who has ended waits for no I/O but that of rings, which are missed */
		if (maps)
			found = *maps && ckpt_notes_behind(pid, maps, rings);
		else
			found = !ended(pid);
	}
	return found;
}

/**
 * struct walk - an address space being walked
 * @dirty: told so, and protected: some of it before
 */
struct walk {
	struct ckpt_notes_mm *mm;
	struct ckpt_take_mm *take;
	struct ckpt_ranges *dirty;
	int pagemap;
};

static int add(struct walk *w, struct ckpt_take_area *area, uint64_t first, uint64_t last,
	       uint16_t state, bool dirty)
{
	return ckpt_take_add_pages(area, first << CKPT_PAGE_SHIFT, last << CKPT_PAGE_SHIFT, state,
				   dirty ? CKPT_RUN_DIRTY : 0) ||
	       (dirty && ckpt_ranges_append(w->dirty, first, last)) ? -1 : 0;
}

/* What a scan found at @r of a span.  What the round would tell in any case may be told as well. */
static int tell(struct walk *w, struct ckpt_take_area *area, const struct ckpt_scan_region *r)
{
	uint64_t first = r->start >> CKPT_PAGE_SHIFT, last = r->end >> CKPT_PAGE_SHIFT;
	uint16_t state = ckpt_scan_state(r->categories);
	struct ckpt_range taken;

	if (r->categories & CKPT_SCAN_WRITTEN)
		return add(w, area, first, last, state, true);
	while (ckpt_ranges_overlap(&w->mm->taken, first, last, &taken)) {
		if ((taken.start > first && add(w, area, first, taken.start, state, false)) ||
		    add(w, area, taken.start, taken.end, state, true))
			return -1;
		first = taken.end;
	}
	return first < last ? add(w, area, first, last, state, false) : 0;
}

/* Who is not watched is passed over, and of who is the protection tells. */
static int scan_span(struct walk *w, struct ckpt_take_area *area)
{
	struct ckpt_scan_region regions[CKPT_SCAN_REGIONS];
	struct ckpt_scan_arg arg = {
		.size = sizeof(arg), .flags = CKPT_SCAN_WP_MATCHING,
		.start = area->start, .end = area->end,
		.vec = (uintptr_t)regions, .vec_len = CKPT_SCAN_REGIONS,
		.category_mask = CKPT_SCAN_WPALLOWED,
		.category_anyof_mask = CKPT_SCAN_PRESENT | CKPT_SCAN_SWAPPED,
		.return_mask = ckpt_populated_mask(false) | CKPT_SCAN_WRITTEN,
	};

	while (arg.start < arg.end) {
		int n = ckpt_scan_next(w->pagemap, &arg);

		if (n < 0)
			return n;
		for (int i = 0; i < n; i++) {
			if (tell(w, area, &regions[i]))
				return -1;
		}
	}
	return 0;
}

/* Register and scan a span; one that cannot be, as a part is somebody else's, the round sees. */
static int walk_span(struct walk *w, struct ckpt_range *span)
{
	struct ckpt_take_area *area;
	uint64_t start = span->start, end = span->end;

	span->end = 0;
	if (!end || ckpt_protect_register(w->mm->uffd, start, end))
		return 0;
	area = ckpt_take_add_area(w->take, start, end, 0);
	return !area || scan_span(w, area) ? -1 : 0;
}

/* The spans of @maps, used up, as notes-mm.c makes them. */
static int walk_spans(struct walk *w, char *maps)
{
	struct ckpt_range span = { 0 };
	char *at = NULL;

	for (char *text = strtok_r(maps, "\n", &at); text; text = strtok_r(NULL, "\n", &at)) {
		struct ckpt_area_line line;

		if (!ckpt_area_line_parse(text, &line))
			return -1;
		if (!ckpt_area_line_plain(&line)) {
			if (walk_span(w, &span))
				return -1;
			continue;
		}
		if (!span.end)
			span.start = line.start;
		span.end = line.end;
	}
	return walk_span(w, &span);
}

static bool in_a_span(const struct ckpt_take_mm *take, const struct ckpt_area_line *line)
{
	for (size_t a = 0; a < take->n_areas; a++) {
		if (line->start < take->areas[a].end && line->end > take->areas[a].start)
			return true;
	}
	return false;
}

/* What came into a span after its areas were read, and is none that is watched so. */
static void give_back(struct walk *w)
{
	cleanup_free char *maps = ckpt_notes_maps(w->mm->pid);
	char *at = NULL, *text = maps ? strtok_r(maps, "\n", &at) : NULL;

	for (; text; text = strtok_r(NULL, "\n", &at)) {
		struct ckpt_area_line line;

		if (ckpt_area_line_parse(text, &line) && !ckpt_area_line_plain(&line) &&
		    in_a_span(w->take, &line) && ckpt_protect_noted(w->pagemap, line.start) > 0)
			ckpt_protect_unregister(w->mm->uffd, line.start, line.end);
	}
}

/* Return: 0; -1: what was protected is not known. */
static int walk_mm(struct walk *w)
{
	cleanup_free char *maps = ckpt_notes_maps(w->mm->pid);
	cleanup_close int pagemap = ckpt_scan_open(w->mm->pid);
	int ret;

	/* asked afterwards: it is none of another process with the same pid */
	if (!maps || pagemap < 0 || !ckpt_notes_alive(w->mm))
		return 0;
	w->pagemap = pagemap;
	ret = walk_spans(w, maps);
	give_back(w);
	return ret;
}

/**
 * struct members - processes of the group
 * @sure: everybody has let go of what was not told as written when it was protected
 */
struct members {
	int32_t *pids;
	size_t n;
	bool sure;
};

static bool has(const struct members *m, int32_t pid)
{
	for (size_t i = 0; i < m->n; i++) {
		if (m->pids[i] == pid)
			return true;
	}
	return false;
}

/* @dirty of each mm is protected: told ahead, or by the round, as of who has left. */
static void keep(struct ckpt_notes *notes, const struct ckpt_ranges *dirty,
		 const struct members *now)
{
	for (size_t i = 0; i < notes->n_mms; i++) {
		struct ckpt_notes_mm *mm = &notes->mms[i];
		bool ahead = now->sure && has(now, mm->pid);

		mm->doubt |= ckpt_ranges_join(ahead ? &mm->ahead : &mm->taken, &dirty[i]);
		if (ahead && !mm->doubt)
			ckpt_ranges_subtract(&mm->taken, &dirty[i]);
	}
}

/* Nothing that was written is told ahead. */
static void thin_mm(struct ckpt_take_mm *mm)
{
	for (size_t a = 0; a < mm->n_areas; a++) {
		struct ckpt_take_area *area = &mm->areas[a];
		size_t kept = 0;

		for (size_t r = 0; r < area->n_runs; r++) {
			if (!(area->runs[r].flags & CKPT_RUN_DIRTY))
				area->runs[kept++] = area->runs[r];
		}
		area->n_runs = kept;
	}
}

static void thin(struct ckpt_take *take, const struct members *now)
{
	for (size_t m = 0; m < take->n_mms; m++) {
		if (!now->sure || !has(now, take->mms[m].pid))
			thin_mm(&take->mms[m]);
	}
}

static int walk_all(struct ckpt_notes *notes, const struct members *group, struct ckpt_take *take,
		    struct ckpt_ranges *dirty, struct ckpt_err *err)
{
	for (size_t i = 0; i < notes->n_mms; i++) {
		struct ckpt_notes_mm *mm = &notes->mms[i];
		struct walk w = { .mm = mm, .dirty = &dirty[i] };

		if (!has(group, mm->pid))
			continue;
		w.take = ckpt_take_add_mm(take, mm->cookie, mm->pid, 0);
		if (!w.take)
			return no_memory(err);
		/* it may have ended meanwhile; if not, the round tells all of it */
		mm->doubt |= walk_mm(&w);
		ckpt_fault("tracker.scanned");
	}
	return 0;
}

/* Who is there now, after the walk; @before: rings at rest before it. */
static void look_again(const struct ckpt_notes *notes, const char *dir,
		       const struct ckpt_buf *before, struct members *ret)
{
	cleanup_buf struct ckpt_buf rings = CKPT_BUF_INIT;

	ret->sure = !behind(dir, &rings, &ret->pids, &ret->n) &&
		    !ckpt_notes_ring_gone(&notes->rings, &rings) &&
		    !ckpt_notes_ring_gone(before, &rings) && ckpt_quiet(ret->pids, ret->n);
}

/* Of @group, with the @rings that it has. */
static int tell_ahead(struct ckpt_notes *notes, const char *dir, const struct members *group,
		      const struct ckpt_buf *rings, struct ckpt_take *take, struct ckpt_err *err)
{
	struct ckpt_ranges *dirty = calloc(notes->n_mms, sizeof(*dirty));
	struct members now = { 0 };
	int failed;

	if (!dirty)
		return no_memory(err);
	/* without memory for a take what was protected is told by the round */
	failed = walk_all(notes, group, take, dirty, err);
	if (!failed)
		look_again(notes, dir, rings, &now);
	keep(notes, dirty, &now);
	thin(take, &now);
	free(now.pids);
	for (size_t i = 0; i < notes->n_mms; i++)
		ckpt_ranges_done(&dirty[i]);
	free(dirty);
	return failed;
}

int ckpt_notes_ahead(struct ckpt_notes *notes, const char *dir, struct ckpt_take *ret,
		     struct ckpt_err *err)
{
	cleanup_buf struct ckpt_buf rings = CKPT_BUF_INIT;
	struct ckpt_take take = { 0 };
	struct members group = { 0 };
	int failed = 0;

	/* on an older kernel an area that is registered anew may have protected pages that lie */
	if (notes->n_mms && !notes->apart && ckpt_protect_spans() && !notes->behind &&
	    !behind(dir, &rings, &group.pids, &group.n))
		failed = tell_ahead(notes, dir, &group, &rings, &take, err);
	free(group.pids);
	if (failed)
		ckpt_take_done(&take);
	*ret = take;
	return failed;
}
