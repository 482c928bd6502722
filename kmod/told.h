/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Pages of shared memory that a round has told
 *
 * Pure: no globals, no I/O.  A page of an inode that many processes map is told
 * with the first area that has it; the others say that they left some out.
 *
 * LOCKING
 * The caller's: one writer at a time.
 *
 * LIFETIME
 * Of one round.  No inode is referenced: an entry may outlive it, so the
 * pointer is compared together with device, number and generation, and never
 * followed.
 */
#ifndef _CKPT_TOLD_H
#define _CKPT_TOLD_H

#include <linux/list.h>

#include "dirty.h"

#define CKPT_TOLD_BITS 8

/**
 * struct ckpt_told - what was told of shared inodes
 * @buckets: by inode
 */
struct ckpt_told {
	struct hlist_head buckets[1 << CKPT_TOLD_BITS];
};

/**
 * struct ckpt_told_count - pages left out
 * @pages: all
 * @dirty: of them, those that were dirty
 */
struct ckpt_told_count {
	u64 pages;
	u64 dirty;
};

void ckpt_told_init(struct ckpt_told *told);
struct ckpt_told_count ckpt_told_once(struct ckpt_told *told, struct ckpt_areas *areas,
				      struct ckpt_runs *runs);
void ckpt_told_free(struct ckpt_told *told);

#endif
