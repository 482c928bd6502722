/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Take: what a tracker says of the memory and the files of a group
 *
 * A memory take lists, per address space, the areas with their identity and
 * the state of every populated page as runs; a page that no run covers is
 * CKPT_PAGE_NONE.  A file take lists inodes.  Both are plain values.
 */
#ifndef CKPT_TRACK_TAKE_H
#define CKPT_TRACK_TAKE_H

#include <stddef.h>
#include <stdint.h>
#include <linux/ckpt.h>

/* Of an area, beside CKPT_AREA_*: somebody else is told of the writes to it. */
#define CKPT_TAKE_AREA_FOREIGN	(1u << 31)

/**
 * struct ckpt_take_area - an area with its runs
 * @start, @end: bytes
 * @flags: CKPT_AREA_*, CKPT_TAKE_AREA_FOREIGN
 * @runs: sorted by start, not overlapping, inside the area
 */
struct ckpt_take_area {
	uint64_t start, end;
	uint32_t flags;
	struct ckpt_run *runs;
	size_t n_runs;
};

/**
 * struct ckpt_take_mm - one address space
 * @cookie: unique while the tracker lives; 0: the tracker has no identity for it
 * @pid: a process of it, in the caller's pid namespace
 * @flags: CKPT_MM_*
 * @areas: sorted by start
 */
struct ckpt_take_mm {
	uint64_t cookie;
	int32_t pid;
	uint32_t flags;
	struct ckpt_take_area *areas;
	size_t n_areas;
};

struct ckpt_take {
	struct ckpt_take_mm *mms;
	size_t n_mms;
};

/**
 * struct ckpt_inode_change - what happened to an inode
 * @dev, @ino: which
 * @mask: CKPT_INODE_*
 * @flags: CKPT_INODE_F_*
 * @ranges: with CKPT_INODE_F_RANGES: sorted, disjoint; owned by the take it is in
 */
struct ckpt_inode_change {
	uint64_t dev, ino;
	uint32_t mask, flags;
	struct ckpt_extent *ranges;
	size_t n_ranges;
};

struct ckpt_inode_take {
	struct ckpt_inode_change *changes;
	size_t n_changes;
};

void ckpt_take_done(struct ckpt_take *take);
void ckpt_inode_take_done(struct ckpt_inode_take *take);

/*
 * Building: an mm is added once, its areas in address order, runs to the area
 * added last.  Return: the new element, or NULL without memory.
 */
struct ckpt_take_mm *ckpt_take_add_mm(struct ckpt_take *take, uint64_t cookie, int32_t pid,
				      uint32_t flags);
struct ckpt_take_area *ckpt_take_add_area(struct ckpt_take_mm *mm, uint64_t start, uint64_t end,
					  uint32_t flags);
/* What @more has is that of @take, and @more is empty then. Return: 0 or -1. */
int ckpt_take_join(struct ckpt_take *take, struct ckpt_take *more);
/* Joins the last run of the area where it continues it. Return: 0 or -1. */
int ckpt_take_add_run(struct ckpt_take_area *area, const struct ckpt_run *run);
/* The same of the pages from @start to @end, bytes. */
int ckpt_take_add_pages(struct ckpt_take_area *area, uint64_t start, uint64_t end,
			uint16_t state, uint16_t flags);
/* Copies @change and its ranges. */
int ckpt_inode_take_add(struct ckpt_inode_take *take, const struct ckpt_inode_change *change);

/* The mm whose process is @pid, or NULL. */
const struct ckpt_take_mm *ckpt_take_find(const struct ckpt_take *take, int32_t pid);

#endif
