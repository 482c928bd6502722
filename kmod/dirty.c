// SPDX-License-Identifier: GPL-2.0
/*
 * What a walk records of an address space: areas, tables, runs
 */
#include <linux/errno.h>
#include <linux/limits.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/string.h>

#include "dirty.h"

/* Flags that say what an area is; the others say what may be done with it. */
#define AREA_KIND (CKPT_AREA_SHARED | CKPT_AREA_FILE | CKPT_AREA_SHMEM | CKPT_AREA_HUGETLB | \
		   CKPT_AREA_UNWALKED)

/* Room for one more element, at most @max; growth doubles.  Sleeps. */
static int grow(void **array, u32 *cap, u32 need, u32 max, size_t size)
{
	u32 want;
	void *bigger;

	if (need <= *cap)
		return 0;
	if (need > max)
		return -E2BIG;
	want = min_t(u64, max, max_t(u64, need, max_t(u64, 64, 2ULL * *cap)));
	bigger = kvmalloc_array(want, size, GFP_KERNEL);
	if (!bigger)
		return -ENOMEM;
	if (*cap)
		memcpy(bigger, *array, *cap * size);
	kvfree(*array);
	*array = bigger;
	*cap = want;
	return 0;
}

/* --- areas --- */

/**
 * ckpt_area_same - are two areas the same memory where they overlap
 * @a: an area
 * @b: another
 *
 * Compared are inode, offset relative to the address, and kind.  A moved
 * anonymous area keeps its vm_pgoff, so a move shows here even when it went
 * by whole page tables and set no soft-dirty bit.
 *
 * Return: true if an address in both means the same page in both.
 */
bool ckpt_area_same(const struct ckpt_area *a, const struct ckpt_area *b)
{
	return a->dev == b->dev && a->ino == b->ino &&
	       (a->flags & AREA_KIND) == (b->flags & AREA_KIND) &&
	       a->pgoff - (a->start >> CKPT_PAGE_SHIFT) == b->pgoff - (b->start >> CKPT_PAGE_SHIFT);
}

/**
 * ckpt_areas_add - append an area
 * @areas: the table
 * @area: not below the last area; its run fields are its own
 * @max: bound of the table
 *
 * Context: sleeps.
 * Return: 0, -E2BIG or -ENOMEM.
 */
int ckpt_areas_add(struct ckpt_areas *areas, const struct ckpt_area *area, u32 max)
{
	int err = grow((void **)&areas->area, &areas->cap, areas->nr + 1, max, sizeof(*area));

	if (err)
		return err;
	areas->area[areas->nr++] = *area;
	return 0;
}

/**
 * ckpt_areas_go_on - append a further piece of the last area
 * @areas: the table
 * @area: as for ckpt_areas_add()
 * @max: bound of the table
 *
 * A walk that gives up its lock in the middle of an area brings the area in
 * pieces; they are joined again when nothing but the end differs.
 *
 * Context: sleeps.
 * Return: 0, -E2BIG or -ENOMEM.
 */
int ckpt_areas_go_on(struct ckpt_areas *areas, const struct ckpt_area *area, u32 max)
{
	struct ckpt_area *last = areas->nr ? &areas->area[areas->nr - 1] : NULL;

	if (!last || last->end != area->start || !ckpt_area_same(last, area) ||
	    last->inode != area->inode || ((last->flags ^ area->flags) & ~CKPT_AREA_NEW) ||
	    last->run + last->nr_runs != area->run)
		return ckpt_areas_add(areas, area, max);
	last->end = area->end;
	if (!(area->flags & CKPT_AREA_NEW))
		last->flags &= ~CKPT_AREA_NEW;
	last->nr_runs += area->nr_runs;
	return 0;
}

/**
 * ckpt_areas_lookup - what an address was at an earlier take
 * @areas: the table of that take
 * @cursor: 0 at first; then the addresses asked for must not fall
 * @now: the area the address is in now
 * @addr: the address
 * @ret_until: up to where the answer holds
 *
 * Return: the area of the same identity that held the address, or NULL: the
 * memory is new here, whatever its bits say.
 */
const struct ckpt_area *ckpt_areas_lookup(const struct ckpt_areas *areas, u32 *cursor,
					  const struct ckpt_area *now, u64 addr, u64 *ret_until)
{
	const struct ckpt_area *then;

	while (*cursor < areas->nr && areas->area[*cursor].end <= addr)
		(*cursor)++;
	if (*cursor == areas->nr) {
		*ret_until = U64_MAX;
		return NULL;
	}
	then = &areas->area[*cursor];
	if (addr < then->start) {
		*ret_until = then->start;
		return NULL;
	}
	*ret_until = then->end;
	return ckpt_area_same(then, now) ? then : NULL;
}

/**
 * ckpt_areas_framed - did an area begin and end at an earlier take where it does now
 * @areas: the table of that take
 * @cursor: as for ckpt_areas_lookup()
 * @piece: the area, or a piece of it
 * @start: first byte of the area
 * @end: first byte after it
 *
 * Return: true if it did, and was the same memory.
 */
bool ckpt_areas_framed(const struct ckpt_areas *areas, u32 *cursor, const struct ckpt_area *piece,
		       u64 start, u64 end)
{
	const struct ckpt_area *then;
	u64 until;

	then = ckpt_areas_lookup(areas, cursor, piece, piece->start, &until);
	return then && then->start == start && then->end == end;
}

