// SPDX-License-Identifier: GPL-2.0-or-later
/* Memory of a checkpoint: the table of address spaces and the live rounds. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/wire.h"
#include "flow/memory.h"

enum {
	TAG_MM = 1,
	TAG_COOKIE,
	TAG_SPACE,
	TAG_PID,
};

/* Live copies are read and put in pieces of this many pages. */
#define PIECE 256u

void ckpt_mem_done(struct ckpt_mem *mem)
{
	for (size_t i = 0; i < mem->n_mms; i++) {
		ckpt_ranges_done(&mem->mms[i].have);
		ckpt_ranges_done(&mem->mms[i].stored);
		ckpt_ranges_done(&mem->mms[i].unproven);
		ckpt_memory_close(&mem->mms[i].from);
	}
	free(mem->mms);
	*mem = (struct ckpt_mem){ 0 };
}

static struct ckpt_mem_mm *add_mm(struct ckpt_mem *mem, uint64_t cookie, uint32_t space)
{
	struct ckpt_mem_mm *mms = realloc(mem->mms, (mem->n_mms + 1) * sizeof(*mms));

	if (!mms)
		return NULL;
	mem->mms = mms;
	mms[mem->n_mms] = (struct ckpt_mem_mm){ .cookie = cookie, .space = space,
						.from = CKPT_MEMORY_NONE };
	return &mms[mem->n_mms++];
}

int ckpt_mem_encode(const struct ckpt_mem *mem, struct ckpt_buf *ret, struct ckpt_err *err)
{
	for (size_t i = 0; i < mem->n_mms; i++) {
		size_t at;

		if (!mem->mms[i].seen)
			continue;
		at = ckpt_wire_begin(ret, TAG_MM);
		ckpt_wire_u64(ret, TAG_COOKIE, mem->mms[i].cookie);
		ckpt_wire_u64(ret, TAG_SPACE, mem->mms[i].space);
		ckpt_wire_u64(ret, TAG_PID, mem->mms[i].pid);
		ckpt_wire_end(ret, at);
	}
	return ret->failed ? ckpt_fail(err, CKPT_FAILED, 0, "no memory for the memory table") : 0;
}

static int load_have(struct ckpt_mem_mm *mm, const struct ckpt_source *source,
		     struct ckpt_err *err)
{
	enum ckpt_page_kind kind;
	uint64_t page = 0, count;
	int more;

	while ((more = source->next(source->self, mm->space, &page, &count, &kind, err)) > 0) {
		if (ckpt_ranges_append(&mm->have, page, page + count) ||
		    ckpt_ranges_append(&mm->stored, page, page + count))
			return ckpt_fail(err, CKPT_FAILED, 0,
					 "no memory for the pages of the parent");
		page += count;
	}
	return more;
}

static int load_mm(struct ckpt_mem *mem, const struct ckpt_record *r,
		   const struct ckpt_source *source, struct ckpt_err *err)
{
	struct ckpt_wire w = ckpt_wire_in(r);
	uint64_t cookie = 0, space = 0, pid = 0;
	struct ckpt_mem_mm *mm;
	struct ckpt_record f;
	int more;

	while ((more = ckpt_wire_next(&w, &f, err)) > 0) {
		if (f.tag == TAG_COOKIE ? ckpt_record_u64(&f, &cookie, err) :
		    f.tag == TAG_SPACE ? ckpt_record_u64(&f, &space, err) :
		    f.tag == TAG_PID ? ckpt_record_u64(&f, &pid, err) :
					 ckpt_record_unknown(&f, err))
			return -1;
	}
	if (more < 0)
		return -1;
	if (!space || space > CKPT_SPACE_MAX || pid > INT32_MAX)
		return ckpt_fail(err, CKPT_DAMAGED, 0, "memory table names no space");
	mm = add_mm(mem, cookie, space);
	if (!mm)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for the memory table");
	mm->pid = pid;
	return load_have(mm, source, err);
}

