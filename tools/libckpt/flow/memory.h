/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory of a checkpoint: from takes to spaces
 *
 * Rule: a page counts as unchanged only when it is anonymous or swapped now,
 * the tracker reports it clean, and the parent (or an earlier round of this
 * checkpoint) has it.  Whatever else is there is copied, whatever is gone is
 * dropped.
 */
#ifndef CKPT_FLOW_MEMORY_H
#define CKPT_FLOW_MEMORY_H

#include "base/pages.h"
#include "base/ranges.h"
#include "flow/stage.h"
#include "proc/image.h"
#include "proc/memory.h"
#include "track/take.h"

/**
 * struct ckpt_mem_mm - one address space over all rounds
 * @cookie: the tracker's identity of it, 0: none
 * @pid: process it is read through
 * @space: where its pages go
 * @have: pages (address >> 12) whose content in the space is that of the last
 *	round, unless the tracker says otherwise
 * @stored: pages that the space holds, whatever they are worth: all of @have
 *	and those that must be dropped when they are gone
 * @unproven: pages of @have read since the tracker named @pid last: of this address
 *	space if it names it again, else of what the process has executed meanwhile
 * @from: open for reading, fd -1 before
 * @seen: some round of this checkpoint reported it
 * @claimed: an address space of the image has it
 */
struct ckpt_mem_mm {
	uint64_t cookie;
	int32_t pid;
	uint32_t space;
	struct ckpt_ranges have, stored, unproven;
	struct ckpt_memory from;
	bool seen, claimed;
};

/**
 * struct ckpt_mem - the memory of a group while it is captured
 * @dirty_pages: reported dirty, or clean and not known before; all rounds
 * @pages_read: copied out of the group, all rounds
 * @final_pages: of them, copied while it was stopped
 * @resident_pages: populated pages in the final take
 * @followed: address spaces of which each take tells all, since drivers follow them (mmu notifiers)
 */
struct ckpt_mem {
	struct ckpt_mem_mm *mms;
	size_t n_mms;
	uint64_t dirty_pages, pages_read, final_pages, resident_pages;
	uint64_t round_pages;
	uint32_t followed;
};

void ckpt_mem_done(struct ckpt_mem *mem);

/* The table kept in a checkpoint: which cookie's or pid's pages are in which space. */
int ckpt_mem_encode(const struct ckpt_mem *mem, struct ckpt_buf *ret, struct ckpt_err *err);
/* Start from the parent's table; @source tells which pages its spaces hold. */
int ckpt_mem_load(struct ckpt_mem *mem, const void *data, size_t len,
		  const struct ckpt_source *source, struct ckpt_err *err);

/**
 * ckpt_mem_live - copy what a round reported while the group runs
 * @take: the round
 * @sink: where it goes
 *
 * Copied is what is dirty and what no one has yet.  Pages that vanish meanwhile
 * are left to the next round.  mem->round_pages tells how many there were.
 */
int ckpt_mem_live(struct ckpt_mem *mem, const struct ckpt_take *take,
		  const struct ckpt_sink *sink, struct ckpt_err *err);

/* For memory-final.c: the entry of an mm, made when it is not known, or a new one. */
struct ckpt_mem_mm *ckpt_mem_entry(struct ckpt_mem *mem, uint64_t cookie, int32_t pid,
				   const struct ckpt_sink *sink, struct ckpt_err *err);
struct ckpt_mem_mm *ckpt_mem_new(struct ckpt_mem *mem, uint64_t cookie,
				 const struct ckpt_sink *sink, struct ckpt_err *err);
/* The tracker names @pid for the entry, now. Return: 0, or -1 without memory. */
int ckpt_mem_prove(struct ckpt_mem_mm *mm, int32_t pid, struct ckpt_err *err);
/* Open it for reading through @pid. Return: 0, or -1 when the process is gone. */
int ckpt_mem_open(struct ckpt_mem_mm *mm, int32_t pid, struct ckpt_err *err);

/*
 * memory-guard.c: the guard regions of @mm, as @take has them, into it; of areas without content
 * too, where a page that looks swapped and cannot be read, through @from, is refused: older
 * kernels show such a region so.
 */
int ckpt_mem_guards(const struct ckpt_take_mm *take, struct ckpt_mm *mm,
		    const struct ckpt_memory *from, struct ckpt_err *err);
/* Does the space of an address space hold the pages of such an area? */
bool ckpt_mem_has_content(const struct ckpt_area *area);

/**
 * ckpt_mem_final - copy and drop until the spaces are the memory at this instant
 * @take: the round walked after every task was stopped
 * @image: the tree; the space of each mm is filled in
 * @stage: where pages go
 */
int ckpt_mem_final(struct ckpt_mem *mem, const struct ckpt_take *take, struct ckpt_image *image,
		   struct ckpt_stage *stage, const struct ckpt_sink *sink, struct ckpt_err *err);

#endif
