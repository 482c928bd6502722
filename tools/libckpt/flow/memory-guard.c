// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Memory of a checkpoint: guard regions
 *
 * A guard page has no content and cannot be read; what the space has of it is dropped.  Linux 6.13
 * and 6.14 show one as a page in swap, if the tracker does not know better (the module does): of
 * an area whose content is copied the copy then fails, so only the others are looked at here.
 */
#include "flow/memory.h"
#include "proc/guard.h"

static bool is_private(const struct ckpt_area *a)
{
	return a->kind == CKPT_AREA_KIND_ANON || a->kind == CKPT_AREA_KIND_FILE_PRIVATE;
}

bool ckpt_mem_has_content(const struct ckpt_area *area)
{
	return is_private(area) &&
	       !(area->flags & (CKPT_AREA_F_WIPEONFORK | CKPT_AREA_F_DROPPABLE));
}

/* Pages without content that look swapped. */
static int check_swapped(const struct ckpt_memory *from, uint64_t start, uint64_t end,
			 struct ckpt_err *err)
{
	uint8_t page[CKPT_PAGE_LEN];

	for (; start < end; start += CKPT_PAGE_LEN) {
		if (ckpt_memory_read(from, start, page, sizeof(page)) != sizeof(page))
			return ckpt_fail(err, CKPT_REFUSED, 0,
					 "cannot read page %#llx of pid %d, which may be a guard "
					 "region that this kernel does not show",
					 (unsigned long long)start, from->pid);
	}
	return 0;
}

static int add_run(struct ckpt_mm *mm, const struct ckpt_area *area, const struct ckpt_run *run,
		   const struct ckpt_memory *from, struct ckpt_err *err)
{
	uint64_t start = run->start, end = run->start + run->pages * (uint64_t)CKPT_PAGE_LEN;

	start = start > area->start ? start : area->start;
	end = end < area->end ? end : area->end;
	if (start >= end)
		return 0;
	if (run->state == CKPT_PAGE_GUARD)
		return ckpt_guard_add(mm, start, end, err);
	if (run->state == CKPT_PAGE_SWAP && is_private(area) && !ckpt_mem_has_content(area))
		return check_swapped(from, start, end, err);
	return 0;
}

static int add_area(struct ckpt_mm *mm, const struct ckpt_area *area,
		    const struct ckpt_take_area *told, const struct ckpt_memory *from,
		    struct ckpt_err *err)
{
	for (size_t i = 0; i < told->n_runs; i++) {
		if (add_run(mm, area, &told->runs[i], from, err))
			return -1;
	}
	return 0;
}

int ckpt_mem_guards(const struct ckpt_take_mm *take, struct ckpt_mm *mm,
		    const struct ckpt_memory *from, struct ckpt_err *err)
{
	size_t first = 0;

	mm->n_guards = 0;
	for (size_t i = 0; i < mm->n_areas; i++) {
		const struct ckpt_area *area = &mm->areas[i];

		while (first < take->n_areas && take->areas[first].end <= area->start)
			first++;
		for (size_t a = first;
		     a < take->n_areas && take->areas[a].start < area->end; a++) {
			if (add_area(mm, area, &take->areas[a], from, err))
				return -1;
		}
	}
	return 0;
}
