// SPDX-License-Identifier: GPL-2.0
/*
 * Sets of bytes, kept as disjoint ranges (dirty.h)
 */
#include <linux/limits.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "dirty.h"

/**
 * ckpt_ranges_set_whole - put everything into the set
 * @set: the set
 */
void ckpt_ranges_set_whole(struct ckpt_ranges *set)
{
	ckpt_ranges_free(set);
	set->whole = true;
}

/* Append a range that does not begin below the last one, or join it to that. */
static void append(struct ckpt_range *out, u32 *nr, const struct ckpt_range *range)
{
	if (*nr && out[*nr - 1].end >= range->start) {
		out[*nr - 1].end = max(out[*nr - 1].end, range->end);
		return;
	}
	out[(*nr)++] = *range;
}

/**
 * ckpt_ranges_merge - union of two sets
 * @set: grows by @from
 * @from: empty afterwards
 * @max: bound of ranges; over it, or without memory, everything is in the set
 *
 * Context: sleeps.
 */
void ckpt_ranges_merge(struct ckpt_ranges *set, struct ckpt_ranges *from, u32 max)
{
	struct ckpt_range *out;
	u32 i = 0, j = 0, nr = 0;

	if (set->whole || from->whole) {
		ckpt_ranges_set_whole(set);
		ckpt_ranges_free(from);
		return;
	}
	if (!from->nr)
		return;
	out = kvmalloc_array((size_t)set->nr + from->nr, sizeof(*out), GFP_KERNEL);
	if (!out) {
		ckpt_ranges_set_whole(set);
		ckpt_ranges_free(from);
		return;
	}
	while (i < set->nr || j < from->nr) {
		if (j == from->nr || (i < set->nr && set->range[i].start <= from->range[j].start))
			append(out, &nr, &set->range[i++]);
		else
			append(out, &nr, &from->range[j++]);
	}
	ckpt_ranges_free(set);
	ckpt_ranges_free(from);
	set->range = out;
	set->nr = nr;
	if (nr > max)
		ckpt_ranges_set_whole(set);
}

/**
 * ckpt_ranges_add_runs - add the dirty runs of a round
 * @set: grows by them
 * @runs: the round
 * @max: bound of ranges; over it, or without memory, everything is in the set
 *
 * Context: sleeps.
 */
void ckpt_ranges_add_runs(struct ckpt_ranges *set, const struct ckpt_runs *runs, u32 max)
{
	struct ckpt_ranges dirty = {};
	struct ckpt_range range;
	u32 i, nr = 0;

	if (set->whole)
		return;
	for (i = 0; i < runs->nr; i++)
		nr += !!(runs->run[i].flags & CKPT_RUN_DIRTY);
	if (!nr)
		return;
	dirty.range = kvmalloc_array(nr, sizeof(*dirty.range), GFP_KERNEL);
	if (!dirty.range) {
		ckpt_ranges_set_whole(set);
		return;
	}
	for (i = 0; i < runs->nr; i++) {
		if (!(runs->run[i].flags & CKPT_RUN_DIRTY))
			continue;
		range.start = runs->run[i].start;
		range.end = range.start + ((u64)runs->run[i].pages << CKPT_PAGE_SHIFT);
		append(dirty.range, &dirty.nr, &range);
	}
	ckpt_ranges_merge(set, &dirty, max);
}

/**
 * ckpt_ranges_add - add one range
 * @set: grows by it
 * @start: its first byte
 * @end: the first byte after it
 * @max: bound of ranges; over it, or without memory, everything is in the set
 *
 * Context: sleeps.
 */
void ckpt_ranges_add(struct ckpt_ranges *set, u64 start, u64 end, u32 max)
{
	struct ckpt_ranges one = {};

	if (set->whole)
		return;
	one.range = kvmalloc_array(1, sizeof(*one.range), GFP_KERNEL);
	if (!one.range) {
		ckpt_ranges_set_whole(set);
		return;
	}
	one.range[one.nr++] = (struct ckpt_range){ .start = start, .end = end };
	ckpt_ranges_merge(set, &one, max);
}

/**
 * ckpt_ranges_cover - is an address in the set
 * @set: the set
 * @cursor: 0 at first; then the addresses asked for must not fall
 * @addr: the address
 * @ret_until: up to where the answer holds
 *
 * Return: true if it is.
 */
bool ckpt_ranges_cover(const struct ckpt_ranges *set, u32 *cursor, u64 addr, u64 *ret_until)
{
	*ret_until = U64_MAX;
	if (set->whole)
		return true;
	while (*cursor < set->nr && set->range[*cursor].end <= addr)
		(*cursor)++;
	if (*cursor == set->nr)
		return false;
	if (addr < set->range[*cursor].start) {
		*ret_until = set->range[*cursor].start;
		return false;
	}
	*ret_until = set->range[*cursor].end;
	return true;
}

/**
 * ckpt_ranges_free - drop the memory; the set is empty then
 * @set: the set
 */
void ckpt_ranges_free(struct ckpt_ranges *set)
{
	kvfree(set->range);
	memset(set, 0, sizeof(*set));
}
