// SPDX-License-Identifier: GPL-2.0-or-later
/* Notes: what is told while the group runs, ahead of a round. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "base/cleanup.h"
#include "base/fault.h"
#include "base/pages.h"
#include "base/procstat.h"
#include "track/notes.h"
#include "track/pagemap.h"
#include "track/populated.h"
#include "track/protect.h"
#include "track/quiet.h"

#define REGIONS 512

static int no_memory(struct ckpt_err *err)
{
	return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a take");
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
		uint64_t start;

		/* who has ended waits for no I/O but that of rings, which are missed */
		if (maps)
			found = *maps && ckpt_notes_behind(pid, maps, rings);
		else
			found = !ckpt_procstat(pid, CKPT_STAT_START_TIME, &start, 1);
	}
	return found;
}

/* What a scan found at @r of a span: told clean, or dirty and protected. */
static int tell(struct ckpt_take_area *area, struct ckpt_ranges *dirty,
		const struct ckpt_scan_region *r)
{
	uint64_t first = r->start >> CKPT_PAGE_SHIFT, last = r->end >> CKPT_PAGE_SHIFT;
	bool written = r->categories & CKPT_SCAN_WRITTEN;

	return ckpt_take_add_pages(area, r->start, r->end, ckpt_scan_state(r->categories),
				   written ? CKPT_RUN_DIRTY : 0) ||
	       (written && ckpt_ranges_append(dirty, first, last)) ? -1 : 0;
}

/*
 * One span. What has become of it since the round is no matter: who is not watched is passed
 * over, and of who is the protection tells.
 */
static int scan_span(int pagemap, struct ckpt_take_area *area, struct ckpt_ranges *dirty)
{
	struct ckpt_scan_region regions[REGIONS];
	struct ckpt_scan_arg arg = {
		.size = sizeof(arg), .flags = CKPT_SCAN_WP_MATCHING,
		.start = area->start, .end = area->end,
		.vec = (uintptr_t)regions, .vec_len = REGIONS,
		.category_mask = CKPT_SCAN_WPALLOWED,
		.category_anyof_mask = CKPT_SCAN_PRESENT | CKPT_SCAN_SWAPPED,
		.return_mask = ckpt_populated_mask(false) | CKPT_SCAN_WRITTEN,
	};

	while (arg.start < arg.end) {
		int n = ckpt_scan_next(pagemap, &arg);

		if (n < 0)
			return n;
		for (int i = 0; i < n; i++) {
			if (tell(area, dirty, &regions[i]))
				return -1;
		}
	}
	return 0;
}

/*
 * The spans of @mm. @ret_dirty: what is protected since now. Return: 0; -1: what was protected is
 * not known.
 */
static int walk_mm(const struct ckpt_notes_mm *mm, struct ckpt_take_mm *take,
		   struct ckpt_ranges *ret_dirty)
{
	cleanup_close int pagemap = -1;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/pagemap", mm->pid);
	pagemap = open(path, O_RDONLY | O_CLOEXEC);
	/* asked afterwards: it is none of another process with the same pid */
	if (pagemap < 0 || !ckpt_notes_alive(mm))
		return 0;
	for (size_t i = 0; i < mm->spans.n; i++) {
		uint64_t start = mm->spans.r[i].start << CKPT_PAGE_SHIFT;
		uint64_t end = mm->spans.r[i].end << CKPT_PAGE_SHIFT;
		struct ckpt_take_area *area;

		/* a part of it is somebody else's, or none of it is there any more */
		if (ckpt_protect_register(mm->uffd, start, end))
			continue;
		area = ckpt_take_add_area(take, start, end, 0);
		if (!area || scan_span(pagemap, area, ret_dirty))
			return -1;
	}
	return 0;
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
		struct ckpt_take_mm *told;

		if (!mm->spans.n || !has(group, mm->pid))
			continue;
		told = ckpt_take_add_mm(take, mm->cookie, mm->pid, 0);
		if (!told)
			return no_memory(err);
		/* it may have ended meanwhile; if not, the round tells all of it */
		mm->doubt |= walk_mm(mm, told, &dirty[i]);
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
