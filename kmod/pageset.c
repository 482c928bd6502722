// SPDX-License-Identifier: GPL-2.0
/*
 * Page set: a bounded superset of the pages of a file that were written
 */
#include <linux/build_bug.h>
#include <linux/minmax.h>
#include <linux/string.h>

#include "pageset.h"

static_assert(sizeof(struct ckpt_pageset) <= 2048);

static u64 end_of(const struct ckpt_extent *range)
{
	return range->first + range->pages;
}

/**
 * ckpt_pageset_clear - make a set empty
 * @set: the set
 */
void ckpt_pageset_clear(struct ckpt_pageset *set)
{
	set->nr = 0;
	set->whole = false;
}

/* The first range that ends at @page or after it; @set->nr if there is none. */
static u32 find(const struct ckpt_pageset *set, u64 page)
{
	u32 low = 0, high = set->nr, mid;

	while (low < high) {
		mid = (low + high) / 2;
		if (end_of(&set->range[mid]) < page)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static void remove(struct ckpt_pageset *set, u32 at, u32 n)
{
	memmove(&set->range[at], &set->range[at + n],
		(set->nr - at - n) * sizeof(set->range[0]));
	set->nr -= n;
}

/* One range less: the two with the smallest gap become one. */
static void squeeze(struct ckpt_pageset *set)
{
	u64 gap, least = U64_MAX;
	u32 i, at = 0;

	for (i = 0; i + 1 < set->nr; i++) {
		gap = set->range[i + 1].first - end_of(&set->range[i]);
		if (gap < least) {
			least = gap;
			at = i;
		}
	}
	set->range[at].pages = end_of(&set->range[at + 1]) - set->range[at].first;
	remove(set, at + 1, 1);
}

/**
 * ckpt_pageset_add - add consecutive pages
 * @set: the set
 * @first: the first of them
 * @pages: how many, at least 1; @first + @pages does not overflow
 *
 * Context: any; bounded by the number of ranges.
 */
void ckpt_pageset_add(struct ckpt_pageset *set, u64 first, u64 pages)
{
	struct ckpt_extent *range;
	u64 end = first + pages;
	u32 at, last;

	if (set->whole)
		return;
	at = find(set, first);
	range = &set->range[at];
	if (at == set->nr || range->first > end) {
		memmove(range + 1, range, (set->nr - at) * sizeof(*range));
		range->first = first;
		range->pages = pages;
		if (++set->nr > CKPT_PAGESET_MAX)
			squeeze(set);
		return;
	}
	/* It touches ranges at to last: they become one. */
	for (last = at; last + 1 < set->nr && set->range[last + 1].first <= end; last++)
		;
	end = max(end, end_of(&set->range[last]));
	range->first = min(range->first, first);
	range->pages = end - range->first;
	remove(set, at + 1, last - at);
}

/**
 * ckpt_pageset_join - add the pages of another set
 * @set: the set
 * @other: the other
 */
void ckpt_pageset_join(struct ckpt_pageset *set, const struct ckpt_pageset *other)
{
	u32 i;

	set->whole |= other->whole;
	for (i = 0; i < other->nr && !set->whole; i++)
		ckpt_pageset_add(set, other->range[i].first, other->range[i].pages);
}
