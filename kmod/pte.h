/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One step of a walk: the pages under one pmd
 */
#ifndef _CKPT_PTE_H
#define _CKPT_PTE_H

#include <linux/bitmap.h>
#include <linux/mm_types.h>
#include <linux/pgtable.h>

#include "dirty.h"

struct ckpt_mm;

/**
 * struct ckpt_walk - state of a walk
 * @m: what it is about
 * @mm: its address space
 * @vma: area being walked
 * @area: what is recorded of it
 * @private: not shared: its bits are a record
 * @clear: its bits are to be cleared
 * @marked: VM_SOFTDIRTY was set
 * @framed: it began and ended at the last take where it does now, and no fault handler fills it
 * @unheard: a forced write may have left no trace: it begins or ends elsewhere, and no probe tells
 * @readonly: cannot be written now, or could not at the last take
 * @pos: walked up to here
 * @marked_to: up to here areas count as marked, although the mark is gone
 * @uprobes: pages may have been replaced by a breakpoint's
 * @cleaned: a hardware dirty bit was taken away and no CPU was told yet
 * @unbased: this walk cannot be compared with by the next
 * @holds: how often the mmap lock was had
 * @overflow: not all runs were kept
 * @moved: a table is not where it was at the last take
 * @runs_max: how many runs are kept
 * @work_max: what may be done in one hold of the mmap lock, in units of CKPT_TABLE_WORK to a table
 * @work: since the mmap lock was taken
 * @areas: recorded so far
 * @tables: recorded so far
 * @runs: recorded so far
 * @area_cursor: in the last take's areas, for whole areas
 * @page_cursor: in the last take's areas, for pages
 * @table_cursor: in the last take's tables
 * @carry_cursor: in the ranges carried
 * @split_from: pfn of the huge page that was here at the last take, or 0
 * @dirty_pages: reported so far
 * @resident_pages: found so far
 * @state: of the pages under the current pmd
 * @run_flags: the same
 * @cleared: the same: its bits were cleared in this step
 */
struct ckpt_walk {
	struct ckpt_mm *m;
	struct mm_struct *mm;
	struct vm_area_struct *vma;
	struct ckpt_area area;
	bool private;
	bool clear;
	bool marked;
	bool framed;
	bool unheard;
	bool readonly;
	bool uprobes;
	bool cleaned;
	bool unbased;
	bool overflow;
	bool moved;
	u64 pos;
	u64 marked_to;
	u32 holds;
	u32 runs_max;
	u64 work_max;
	u64 work;
	struct ckpt_areas areas;
	struct ckpt_tables tables;
	struct ckpt_runs runs;
	u32 area_cursor;
	u32 page_cursor;
	u32 table_cursor;
	u32 carry_cursor;
	unsigned long split_from;
	u64 dirty_pages;
	u64 resident_pages;
	u16 state[PTRS_PER_PTE] __aligned(8);
	u16 run_flags[PTRS_PER_PTE] __aligned(8);
	DECLARE_BITMAP(cleared, PTRS_PER_PTE);
};

void ckpt_walk_pmd(struct ckpt_walk *w, pmd_t *pmd, u64 addr, u64 end);

#endif