/**
 * ckpt_areas_known - was any part of an area there at an earlier take
 * @areas: the table of that take
 * @cursor: 0 at first; then the areas asked for must not fall
 * @now: the area
 *
 * Return: true if some part had the same identity.
 */
bool ckpt_areas_known(const struct ckpt_areas *areas, u32 *cursor, const struct ckpt_area *now)
{
	u64 addr = now->start, until;

	while (addr < now->end) {
		if (ckpt_areas_lookup(areas, cursor, now, addr, &until))
			return true;
		addr = until;
	}
	return false;
}

/**
 * ckpt_areas_free - drop the table's memory; it is empty then
 * @areas: the table
 */
void ckpt_areas_free(struct ckpt_areas *areas)
{
	kvfree(areas->area);
	memset(areas, 0, sizeof(*areas));
}

/* --- tables --- */

/**
 * ckpt_tables_reserve - make room for one more
 * @tables: the tables
 * @max: bound
 *
 * Context: sleeps.
 * Return: 0, -E2BIG or -ENOMEM.
 */
int ckpt_tables_reserve(struct ckpt_tables *tables, u32 max)
{
	return grow((void **)&tables->table, &tables->cap, tables->nr + 1, max,
		    sizeof(*tables->table));
}

/**
 * ckpt_tables_add - note what is behind a pmd; room was reserved
 * @tables: the tables
 * @addr: the pmd's address; not below the last one.  The last one again (two
 *	areas under one pmd) is ignored
 * @id: see struct ckpt_table
 */
void ckpt_tables_add(struct ckpt_tables *tables, u64 addr, u64 id)
{
	if (tables->nr && tables->table[tables->nr - 1].addr == addr)
		return;
	if (tables->nr == tables->cap)
		return;
	tables->table[tables->nr++] = (struct ckpt_table){ .addr = addr, .id = id };
}

/**
 * ckpt_tables_lookup - what was behind a pmd at an earlier take
 * @tables: the tables of that take
 * @cursor: 0 at first; then the addresses asked for must not fall
 * @addr: the pmd's address
 *
 * Return: its id, or 0: there was nothing.
 */
u64 ckpt_tables_lookup(const struct ckpt_tables *tables, u32 *cursor, u64 addr)
{
	while (*cursor < tables->nr && tables->table[*cursor].addr < addr)
		(*cursor)++;
	if (*cursor == tables->nr || tables->table[*cursor].addr != addr)
		return 0;
	return tables->table[*cursor].id;
}

static int by_id(const void *a, const void *b)
{
	const struct ckpt_table *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

static int by_addr(const void *a, const void *b)
{
	const struct ckpt_table *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

/**
 * ckpt_tables_drop_twins - forget what stood behind more than one pmd
 * @tables: the tables; in order, and afterwards again
 *
 * Context: any, for long: there can be millions.
 */
void ckpt_tables_drop_twins(struct ckpt_tables *tables)
{
	struct ckpt_table *table = tables->table;
	bool twin = false;
	u32 i;

	sort(table, tables->nr, sizeof(*table), by_id, NULL);
	for (i = 0; i < tables->nr; i++) {
		bool next = i + 1 < tables->nr && table[i].id == table[i + 1].id;

		/* Nothing has this number, and nothing is compared with it as if it were there. */
		if (twin || next)
			table[i].id = 0;
		twin = next;
	}
	sort(table, tables->nr, sizeof(*table), by_addr, NULL);
}

/**
 * ckpt_tables_free - drop the memory
 * @tables: the tables
 */
void ckpt_tables_free(struct ckpt_tables *tables)
{
	kvfree(tables->table);
	memset(tables, 0, sizeof(*tables));
}

/* --- runs --- */

/**
 * ckpt_runs_reserve - make room for more runs
 * @runs: the runs
 * @more: how many may be added before the next call
 * @max: bound
 *
 * Context: sleeps.
 * Return: 0, -E2BIG or -ENOMEM.
 */
int ckpt_runs_reserve(struct ckpt_runs *runs, u32 more, u32 max)
{
	return grow((void **)&runs->run, &runs->cap, runs->nr + more, max, sizeof(*runs->run));
}

/**
 * ckpt_runs_add - append pages of one state; room was reserved
 * @runs: the runs
 * @first: index of the first run of the same area; runs before it are not
 *	touched, so that no run reaches over two areas
 * @start: address of the first page, not below the end of the last run
 * @pages: how many
 * @state: enum ckpt_page_state; CKPT_PAGE_NONE is told by a gap and not added
 * @flags: CKPT_RUN_*
 */
void ckpt_runs_add(struct ckpt_runs *runs, u32 first, u64 start, u32 pages, u16 state, u16 flags)
{
	struct ckpt_run *last = runs->nr > first ? &runs->run[runs->nr - 1] : NULL;

	if (state == CKPT_PAGE_NONE)
		return;
	if (last && last->state == state && last->flags == flags &&
	    last->start + ((u64)last->pages << CKPT_PAGE_SHIFT) == start &&
	    last->pages <= U32_MAX - pages) {
		last->pages += pages;
		return;
	}
	if (WARN_ON_ONCE(runs->nr == runs->cap))
		return;
	runs->run[runs->nr++] = (struct ckpt_run){
		.start = start, .pages = pages, .state = state, .flags = flags,
	};
}

/**
 * ckpt_runs_free - drop the memory
 * @runs: the runs
 */
void ckpt_runs_free(struct ckpt_runs *runs)
{
	kvfree(runs->run);
	memset(runs, 0, sizeof(*runs));
}
