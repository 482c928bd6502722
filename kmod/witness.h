/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Has somebody else cleared soft-dirty bits?
 */
#ifndef _CKPT_WITNESS_H
#define _CKPT_WITNESS_H

#include <linux/types.h>

#include "dirty.h"
#include "limits.h"

struct ckpt_mm;
struct mm_struct;

void ckpt_witness_add(struct ckpt_mm *m);
void ckpt_witness_del(struct ckpt_mm *m);
void ckpt_witness_merging(const struct mm_struct *mm);
bool ckpt_witness_walks(const struct mm_struct *mm);
void ckpt_witness_moved(const struct mm_struct *mm, u64 start, u64 end);
u64 ckpt_witness_write_begins(const struct mm_struct *mm, u64 start, u64 end);
void ckpt_witness_write_ends(const struct mm_struct *mm, u64 start, u64 end, u64 number);
unsigned int ckpt_witness_places(struct ckpt_mm *m, struct ckpt_range ret[CKPT_PLACES_MAX]);
bool ckpt_witness_holds(struct ckpt_mm *m);

#endif
