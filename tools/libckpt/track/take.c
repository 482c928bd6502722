// SPDX-License-Identifier: GPL-2.0-or-later
/* Takes as plain values. */
#include <stdlib.h>
#include <string.h>

#include "base/pages.h"
#include "track/take.h"

/* Arrays grow by doubling: their capacity is the next power of two. */
static void *grown(void *array, size_t n, size_t size)
{
	if (n && (n & (n - 1)))
		return array;
	return realloc(array, (n ? 2 * n : 1) * size);
}

void ckpt_take_done(struct ckpt_take *take)
{
	for (size_t m = 0; m < take->n_mms; m++) {
		for (size_t a = 0; a < take->mms[m].n_areas; a++)
			free(take->mms[m].areas[a].runs);
		free(take->mms[m].areas);
	}
	free(take->mms);
	*take = (struct ckpt_take){ 0 };
}

void ckpt_inode_take_done(struct ckpt_inode_take *take)
{
	for (size_t i = 0; i < take->n_changes; i++)
		free(take->changes[i].ranges);
	free(take->changes);
	*take = (struct ckpt_inode_take){ 0 };
}

struct ckpt_take_mm *ckpt_take_add_mm(struct ckpt_take *take, uint64_t cookie, int32_t pid,
				      uint32_t flags)
{
	struct ckpt_take_mm *mms = grown(take->mms, take->n_mms, sizeof(*mms));

	if (!mms)
		return NULL;
	take->mms = mms;
	mms[take->n_mms] = (struct ckpt_take_mm){ .cookie = cookie, .pid = pid, .flags = flags };
	return &mms[take->n_mms++];
}

int ckpt_take_join(struct ckpt_take *take, struct ckpt_take *more)
{
	for (size_t i = 0; i < more->n_mms; i++) {
		struct ckpt_take_mm *from = &more->mms[i];
		struct ckpt_take_mm *mm = ckpt_take_add_mm(take, from->cookie, from->pid,
							   from->flags);

		if (!mm)
			return -1;
		*mm = *from;
		*from = (struct ckpt_take_mm){ 0 };
	}
	ckpt_take_done(more);
	return 0;
}

struct ckpt_take_area *ckpt_take_add_area(struct ckpt_take_mm *mm, uint64_t start, uint64_t end,
					  uint32_t flags)
{
	struct ckpt_take_area *areas = grown(mm->areas, mm->n_areas, sizeof(*areas));

	if (!areas)
		return NULL;
	mm->areas = areas;
	areas[mm->n_areas] = (struct ckpt_take_area){ .start = start, .end = end, .flags = flags };
	return &areas[mm->n_areas++];
}

int ckpt_take_add_run(struct ckpt_take_area *area, const struct ckpt_run *run)
{
	struct ckpt_run *last = area->n_runs ? &area->runs[area->n_runs - 1] : NULL;
	struct ckpt_run *runs;

	if (last && last->state == run->state && last->flags == run->flags &&
	    last->start + (uint64_t)last->pages * CKPT_PAGE_LEN == run->start &&
	    last->pages <= UINT32_MAX - run->pages) {
		last->pages += run->pages;
		return 0;
	}
	runs = grown(area->runs, area->n_runs, sizeof(*runs));
	if (!runs)
		return -1;
	area->runs = runs;
	runs[area->n_runs++] = *run;
	return 0;
}

/* A run counts its pages in 32 bits. */
int ckpt_take_add_pages(struct ckpt_take_area *area, uint64_t start, uint64_t end,
			uint16_t state, uint16_t flags)
{
	uint64_t pages = (end - start) / CKPT_PAGE_LEN;
	struct ckpt_run run = { .start = start, .state = state, .flags = flags };

	for (; pages; pages -= run.pages) {
		run.pages = pages < 1u << 30 ? pages : 1u << 30;
		if (ckpt_take_add_run(area, &run))
			return -1;
		run.start += run.pages * (uint64_t)CKPT_PAGE_LEN;
	}
	return 0;
}

int ckpt_inode_take_add(struct ckpt_inode_take *take, const struct ckpt_inode_change *change)
{
	struct ckpt_inode_change *changes = grown(take->changes, take->n_changes, sizeof(*changes));
	size_t len = change->n_ranges * sizeof(*change->ranges);
	struct ckpt_extent *ranges = NULL;

	if (!changes)
		return -1;
	take->changes = changes;
	if (len) {
		ranges = malloc(len);
		if (!ranges)
			return -1;
		memcpy(ranges, change->ranges, len);
	}
	changes[take->n_changes] = *change;
	changes[take->n_changes++].ranges = ranges;
	return 0;
}

const struct ckpt_take_mm *ckpt_take_find(const struct ckpt_take *take, int32_t pid)
{
	for (size_t m = 0; m < take->n_mms; m++)
		if (take->mms[m].pid == pid)
			return &take->mms[m];
	return NULL;
}
