// SPDX-License-Identifier: GPL-2.0-or-later
/* Memory: the pages of an address space, placed and compared. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "proc/build.h"
#include "proc/memory.h"
#include "proc/remote.h"

#define BATCH 256u	/* pages moved at a time: 1 MiB */

/**
 * struct batch - consecutive pages of one area
 * @expected: @n pages from the source, BATCH at most
 * @found: room for as many, to read the target into
 * @target: the address space
 */
struct batch {
	uint64_t page;
	size_t n;
	uint8_t *expected, *found;
	struct ckpt_memory target;
	int32_t pid;
};

typedef int (*batch_fn)(struct batch *b, struct ckpt_err *err);

static void batch_done(struct batch *b)
{
	free(b->expected);
	free(b->found);
	ckpt_memory_close(&b->target);
}

static int batch_init(struct batch *b, const struct ckpt_build_task *t, struct ckpt_err *err)
{
	b->pid = t->task->pid;
	b->expected = malloc(BATCH * CKPT_PAGE_LEN);
	b->found = malloc(BATCH * CKPT_PAGE_LEN);
	if (!b->expected || !b->found)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory to fill process %d", b->pid);
	return ckpt_memory_open(t->host, &b->target, err);
}

static int place(struct batch *b, struct ckpt_err *err)
{
	if (ckpt_remote_write(b->target.pid, b->page << CKPT_PAGE_SHIFT, b->expected,
			      b->n * CKPT_PAGE_LEN, err))
		return ckpt_fail_at(err, "process %d: cannot fill memory", b->pid);
	return 0;
}

static int compare(struct batch *b, struct ckpt_err *err)
{
	size_t len = b->n * CKPT_PAGE_LEN, i;
	uint64_t addr = b->page << CKPT_PAGE_SHIFT;

	if (ckpt_memory_read(&b->target, addr, b->found, len) != len)
		return ckpt_fail(err, CKPT_DAMAGED, 0, "process %d: memory at 0x%lx is not there",
				 b->pid, addr);
	if (!memcmp(b->expected, b->found, len))
		return 0;
	for (i = 0; b->expected[i] == b->found[i];)
		i++;
	return ckpt_fail(err, CKPT_DAMAGED, 0,
			 "process %d: memory at 0x%lx is not what the checkpoint holds", b->pid,
			 addr + i);
}

/* Whether the pages of an area come from its space; the rest is zeros or the file's. */
static bool has_pages(const struct ckpt_area *a)
{
	if (a->kind != CKPT_AREA_KIND_ANON && a->kind != CKPT_AREA_KIND_FILE_PRIVATE)
		return false;
	return !(a->flags & (CKPT_AREA_F_WIPEONFORK | CKPT_AREA_F_DROPPABLE));
}

/* A run of pages of one kind, all inside one area. */
static int each_batch(const struct ckpt_restore *r, uint32_t space, struct batch *b, uint64_t page,
		      uint64_t end, batch_fn fn, struct ckpt_err *err)
{
	enum ckpt_page_kind kind;

	for (; page < end; page += b->n) {
		b->page = page;
		for (b->n = 0; b->n < BATCH && page + b->n < end; b->n++) {
			if (r->source->get(r->source->self, space, page + b->n,
					   b->expected + b->n * CKPT_PAGE_LEN, &kind, err))
				return -1;
		}
		if (fn(b, err))
			return -1;
	}
	return 0;
}

static int each_in_area(struct ckpt_restore *r, uint32_t space, const struct ckpt_area *a,
			struct batch *b, batch_fn fn, struct ckpt_err *err)
{
	uint64_t page = a->start >> CKPT_PAGE_SHIFT, end = a->end >> CKPT_PAGE_SHIFT;
	uint64_t count, stop;
	enum ckpt_page_kind kind;
	int more;

	while (page < end) {
		more = r->source->next(r->source->self, space, &page, &count, &kind, err);
		if (more <= 0 || page >= end)
			return more < 0 ? -1 : 0;
		stop = count < end - page ? page + count : end;
		/* Zeros are there already, unless a file's page would show. */
		if (kind == CKPT_PAGE_IS_DATA || a->kind == CKPT_AREA_KIND_FILE_PRIVATE) {
			if (each_batch(r, space, b, page, stop, fn, err))
				return -1;
			r->pages += stop - page;
		}
		page = stop;
	}
	return 0;
}

static int each_page(struct ckpt_restore *r, struct ckpt_build_task *t, struct batch *b,
		     batch_fn fn, struct ckpt_err *err)
{
	const struct ckpt_mm *mm = &r->image->mms[t->task->mm];
	size_t i;

	for (i = 0; i < mm->n_areas; i++) {
		if (has_pages(&mm->areas[i]) &&
		    each_in_area(r, mm->space, &mm->areas[i], b, fn, err))
			return -1;
	}
	return 0;
}

#ifdef CKPT_INJECT
/* Damage one byte of the last page that was placed. */
static int flip(struct batch *b, struct ckpt_err *err)
{
	uint64_t addr = (b->page << CKPT_PAGE_SHIFT) + 100;
	uint8_t byte;

	if (!b->n || !ckpt_fault("restore.flip"))
		return 0;
	if (ckpt_remote_read(b->target.pid, addr, &byte, 1, err))
		return -1;
	byte ^= 0x10;
	return ckpt_remote_write(b->target.pid, addr, &byte, 1, err);
}
#else
static int flip(struct batch *b, struct ckpt_err *err)
{
	(void)b;
	(void)err;
	return 0;
}
#endif

int ckpt_build_memory(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err)
{
	cleanup_with(batch_done) struct batch b = { .target.fd = -1 };

	if (batch_init(&b, t, err) || each_page(r, t, &b, place, err))
		return -1;
	return flip(&b, err);
}

int ckpt_memory_verify(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err)
{
	cleanup_with(batch_done) struct batch b = { .target.fd = -1 };
	uint64_t placed = r->pages;
	int failed;

	if (batch_init(&b, t, err))
		return -1;
	failed = each_page(r, t, &b, compare, err);
	r->pages = placed;
	return failed;
}
