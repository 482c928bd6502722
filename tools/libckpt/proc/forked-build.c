// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Forked: address spaces that share pages with the one that they were copied from
 *
 * Nothing but a fork lets private memory be shared.  So who has been forked and has executed
 * nothing since is forked from a parent whose memory is filled: it keeps what both have, and gets
 * what is its own.  Whether they are alike is only a guess at what is worth keeping; each page that
 * is kept was compared.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "proc/build.h"
#include "proc/memory-each.h"

#define TASK_END 0x7ffffffff000ull
#define NOT_COPIED (CKPT_AREA_F_DONTFORK | CKPT_AREA_F_WIPEONFORK | CKPT_AREA_F_DROPPABLE)

/* A part of an address space that stays. */
struct part {
	uint64_t start, end;
};

static bool same_file(const struct ckpt_image *image, uint32_t a, uint32_t b)
{
	const struct ckpt_file *fa = &image->files[a], *fb = &image->files[b];

	return a == b || (fa->dev == fb->dev && fa->ino == fb->ino);
}

/* The kernel gives an io_uring its place. */
static bool odd(const struct ckpt_mm *mm)
{
	for (size_t i = 0; i < mm->n_areas; i++) {
		if (mm->areas[i].kind == CKPT_AREA_KIND_URING)
			return true;
	}
	return false;
}

bool ckpt_build_alike(const struct ckpt_restore *r, const struct ckpt_build_task *a,
		      const struct ckpt_build_task *b)
{
	const struct ckpt_mm *ma, *mb;

	if (a->task->state == CKPT_TASK_ZOMBIE || b->task->state == CKPT_TASK_ZOMBIE ||
	    a->task->mm == b->task->mm || r->vdso_swap.needed)
		return false;
	ma = &r->image->mms[a->task->mm];
	mb = &r->image->mms[b->task->mm];
	return ckpt_mm_same_exec(ma, mb) && same_file(r->image, ma->exe, mb->exe) && !odd(ma) &&
	       !odd(mb);
}

/* The area of @from in which @a begins and that it can be a copy of, or NULL. */
static const struct ckpt_area *origin(const struct ckpt_mm *from, const struct ckpt_area *a)
{
	const struct ckpt_area *o;
	size_t low = 0, high = from->n_areas;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (from->areas[middle].end <= a->start)
			low = middle + 1;
		else
			high = middle;
	}
	o = &from->areas[low];
	if (low == from->n_areas || o->start > a->start ||
	    (a->kind != CKPT_AREA_KIND_ANON && a->kind != CKPT_AREA_KIND_FILE_PRIVATE) ||
	    o->kind != a->kind || o->file != a->file || o->flags != a->flags ||
	    a->flags & NOT_COPIED || !o->name != !a->name || (a->name && strcmp(o->name, a->name)))
		return NULL;
	if (a->kind == CKPT_AREA_KIND_FILE_PRIVATE && o->pgoff + (a->start - o->start) != a->pgoff)
		return NULL;
	return o;
}

static int by_start(const void *a, const void *b)
{
	const struct part *pa = a, *pb = b;

	return (pa->start > pb->start) - (pa->start < pb->start);
}

/* Unmap all but @parts, which lie apart from each other. */
static int leave(const struct ckpt_site *s, struct part *parts, size_t n, struct ckpt_err *err)
{
	uint64_t at = 0;

	qsort(parts, n, sizeof(*parts), by_start);
	for (size_t i = 0; i <= n; i++) {
		uint64_t end = i < n ? parts[i].start : TASK_END;

		if (at < end && ckpt_site_call(s, err, "leave memory of its parent", SYS_munmap,
					       ARGS(at, end - at)) < 0)
			return -1;
		if (i < n)
			at = parts[i].end;
	}
	return 0;
}

static uint64_t page_up(uint64_t at)
{
	return (at + CKPT_PAGE_LEN - 1) & ~(uint64_t)(CKPT_PAGE_LEN - 1);
}