int ckpt_mem_load(struct ckpt_mem *mem, const void *data, size_t len,
		  const struct ckpt_source *source, struct ckpt_err *err)
{
	struct ckpt_wire w = ckpt_wire_of(data, len);
	struct ckpt_record r;
	int more;

	while ((more = ckpt_wire_next(&w, &r, err)) > 0)
		if (r.tag == TAG_MM ? load_mm(mem, &r, source, err) : ckpt_record_unknown(&r, err))
			return -1;
	return more;
}

struct ckpt_mem_mm *ckpt_mem_new(struct ckpt_mem *mem, uint64_t cookie,
				 const struct ckpt_sink *sink, struct ckpt_err *err)
{
	struct ckpt_mem_mm *mm;
	uint32_t space;

	if (sink->space_new(sink->self, &space, err))
		return NULL;
	mm = add_mm(mem, cookie, space);
	if (!mm)
		ckpt_fail(err, CKPT_FAILED, 0, "no memory for the memory table");
	return mm;
}

/*
 * A tracker without identities matches by pid: every page it reports is
 * compared with the parent's, so a wrong match costs space and nothing else.
 */
struct ckpt_mem_mm *ckpt_mem_entry(struct ckpt_mem *mem, uint64_t cookie, int32_t pid,
				   const struct ckpt_sink *sink, struct ckpt_err *err)
{
	for (size_t i = 0; i < mem->n_mms; i++) {
		struct ckpt_mem_mm *mm = &mem->mms[i];

		if (cookie ? mm->cookie == cookie : mm->pid == pid)
			return mm;
	}
	return ckpt_mem_new(mem, cookie, sink, err);
}

/*
 * A process may execute another program, or end and leave its pid to another,
 * after the walk that named it: then what is read through its pid is another
 * address space.  Only when it is named once more was it the right one until
 * then; else the pages read since are not known.
 */
int ckpt_mem_prove(struct ckpt_mem_mm *mm, int32_t pid, struct ckpt_err *err)
{
	int bad = 0;

	if (mm->pid != pid)
		bad = ckpt_ranges_subtract(&mm->have, &mm->unproven);
	ckpt_ranges_done(&mm->unproven);
	return bad ? ckpt_fail(err, CKPT_FAILED, 0, "no memory for a round") : 0;
}

int ckpt_mem_open(struct ckpt_mem_mm *mm, int32_t pid, struct ckpt_err *err)
{
	mm->seen = true;
	if (mm->from.fd >= 0 && mm->pid == pid)
		return 0;
	ckpt_memory_close(&mm->from);
	mm->pid = pid;
	return ckpt_memory_open(pid, &mm->from, err);
}

struct live {
	struct ckpt_mem *mem;
	struct ckpt_mem_mm *mm;
	const struct ckpt_sink *sink;
	struct ckpt_ranges copied;
	uint8_t *piece;
};

static int live_copy(struct live *l, uint64_t page, uint64_t end, struct ckpt_err *err)
{
	l->mem->round_pages += end - page;
	while (page < end) {
		size_t want = end - page < PIECE ? end - page : PIECE;
		size_t got = ckpt_memory_read(&l->mm->from, page << CKPT_PAGE_SHIFT, l->piece,
					      want * CKPT_PAGE_LEN) / CKPT_PAGE_LEN;

		l->mem->pages_read += got;
		if (got && l->sink->put(l->sink->self, l->mm->space, page, l->piece, got, err))
			return -1;
		if (got && ckpt_ranges_append(&l->copied, page, page + got))
			return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a round");
		/* A page that is gone already is told by a later round. */
		page += got < want ? got + 1 : got;
	}
	return 0;
}

static bool copied_live(const struct ckpt_take_area *area, const struct ckpt_run *run)
{
	return !(area->flags & CKPT_AREA_SHARED) &&
	       (run->state == CKPT_PAGE_ANON || run->state == CKPT_PAGE_SWAP ||
		run->state == CKPT_PAGE_MIGRATION);
}

