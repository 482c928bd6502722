// SPDX-License-Identifier: GPL-2.0
/*
 * Pages of shared memory that a round has told
 */
#include <linux/errno.h>
#include <linux/hash.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "limits.h"
#include "told.h"

/**
 * struct told_inode - one inode
 * @hash: in its bucket
 * @inode: compared only
 * @dev: of its super block
 * @ino: its number
 * @generation: of that number
 * @pages: what was told of it, bytes of the file
 */
struct told_inode {
	struct hlist_node hash;
	const void *inode;
	u64 dev;
	u64 ino;
	u32 generation;
	struct ckpt_ranges pages;
};

/* Where the runs of an area go in the new array. */
struct span {
	u32 run;
	u32 nr_runs;
	bool left_out;
};

/**
 * ckpt_told_init - nothing is told
 * @told: any memory
 */
void ckpt_told_init(struct ckpt_told *told)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(told->buckets); i++)
		INIT_HLIST_HEAD(&told->buckets[i]);
}

/**
 * ckpt_told_free - drop the memory; nothing is told then
 * @told: the set
 */
void ckpt_told_free(struct ckpt_told *told)
{
	struct told_inode *entry;
	struct hlist_node *next;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(told->buckets); i++) {
		hlist_for_each_entry_safe(entry, next, &told->buckets[i], hash) {
			hlist_del(&entry->hash);
			ckpt_ranges_free(&entry->pages);
			kfree(entry);
		}
	}
}

/* The entry of an area's inode, made if there is none; NULL without memory. */
static struct told_inode *entry_of(struct ckpt_told *told, const struct ckpt_area *area)
{
	struct hlist_head *bucket = &told->buckets[hash_ptr(area->inode, CKPT_TOLD_BITS)];
	struct told_inode *entry;

	hlist_for_each_entry(entry, bucket, hash)
		if (entry->inode == area->inode && entry->dev == area->dev &&
		    entry->ino == area->ino && entry->generation == area->generation)
			return entry;
	entry = kzalloc(sizeof(*entry), GFP_KERNEL);
	if (!entry)
		return NULL;
	entry->inode = area->inode;
	entry->dev = area->dev;
	entry->ino = area->ino;
	entry->generation = area->generation;
	hlist_add_head(&entry->hash, bucket);
	return entry;
}

static bool is_shared(const struct ckpt_area *area)
{
	return (area->flags & CKPT_AREA_SHARED) && area->inode;
}

/* A guard or poison is of one address space, and not of the page that others map there. */
static bool is_of_inode(const struct ckpt_run *run)
{
	return run->state == CKPT_PAGE_FILE || run->state == CKPT_PAGE_MIGRATION;
}

static u64 end_of(const struct ckpt_run *run)
{
	return run->start + ((u64)run->pages << CKPT_PAGE_SHIFT);
}

/* Bytes to add to an address for its place in the file. */
static u64 shift_of(const struct ckpt_area *area)
{
	return (area->pgoff << CKPT_PAGE_SHIFT) - area->start;
}

/* Append the pieces of a run that are not told.  Return: 0, -E2BIG or -ENOMEM. */
static int keep_untold(const struct told_inode *entry, u32 *cursor, u64 shift,
		       const struct ckpt_run *run, u32 first, struct ckpt_runs *kept,
		       struct ckpt_told_count *left_out)
{
	u64 addr = run->start, end = end_of(run), until;
	u32 pages;
	bool told;
	int err;

	for (; addr < end; addr = until) {
		told = ckpt_ranges_cover(&entry->pages, cursor, addr + shift, &until);
		until = until == U64_MAX ? end : min(until - shift, end);
		pages = (until - addr) >> CKPT_PAGE_SHIFT;
		if (told) {
			left_out->pages += pages;
			left_out->dirty += run->flags & CKPT_RUN_DIRTY ? pages : 0;
			continue;
		}
		err = ckpt_runs_reserve(kept, 1, CKPT_RUNS_MAX);
		if (err)
			return err;
		ckpt_runs_add(kept, first, addr, pages, run->state, run->flags);
	}
	return 0;
}

/* What was kept of an area is told now.  Without memory it will be told again. */
static void note_told(struct told_inode *entry, u64 shift, const struct ckpt_run *run, u32 nr)
{
	struct ckpt_ranges more = {};

	if (!nr)
		return;
	more.range = kvmalloc_array(nr, sizeof(*more.range), GFP_KERNEL);
	if (!more.range)
		return;
	for (; nr; nr--, run++) {
		if (!is_of_inode(run))
			continue;
		more.range[more.nr].start = run->start + shift;
		more.range[more.nr++].end = end_of(run) + shift;
	}
	ckpt_ranges_merge(&entry->pages, &more, CKPT_TOLD_MAX);
	/* "Everything" would leave out what nobody has told. */
	if (entry->pages.whole)
		ckpt_ranges_free(&entry->pages);
}

/* Rebuild the runs of one area behind those in @kept. */
static int once_area(struct ckpt_told *told, const struct ckpt_area *area,
		     const struct ckpt_run *run, struct ckpt_runs *kept, struct span *span,
		     struct ckpt_told_count *left_out)
{
	struct told_inode *entry = is_shared(area) && area->nr_runs ? entry_of(told, area) : NULL;
	u64 before = left_out->pages;
	u32 i, cursor = 0;
	int err;

	span->run = kept->nr;
	for (i = 0; i < area->nr_runs; i++) {
		if (entry && is_of_inode(&run[i])) {
			err = keep_untold(entry, &cursor, shift_of(area), &run[i], span->run,
					  kept, left_out);
		} else {
			err = ckpt_runs_reserve(kept, 1, CKPT_RUNS_MAX);
			if (!err)
				kept->run[kept->nr++] = run[i];
		}
		if (err)
			return err;
	}
	span->nr_runs = kept->nr - span->run;
	span->left_out = left_out->pages != before;
	if (entry)
		note_told(entry, shift_of(area), &kept->run[span->run], span->nr_runs);
	return 0;
}

/**
 * ckpt_told_once - leave out of an address space what the round has told
 * @told: what was told; grows by the rest
 * @areas: of the address space
 * @runs: of the address space, changed; an area that lost some gets AREA_TOLD
 *
 * Without memory nothing is left out: then pages are told more than once.
 *
 * Context: sleeps.
 * Return: the pages left out.
 */
struct ckpt_told_count ckpt_told_once(struct ckpt_told *told, struct ckpt_areas *areas,
				      struct ckpt_runs *runs)
{
	struct ckpt_told_count left_out = {};
	struct ckpt_runs kept = {};
	struct span *span;
	u32 i, shared = 0;

	for (i = 0; i < areas->nr; i++)
		shared += is_shared(&areas->area[i]) && areas->area[i].nr_runs;
	if (!shared)
		return left_out;
	span = kvmalloc_array(areas->nr, sizeof(*span), GFP_KERNEL);
	if (!span)
		return left_out;
	for (i = 0; i < areas->nr; i++) {
		cond_resched();
		if (once_area(told, &areas->area[i], &runs->run[areas->area[i].run], &kept,
			      &span[i], &left_out)) {
			left_out = (struct ckpt_told_count){};
			ckpt_runs_free(&kept);
			goto free;
		}
	}
	for (i = 0; i < areas->nr; i++) {
		areas->area[i].run = span[i].run;
		areas->area[i].nr_runs = span[i].nr_runs;
		if (span[i].left_out)
			areas->area[i].flags |= CKPT_AREA_TOLD;
	}
	swap(*runs, kept);
	ckpt_runs_free(&kept);
free:
	kvfree(span);
	return left_out;
}
