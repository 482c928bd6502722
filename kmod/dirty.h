/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a walk records of an address space: areas, tables, runs, ranges
 *
 * Pure: no globals, no I/O, nothing of the mm; everything is an argument.
 * All addresses are bytes, all arrays are in rising order of address.
 *
 * LOCKING
 * The caller's: each object has one writer at a time.  Functions that may
 * allocate sleep and say so; the others may run under a spinlock.
 */
#ifndef _CKPT_DIRTY_H
#define _CKPT_DIRTY_H

#include <linux/bits.h>
#include <linux/types.h>

#include <linux/ckpt.h>

#define CKPT_PAGE_SHIFT 12

/**
 * struct ckpt_area - an area of an address space at a take
 * @start: first byte
 * @end: first byte after it
 * @pgoff: vm_pgoff, pages
 * @dev: major << 32 | minor of the file's super block, 0 if anonymous
 * @ino: inode number, 0 if anonymous
 * @inode: the inode, only compared, NULL if anonymous
 * @generation: of the inode
 * @flags: CKPT_AREA_*
 * @run: index of its first run
 * @nr_runs: how many follow
 */
struct ckpt_area {
	u64 start;
	u64 end;
	u64 pgoff;
	u64 dev;
	u64 ino;
	const void *inode;
	u32 generation;
	u32 flags;
	u32 run;
	u32 nr_runs;
};

/**
 * struct ckpt_areas - area table of one take
 * @area: the areas
 * @nr: how many
 * @cap: room
 */
struct ckpt_areas {
	struct ckpt_area *area;
	u32 nr;
	u32 cap;
};

bool ckpt_area_same(const struct ckpt_area *a, const struct ckpt_area *b);
int ckpt_areas_add(struct ckpt_areas *areas, const struct ckpt_area *area, u32 max);
int ckpt_areas_go_on(struct ckpt_areas *areas, const struct ckpt_area *area, u32 max);
const struct ckpt_area *ckpt_areas_lookup(const struct ckpt_areas *areas, u32 *cursor,
					  const struct ckpt_area *now, u64 addr, u64 *ret_until);
bool ckpt_areas_framed(const struct ckpt_areas *areas, u32 *cursor, const struct ckpt_area *piece,
		       u64 start, u64 end);
bool ckpt_areas_known(const struct ckpt_areas *areas, u32 *cursor, const struct ckpt_area *now);
void ckpt_areas_free(struct ckpt_areas *areas);

/**
 * struct ckpt_table - what stood behind one pmd at a take
 * @addr: address of the pmd's first page
 * @id: pfn << 1 of the page table, or pfn << 1 | 1 of the huge page
 */
struct ckpt_table {
	u64 addr;
	u64 id;
};

/**
 * struct ckpt_tables - page tables of one take
 * @table: the tables
 * @nr: how many
 * @cap: room
 */
struct ckpt_tables {
	struct ckpt_table *table;
	u32 nr;
	u32 cap;
};

int ckpt_tables_reserve(struct ckpt_tables *tables, u32 max);
void ckpt_tables_add(struct ckpt_tables *tables, u64 addr, u64 id);
u64 ckpt_tables_lookup(const struct ckpt_tables *tables, u32 *cursor, u64 addr);
void ckpt_tables_drop_twins(struct ckpt_tables *tables);
void ckpt_tables_free(struct ckpt_tables *tables);

/**
 * struct ckpt_runs - state map of one round, run-length encoded
 * @run: the runs
 * @nr: how many
 * @cap: room
 */
struct ckpt_runs {
	struct ckpt_run *run;
	u32 nr;
	u32 cap;
};

int ckpt_runs_reserve(struct ckpt_runs *runs, u32 more, u32 max);
void ckpt_runs_add(struct ckpt_runs *runs, u32 first, u64 start, u32 pages, u16 state, u16 flags);
void ckpt_runs_free(struct ckpt_runs *runs);

/**
 * struct ckpt_range - consecutive bytes
 * @start: first byte
 * @end: first byte after it
 */
struct ckpt_range {
	u64 start;
	u64 end;
};

/**
 * struct ckpt_ranges - a set of bytes, kept as disjoint ranges
 * @range: the ranges, none touching the next
 * @nr: how many
 * @whole: everything is in the set; the ranges are dropped
 */
struct ckpt_ranges {
	struct ckpt_range *range;
	u32 nr;
	bool whole;
};

void ckpt_ranges_add(struct ckpt_ranges *set, u64 start, u64 end, u32 max);
void ckpt_ranges_add_runs(struct ckpt_ranges *set, const struct ckpt_runs *runs, u32 max);
void ckpt_ranges_merge(struct ckpt_ranges *set, struct ckpt_ranges *from, u32 max);
void ckpt_ranges_set_whole(struct ckpt_ranges *set);
bool ckpt_ranges_cover(const struct ckpt_ranges *set, u32 *cursor, u64 addr, u64 *ret_until);
void ckpt_ranges_free(struct ckpt_ranges *set);

#endif
