/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The stored pages of an address space, in batches, on all processors. */
#ifndef CKPT_PROC_MEMORY_EACH_H
#define CKPT_PROC_MEMORY_EACH_H

#include "proc/build.h"
#include "proc/memory.h"
#include "proc/placed.h"

#define CKPT_BATCH_PAGES 128u	/* pages moved at a time: they stay in a processor's cache */

/**
 * struct ckpt_batch - consecutive pages of one area
 * @page: the first, address >> 12
 * @n: how many, CKPT_BATCH_PAGES at most
 * @expected: what the source has
 * @found: room for as many, to read the target into
 * @target: the address space
 * @area: that they are in
 * @kept: where what its task keeps of its parent's memory ends there, 0: it keeps nothing
 * @parent_space: where the pages of that parent are; @source: for them, of this thread
 * @pid: of the task in the image, for messages
 * @placed: of that task
 * @stamper: for it, of this thread
 */
struct ckpt_batch {
	uint64_t page;
	size_t n;
	uint8_t *expected, *found;
	struct ckpt_memory target;
	const struct ckpt_area *area;
	uint64_t kept;
	uint32_t parent_space;
	const struct ckpt_source *source;
	int32_t pid;
	struct ckpt_placed *placed;
	struct ckpt_stamper *stamper;
};

typedef int (*ckpt_batch_fn)(struct ckpt_batch *b, struct ckpt_err *err);

/**
 * ckpt_memory_each - call @fn for all stored pages of a task
 * @fn: called in several threads, each with batches of its own, in no order; the first
 *	failure ends it
 * @ret_pages: how many pages there were, may be NULL
 *
 * Left out are pages of zeros where zeros are anyway.
 */
int ckpt_memory_each(const struct ckpt_restore *r, const struct ckpt_build_task *t,
		     ckpt_batch_fn fn, uint64_t *ret_pages, struct ckpt_err *err);

/*
 * forked-build.c: which of the pages of @b are in place already, because its task keeps them of
 * its parent: a byte for each.
 */
int ckpt_batch_kept(const struct ckpt_batch *b, uint8_t ret[CKPT_BATCH_PAGES],
		    struct ckpt_err *err);

#endif
