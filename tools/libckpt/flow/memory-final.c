// SPDX-License-Identifier: GPL-2.0-or-later
/* Memory of a checkpoint: the copy made while every task is stopped. */
#include <string.h>

#include "base/cleanup.h"
#include "flow/memory.h"
#include "proc/gather.h"
#include "track/tracker.h"

/* One mm in the final round. */
struct final {
	struct ckpt_mem *mem;
	struct ckpt_gather *gather;	/* what is to be copied in the end */
	struct ckpt_mem_mm *mm;
	struct ckpt_stage *stage;
	const struct ckpt_sink *sink;	/* the stage as a sink */
	const struct ckpt_area *area;	/* of the image */
	struct ckpt_ranges held;	/* pages the space holds afterwards */
};

/* Largest piece copied at once, pages: what one processor does before it takes the next. */
#define PIECE 256u

static int no_memory(struct ckpt_err *err)
{
	return ckpt_fail(err, CKPT_FAILED, 0, "no memory for the final round");
}

/* Pages [start, end) are absent now: say so where the space has them. */
static int drop(struct final *f, uint64_t start, uint64_t end, struct ckpt_err *err)
{
	struct ckpt_range r;

	while (ckpt_ranges_overlap(&f->mm->stored, start, end, &r)) {
		if (f->sink->drop(f->sink->self, f->mm->space, r.start, r.end - r.start, err))
			return -1;
		start = r.end;
	}
	return 0;
}

static int copy(struct final *f, uint64_t page, uint64_t end, struct ckpt_err *err)
{
	while (page < end) {
		size_t n = end - page < PIECE ? end - page : PIECE;
		void *room = ckpt_stage_room(f->stage, n, err);

		if (!room || ckpt_gather_add(f->gather, &f->mm->from, page << CKPT_PAGE_SHIFT, room,
					     n * CKPT_PAGE_LEN, err) ||
		    ckpt_stage_put_room(f->stage, f->mm->space, page, n, err))
			return -1;
		f->mem->pages_read += n;
		f->mem->final_pages += n;
		page += n;
	}
	return 0;
}

/* All copies that were noted. */
static int copy_all(struct ckpt_gather *gather, struct ckpt_err *err)
{
	const struct ckpt_gather_read *bad = ckpt_gather_run(gather);

	if (!bad)
		return 0;
	if (!bad->got && ckpt_memory_gone(&bad->from))
		return ckpt_fail(err, CKPT_FAILED, 0,
				 "pid %d was killed while it was stopped; try again",
				 bad->from.pid);
	return ckpt_fail(err, CKPT_REFUSED, 0,
			 "cannot read page %#llx of pid %d, which has content",
			 (unsigned long long)bad->addr + bad->got, bad->from.pid);
}

/* Clean pages: what nobody has yet is copied all the same. */
static int copy_missing(struct final *f, uint64_t page, uint64_t end, struct ckpt_err *err)
{
	struct ckpt_range r;

	while (ckpt_ranges_missing(&f->mm->have, page, end, &r)) {
		f->mem->dirty_pages += r.end - r.start;
		if (copy(f, r.start, r.end, err))
			return -1;
		page = r.end;
	}
	return 0;
}

static int zeros(struct final *f, uint64_t page, uint64_t end, struct ckpt_err *err)
{
	static const uint8_t zero[CKPT_PAGE_LEN];

	for (; page < end; page++)
		if (f->sink->put(f->sink->self, f->mm->space, page, zero, 1, err))
			return -1;
	return 0;
}

/* Pages [page, end) of one run, inside the area. */
static int do_run(struct final *f, const struct ckpt_run *run, uint64_t page, uint64_t end,
		  struct ckpt_err *err)
{
	bool file = f->area->kind == CKPT_AREA_KIND_FILE_PRIVATE;

	if (run->state == CKPT_PAGE_GUARD)
		return drop(f, page, end, err);
	f->mem->resident_pages += end - page;
	switch (run->state) {
	case CKPT_PAGE_ZERO:
		/* Absent means zeros in anonymous memory, the file's content elsewhere. */
		if (!file)
			return drop(f, page, end, err);
		if (zeros(f, page, end, err))
			return -1;
		break;
	case CKPT_PAGE_FILE:
		if (file)
			return drop(f, page, end, err);
		if (copy(f, page, end, err))
			return -1;
		break;
	case CKPT_PAGE_ANON:
	case CKPT_PAGE_SWAP:
	case CKPT_PAGE_MIGRATION:
		if (run->flags & CKPT_RUN_DIRTY) {
			f->mem->dirty_pages += end - page;
			if (copy(f, page, end, err))
				return -1;
		} else if (copy_missing(f, page, end, err)) {
			return -1;
		}
		break;
	default:
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "pid %d: page %#llx cannot be read as memory (state %u)",
				 f->mm->pid, (unsigned long long)page << CKPT_PAGE_SHIFT,
				 run->state);
	}
	return ckpt_ranges_append(&f->held, page, end) ? no_memory(err) : 0;
}