int ckpt_build_leave_memory(struct ckpt_restore *r, struct ckpt_site *s, struct ckpt_err *err)
{
	struct part ours = { r->region, r->region + CKPT_SCRATCH_LEN + page_up(r->vdso.len) };

	if (ckpt_vdso_park(r, s, s->memory->vdso, &s->at, err) || leave(s, &ours, 1, err))
		return -1;
	s->memory = NULL;
	return 0;
}

/*
 * Protection and end of what is kept of an area that begins in @o.  The kernel enlarges one of its
 * areas, not several that are one to us: that is mapped anew then.
 */
static int fit(const struct ckpt_site *s, const struct ckpt_area *a, const struct ckpt_area *o,
	       uint64_t *kept, struct ckpt_err *err)
{
	int64_t at;

	if (a->prot != o->prot &&
	    ckpt_site_call(s, err, "protect memory that it keeps", SYS_mprotect,
			   ARGS(a->start, *kept - a->start, a->prot)) < 0)
		return -1;
	if (a->end == *kept)
		return 0;
	if (ckpt_site_try(s, err, &at, SYS_mremap,
			  ARGS(a->start, *kept - a->start, a->end - a->start, 0)))
		return -1;
	if (at == (int64_t)a->start)
		return 0;
	if (ckpt_site_call(s, err, "leave memory of its parent", SYS_munmap,
			   ARGS(a->start, *kept - a->start)) < 0)
		return -1;
	*kept = 0;
	return 0;
}

/* The pages from @page on, below @end, that the memory @space has and that are in no file. */
static int own_run(const struct ckpt_source *source, uint32_t space, bool file, uint64_t *page,
		   uint64_t end, uint64_t *ret_end, struct ckpt_err *err)
{
	enum ckpt_page_kind kind;
	uint64_t count;
	int more;

	for (; *page < end; *page += count) {
		more = source->next(source->self, space, page, &count, &kind, err);
		if (more <= 0)
			return more;
		if (*page >= end)
			return 0;
		if (!file && kind != CKPT_PAGE_IS_DATA)
			continue;
		*ret_end = count < end - *page ? *page + count : end;
		return 1;
	}
	return 0;
}

static int drop(const struct ckpt_site *s, uint64_t page, uint64_t end, struct ckpt_err *err)
{
	return page < end && ckpt_site_call(s, err, "drop pages of its parent", SYS_madvise,
					    ARGS(page << CKPT_PAGE_SHIFT,
						 (end - page) << CKPT_PAGE_SHIFT,
						 MADV_DONTNEED)) < 0 ? -1 : 0;
}

/* What its parent has in [@page, @end) and @space has not. */
static int drop_others(struct ckpt_restore *r, const struct ckpt_site *s, uint32_t space, bool file,
		       uint64_t page, uint64_t end, struct ckpt_err *err)
{
	uint64_t at = page, own = page, own_end;
	int more;

	while ((more = own_run(r->source, space, file, &own, end, &own_end, err)) > 0) {
		if (drop(s, at, own, err))
			return -1;
		at = own = own_end;
	}
	return more < 0 ? -1 : drop(s, at, end, err);
}

static int drop_in(struct ckpt_restore *r, const struct ckpt_build_task *t, size_t area,
		   struct ckpt_err *err)
{
	const struct ckpt_mm *mm = &r->image->mms[t->task->mm];
	const struct ckpt_mm *from = &r->image->mms[t->forked->task->mm];
	const struct ckpt_site s = ckpt_build_site(r, t, 0);
	const bool file = mm->areas[area].kind == CKPT_AREA_KIND_FILE_PRIVATE;
	uint64_t page = mm->areas[area].start >> CKPT_PAGE_SHIFT, run_end;
	const uint64_t end = t->kept[area] >> CKPT_PAGE_SHIFT;
	int more;

