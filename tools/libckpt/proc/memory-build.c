// SPDX-License-Identifier: GPL-2.0-or-later
/* Memory: the pages of an address space, placed and compared. */
#include <string.h>

#include "base/fault.h"
#include "proc/memory-each.h"
#include "proc/remote.h"

#ifdef CKPT_INJECT
/* Damage one byte of the first batch that is placed. */
static int flip(struct ckpt_batch *b, struct ckpt_err *err)
{
	uint64_t addr = (b->page << CKPT_PAGE_SHIFT) + 100;
	uint8_t byte;

	if (!ckpt_fault("restore.flip"))
		return 0;
	if (ckpt_remote_read(b->target.pid, addr, &byte, 1, err))
		return -1;
	byte ^= 0x10;
	return ckpt_remote_write(b->target.pid, addr, &byte, 1, err);
}
#else
static int flip(struct ckpt_batch *b, struct ckpt_err *err)
{
	(void)b;
	(void)err;
	return 0;
}
#endif

static int fill(struct ckpt_batch *b, size_t from, size_t n, struct ckpt_err *err)
{
	if (n && ckpt_remote_write(b->target.pid, (b->page + from) << CKPT_PAGE_SHIFT,
				   b->expected + from * CKPT_PAGE_LEN, n * CKPT_PAGE_LEN, err))
		return ckpt_fail_at(err, "process %d: cannot fill memory", b->pid);
	return 0;
}

/* What is written is shared no more. */
static int fill_others(struct ckpt_batch *b, struct ckpt_err *err)
{
	uint8_t kept[CKPT_BATCH_PAGES];
	size_t from = 0, i;

	if (!b->kept)
		return fill(b, 0, b->n, err);
	if (ckpt_batch_kept(b, kept, err))
		return -1;
	for (i = 0; i < b->n; i++) {
		if (!kept[i])
			continue;
		if (fill(b, from, i - from, err))
			return -1;
		from = i + 1;
	}
	return fill(b, from, b->n - from, err);
}

static int place(struct ckpt_batch *b, struct ckpt_err *err)
{
	if (fill_others(b, err))
		return -1;
	ckpt_placed_add(b->placed, b->stamper, b->page, b->n, b->expected);
	return flip(b, err);
}

static int compare(struct ckpt_batch *b, struct ckpt_err *err)
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

int ckpt_build_memory(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err)
{
	t->placed = ckpt_placed_new();
	if (ckpt_memory_each(r, t, place, &t->pages, err))
		return -1;
	r->pages += t->pages;
	return 0;
}

int ckpt_build_fill(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err)
{
	if (t->filled)
		return 0;
	if (ckpt_build_mm(r, t, err) || ckpt_build_memory(r, t, err))
		return -1;
	t->filled = true;
	return 0;
}

int ckpt_memory_verify(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err)
{
	/* the source tells where they differ, if they do */
	return ckpt_placed_same(t->placed, t->host, t->pages) ? 0 :
	       ckpt_memory_each(r, t, compare, NULL, err);
}
