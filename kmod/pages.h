/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The pages of one step of a walk: what is doubted of them before, and their runs after
 */
#ifndef _CKPT_PAGES_H
#define _CKPT_PAGES_H

#include <linux/bits.h>
#include <linux/pgtable.h>

#include "pte.h"

/* So many entries fill a line of the cache, and are looked at together. */
#define CKPT_PLAIN_ENTRIES 8

void ckpt_pages_doubt(struct ckpt_walk *w, u64 addr, u64 end);
bool ckpt_pages_plain(const struct ckpt_walk *w);
bool ckpt_pages_all_plain(struct ckpt_walk *w, const pte_t *first, u32 i);
void ckpt_pages_record(struct ckpt_walk *w, u64 addr, u64 end);

/*
 * An entry that says by itself: nothing was written.  So it is of a page, present and not
 * writable, and neither dirty nor soft-dirty; and not special, which the zero page is.
 * The two high bits that software has are, on one kernel or the other, a second dirty bit and
 * that of a device's memory.
 */
#define CKPT_PTE_HIGH	(BIT_ULL(57) | BIT_ULL(58))

static inline bool ckpt_pte_plain(pteval_t val)
{
	return (val & (_PAGE_PRESENT | _PAGE_RW | _PAGE_DIRTY | _PAGE_SOFT_DIRTY | _PAGE_SPECIAL |
		       CKPT_PTE_HIGH)) == _PAGE_PRESENT;
}

#endif
