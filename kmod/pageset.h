/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Page set: a bounded superset of the pages of a file that were written
 *
 * Pure: no globals, no allocation, no I/O.  When there are more ranges than
 * there is room for, the two nearest become one with the pages between them:
 * the set may hold pages that were not added, never the other way round.
 *
 * LOCKING
 * The caller's.
 */
#ifndef _CKPT_PAGESET_H
#define _CKPT_PAGESET_H

#include <linux/types.h>

#include <linux/ckpt.h>

/* Ranges kept; with one to spare for the moment of an addition it makes 2 KiB. */
#define CKPT_PAGESET_MAX 126

/**
 * struct ckpt_pageset - some pages of a file, or all
 * @nr: ranges
 * @whole: every page; @range says nothing
 * @range: sorted, not touching
 */
struct ckpt_pageset {
	u32 nr;
	bool whole;
	struct ckpt_extent range[CKPT_PAGESET_MAX + 1];
};

void ckpt_pageset_clear(struct ckpt_pageset *set);
void ckpt_pageset_add(struct ckpt_pageset *set, u64 first, u64 pages);
void ckpt_pageset_join(struct ckpt_pageset *set, const struct ckpt_pageset *other);

#endif