/*
 * What was reported dirty is not known any more until it was copied: the
 * tracker tells it once, and the copy may fail.
 */
static int forget_dirty(struct ckpt_mem_mm *mm, const struct ckpt_take_mm *take,
			struct ckpt_err *err)
{
	struct ckpt_ranges dirty = { 0 };
	int bad = 0;

	for (size_t a = 0; a < take->n_areas; a++) {
		for (size_t r = 0; r < take->areas[a].n_runs; r++) {
			const struct ckpt_run *run = &take->areas[a].runs[r];
			uint64_t page = run->start >> CKPT_PAGE_SHIFT;

			if (run->flags & CKPT_RUN_DIRTY)
				bad |= ckpt_ranges_append(&dirty, page, page + run->pages);
		}
	}
	bad |= ckpt_ranges_subtract(&mm->have, &dirty);
	ckpt_ranges_done(&dirty);
	return bad ? ckpt_fail(err, CKPT_FAILED, 0, "no memory for a round") : 0;
}

/* A dirty run whole; of a clean one what nobody has yet. */
static int live_run(struct live *l, const struct ckpt_run *run, struct ckpt_err *err)
{
	uint64_t page = run->start >> CKPT_PAGE_SHIFT, end = page + run->pages;
	struct ckpt_range r;

	if (run->flags & CKPT_RUN_DIRTY)
		return live_copy(l, page, end, err);
	while (ckpt_ranges_missing(&l->mm->have, page, end, &r)) {
		if (live_copy(l, r.start, r.end, err))
			return -1;
		page = r.end;
	}
	return 0;
}

static int live_mm(struct ckpt_mem *mem, const struct ckpt_take_mm *take, uint8_t *piece,
		   const struct ckpt_sink *sink, struct ckpt_err *err)
{
	struct live l = { .mem = mem, .sink = sink, .piece = piece };
	struct ckpt_err gone = CKPT_ERR_INIT;
	int ret = 0;

	l.mm = ckpt_mem_entry(mem, take->cookie, take->pid, sink, err);
	if (!l.mm || ckpt_mem_prove(l.mm, take->pid, err))
		return -1;
	/* What was not walked is told again, or read once, at the end. */
	if (take->flags & (CKPT_MM_BUSY | CKPT_MM_NOTIFIERS))
		return 0;
	if (take->flags & CKPT_MM_OVERFLOW) {
		ckpt_ranges_done(&l.mm->have);
		return 0;
	}
	if (forget_dirty(l.mm, take, err))
		return -1;
	if (ckpt_mem_open(l.mm, take->pid, &gone))
		return 0;
	for (size_t a = 0; a < take->n_areas && !ret; a++) {
		const struct ckpt_take_area *area = &take->areas[a];

		for (size_t r = 0; r < area->n_runs && !ret; r++)
			if (copied_live(area, &area->runs[r]))
				ret = live_run(&l, &area->runs[r], err);
	}
	/* Of a round that failed half way the stored pages count all the same. */
	if (ckpt_ranges_join(&l.mm->stored, &l.copied) ||
	    ckpt_ranges_join(&l.mm->unproven, &l.copied) ||
	    (!ret && ckpt_ranges_join(&l.mm->have, &l.copied)))
		ret = ckpt_fail(err, CKPT_FAILED, 0, "no memory for a round");
	ckpt_ranges_done(&l.copied);
	return ret;
}

int ckpt_mem_live(struct ckpt_mem *mem, const struct ckpt_take *take,
		  const struct ckpt_sink *sink, struct ckpt_err *err)
{
	cleanup_free uint8_t *piece = malloc(PIECE * CKPT_PAGE_LEN);

	if (!piece)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a round");
	mem->round_pages = 0;
	for (size_t m = 0; m < take->n_mms; m++)
		if (live_mm(mem, &take->mms[m], piece, sink, err))
			return -1;
	mem->dirty_pages += mem->round_pages;
	return 0;
}
