// SPDX-License-Identifier: GPL-2.0-or-later
/* Guard regions: a list of them, and its consistency. */
#include <stdlib.h>

#include "base/pages.h"
#include "proc/guard.h"
#include "proc/image-check.h"

int ckpt_guard_add(struct ckpt_mm *mm, uint64_t start, uint64_t end, struct ckpt_err *err)
{
	struct ckpt_guard *list = reallocarray(mm->guards, mm->n_guards + 1, sizeof(*list));

	if (!list)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of guard regions");
	mm->guards = list;
	list[mm->n_guards++] = (struct ckpt_guard){ start, end };
	return 0;
}

struct ckpt_guard ckpt_guard_next(const struct ckpt_mm *mm, uint64_t at, uint64_t end)
{
	size_t low = 0, high = mm->n_guards;
	struct ckpt_guard g = { end, end };

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (mm->guards[mid].end <= at)
			low = mid + 1;
		else
			high = mid;
	}
	if (low < mm->n_guards && mm->guards[low].start < end)
		g = mm->guards[low];
	g.start = g.start > at ? g.start : at;
	g.end = g.end < end ? g.end : end;
	return g.start < g.end ? g : (struct ckpt_guard){ end, end };
}

static bool takes_guards(const struct ckpt_area *a)
{
	return a->kind == CKPT_AREA_KIND_ANON || a->kind == CKPT_AREA_KIND_FILE_PRIVATE ||
	       a->kind == CKPT_AREA_KIND_FILE_SHARED;
}

int ckpt_guards_check(const struct ckpt_mm *mm, struct ckpt_err *err)
{
	uint64_t last = 0;
	size_t at = 0;

	for (size_t i = 0; i < mm->n_guards; i++) {
		const struct ckpt_guard *g = &mm->guards[i];

		if (g->start < last || g->start >= g->end ||
		    (g->start | g->end) & (CKPT_PAGE_LEN - 1))
			return BAD_IMAGE("guard region at 0x%lx has no sound bounds", g->start);
		last = g->end;
		while (at < mm->n_areas && mm->areas[at].end <= g->start)
			at++;
		if (at == mm->n_areas || g->start < mm->areas[at].start ||
		    g->end > mm->areas[at].end || !takes_guards(&mm->areas[at]))
			return BAD_IMAGE("guard region at 0x%lx is in no area", g->start);
	}
	return 0;
}