/* All runs of @area that lie in the image's area; gaps are dropped. */
static int do_runs(struct final *f, const struct ckpt_take_area *area, uint64_t *at,
		   struct ckpt_err *err)
{
	uint64_t last = f->area->end >> CKPT_PAGE_SHIFT;

	for (size_t i = 0; i < area->n_runs; i++) {
		const struct ckpt_run *run = &area->runs[i];
		uint64_t page = run->start >> CKPT_PAGE_SHIFT, end = page + run->pages;

		page = page > *at ? page : *at;
		end = end < last ? end : last;
		if (page >= end)
			continue;
		if (drop(f, *at, page, err) || do_run(f, run, page, end, err))
			return -1;
		*at = end;
	}
	return 0;
}

static int refuse_foreign(const struct final *f, const struct ckpt_take_area *a,
			  struct ckpt_err *err)
{
	return ckpt_fail(err, CKPT_REFUSED, 0,
			 "pid %d maps memory registered with userfaultfd at 0x%llx, which this "
			 "version cannot restore", f->mm->pid, (unsigned long long)a->start);
}

/* Whether the tracker looked into all of the image's area; @i: its areas before end below it. */
static int check_walked(const struct final *f, const struct ckpt_take_mm *take, size_t i,
			struct ckpt_err *err)
{
	uint64_t at = f->area->start;

	for (; i < take->n_areas && take->areas[i].start < f->area->end; i++) {
		const struct ckpt_take_area *a = &take->areas[i];

		if (a->start <= at && a->end > at && !(a->flags & CKPT_AREA_UNWALKED))
			at = a->end;
		if (a->flags & CKPT_TAKE_AREA_FOREIGN && a->end > f->area->start &&
		    a->start < f->area->end)
			return refuse_foreign(f, a, err);
	}
	if (at >= f->area->end)
		return 0;
	return ckpt_fail(err, CKPT_REFUSED, 0,
			 "area %#llx-%#llx of pid %d was not walked by the tracker",
			 (unsigned long long)f->area->start, (unsigned long long)f->area->end,
			 f->mm->pid);
}

static int do_areas(struct final *f, const struct ckpt_mm *mm, const struct ckpt_take_mm *take,
		    struct ckpt_err *err)
{
	uint64_t at = 0;	/* everything below is decided */
	size_t first = 0;

	for (size_t i = 0; i < mm->n_areas; i++) {
		if (!ckpt_mem_has_content(&mm->areas[i]))
			continue;
		f->area = &mm->areas[i];
		while (first < take->n_areas && take->areas[first].end <= f->area->start)
			first++;
		if (check_walked(f, take, first, err) ||
		    drop(f, at, f->area->start >> CKPT_PAGE_SHIFT, err))
			return -1;
		at = f->area->start >> CKPT_PAGE_SHIFT;
		for (size_t a = first;
		     a < take->n_areas && take->areas[a].start < f->area->end; a++)
			if (do_runs(f, &take->areas[a], &at, err))
				return -1;
		if (drop(f, at, f->area->end >> CKPT_PAGE_SHIFT, err))
			return -1;
		at = f->area->end >> CKPT_PAGE_SHIFT;
	}
	return drop(f, at, CKPT_PAGE_MAX + 1, err);
}

/* May it share pages with another one of the tree? */
static bool is_forked(const struct ckpt_image *image, const struct ckpt_mm *mm)
{
	for (size_t i = 0; i < image->n_mms; i++) {
		if (&image->mms[i] != mm && ckpt_mm_same_exec(&image->mms[i], mm))
			return true;
	}
	return false;
}