	while ((more = own_run(r->source, from->space, file, &page, end, &run_end, err)) > 0) {
		if (drop_others(r, &s, mm->space, file, page, run_end, err))
			return -1;
		page = run_end;
	}
	return more;
}

/* What stays of the parent's memory, and our own. Return: how many parts. */
static size_t choose(const struct ckpt_restore *r, struct ckpt_build_task *t, struct part *ret)
{
	const struct ckpt_mm *mm = &r->image->mms[t->task->mm];
	const struct ckpt_mm *from = &r->image->mms[t->forked->task->mm];
	size_t n = 0;

	ret[n++] = (struct part){ r->region, r->region + CKPT_SCRATCH_LEN };
	ret[n++] = (struct part){ t->vdso, t->vdso + page_up(r->vdso.len) };
	for (size_t i = 0; i < mm->n_areas; i++) {
		const struct ckpt_area *a = &mm->areas[i], *o = origin(from, a);

		if (!o)
			continue;
		t->kept[i] = a->end < o->end ? a->end : o->end;
		ret[n++] = (struct part){ a->start, t->kept[i] };
	}
	return n;
}

int ckpt_build_forked(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err)
{
	const struct ckpt_mm *mm = &r->image->mms[t->task->mm];
	const struct ckpt_mm *from = &r->image->mms[t->forked->task->mm];
	const struct ckpt_site s = ckpt_build_site(r, t, 0);
	cleanup_free struct part *parts = calloc(mm->n_areas + 2, sizeof(*parts));
	size_t n;

	t->kept = calloc(mm->n_areas + 1, sizeof(*t->kept));
	if (!parts || !t->kept)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for the areas of process %d",
				 t->task->pid);
	t->vdso = t->forked->vdso;
	n = choose(r, t, parts);
	if (leave(&s, parts, n, err))
		return -1;
	for (size_t i = 0; i < mm->n_areas; i++) {
		if (t->kept[i] && (drop_in(r, t, i, err) ||
				   fit(&s, &mm->areas[i], origin(from, &mm->areas[i]),
				       &t->kept[i], err)))
			return -1;
	}
	return 0;
}

/*
 * A page of a file that the parent has not written is the file's still, also where it is equal to
 * what the child has written.
 */
static int parent_has(const struct ckpt_batch *b, uint64_t page, uint64_t *ret_until,
		      struct ckpt_err *err)
{
	uint64_t run = page, end = b->page + b->n;
	int more;

	*ret_until = end;
	if (b->area->kind == CKPT_AREA_KIND_ANON)
		return 1;
	more = own_run(b->source, b->parent_space, true, &run, end, &end, err);
	if (more <= 0)
		return more;
	*ret_until = run > page ? run : end;
	return run == page;
}

int ckpt_batch_kept(const struct ckpt_batch *b, uint8_t ret[CKPT_BATCH_PAGES], struct ckpt_err *err)
{
	const uint64_t addr = b->page << CKPT_PAGE_SHIFT;
	const size_t len = b->n * CKPT_PAGE_LEN;
	uint64_t page = b->page, until;
	int has;

	memset(ret, 0, CKPT_BATCH_PAGES);
	if (addr >= b->kept || ckpt_memory_read(&b->target, addr, b->found, len) != len)
		return 0;
	for (; page < b->page + b->n; page = until) {
		has = parent_has(b, page, &until, err);
		if (has < 0)
			return -1;
		for (; has && page < until && page << CKPT_PAGE_SHIFT < b->kept; page++) {
			const size_t at = (page - b->page) * CKPT_PAGE_LEN;

			ret[page - b->page] = !memcmp(b->expected + at, b->found + at,
						      CKPT_PAGE_LEN);
		}
	}
	return 0;
}

void ckpt_build_forked_done(struct ckpt_build_task *t)
{
	free(take_ptr(t->kept));
}