/* @f: has all but what is of this mm alone. */
static int final_mm(struct final *f, const struct ckpt_take_mm *take,
		    const struct ckpt_image *image, struct ckpt_mm *mm, struct ckpt_err *err)
{
	f->held = (struct ckpt_ranges){ 0 };
	f->mm = ckpt_mem_entry(f->mem, take->cookie, mm->pid, f->sink, err);
	/* Found by an old pid while its owner has another now: two must not share a space. */
	if (f->mm && f->mm->claimed)
		f->mm = ckpt_mem_new(f->mem, take->cookie, f->sink, err);
	if (!f->mm || ckpt_mem_prove(f->mm, take->pid, err))
		return -1;
	/* Whatever it was opened through before: this process stands still. */
	ckpt_memory_close(&f->mm->from);
	if (ckpt_mem_open(f->mm, mm->pid, err))
		return -1;
	f->mm->from.forked = is_forked(image, mm);
	f->mm->claimed = true;
	mm->space = f->mm->space;
	if (ckpt_mem_guards(take, mm, &f->mm->from, err) || do_areas(f, mm, take, err)) {
		ckpt_ranges_done(&f->held);
		return -1;
	}
	ckpt_ranges_done(&f->mm->have);
	ckpt_ranges_done(&f->mm->stored);
	f->mm->have = f->held;
	if (ckpt_ranges_join(&f->mm->stored, &f->held))
		return no_memory(err);
	return 0;
}

/*
 * The tracker's word on @mm; where it has none, or could not walk the mm, all
 * populated pages, found by the tracker that knows nothing.
 */
static int final_take(const struct ckpt_take *take, struct ckpt_mm *mm, struct ckpt_take *ret_own,
		      const struct ckpt_take_mm **ret, struct ckpt_err *err)
{
	const struct ckpt_take_mm *known = ckpt_take_find(take, mm->pid);
	struct ckpt_tracker full;

	if (known && !(known->flags & (CKPT_MM_BUSY | CKPT_MM_OVERFLOW))) {
		*ret = known;
		return 0;
	}
	if (ckpt_tracker_open_full(&full, err) ||
	    full.pages(full.self, &mm->pid, 1, ret_own, err))
		return -1;
	ret_own->mms[0].cookie = known ? known->cookie : 0;
	*ret = &ret_own->mms[0];
	return 0;
}

/* Spaces of address spaces that are gone hold nothing any more. */
static int drop_unseen(struct ckpt_mem *mem, const struct ckpt_image *image,
		       const struct ckpt_sink *sink, struct ckpt_err *err)
{
	for (size_t i = 0; i < mem->n_mms; i++) {
		struct ckpt_mem_mm *mm = &mem->mms[i];
		bool used = false;

		for (size_t m = 0; m < image->n_mms; m++)
			used |= image->mms[m].space == mm->space;
		mm->seen = used;
		if (!used && mm->stored.n &&
		    sink->drop(sink->self, mm->space, 0, CKPT_PAGE_MAX + 1, err))
			return -1;
	}
	return 0;
}

/* Every mm of the image; what is to be copied is noted in f->gather. */
static int final_mms(struct final *f, const struct ckpt_take *take, struct ckpt_image *image,
		     struct ckpt_err *err)
{
	for (size_t i = 0; i < image->n_mms; i++) {
		struct ckpt_mm *mm = &image->mms[i];
		struct ckpt_take own = { 0 };
		const struct ckpt_take_mm *word;
		int ret = final_take(take, mm, &own, &word, err);

		if (!ret)
			ret = final_mm(f, word, image, mm, err);
		f->mem->followed += !ret && word->flags & CKPT_MM_NOTIFIERS;
		ckpt_take_done(&own);
		if (ret)
			return -1;
	}
	return 0;
}

int ckpt_mem_final(struct ckpt_mem *mem, const struct ckpt_take *take, struct ckpt_image *image,
		   struct ckpt_stage *stage, const struct ckpt_sink *sink, struct ckpt_err *err)
{
	cleanup_with(ckpt_gather_done) struct ckpt_gather gather = { 0 };
	struct final f = { .mem = mem, .gather = &gather, .stage = stage, .sink = sink };

	mem->followed = 0;
	for (size_t i = 0; i < mem->n_mms; i++)
		mem->mms[i].claimed = false;
	if (!final_mms(&f, take, image, err) && !copy_all(&gather, err))
		return drop_unseen(mem, image, sink, err);
	/* what was noted and not copied counts as had: nothing is known any more */
	for (size_t i = 0; i < mem->n_mms; i++)
		ckpt_ranges_done(&mem->mms[i].have);
	return -1;
}
