// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit suite of what the pure parts do without memory: an error, or everything; never less
 *
 * needs: dirty.c ranges.c changeset.c pageset.c
 */
#include <kunit/test.h>
#include <linux/slab.h>

#include <uapi/linux/ckpt.h>

#include "changeset.h"
#include "dirty.h"
#include "pageset.h"

#define AT(page) ((u64)(page) << CKPT_PAGE_SHIFT)
#define BITS 4
#define NODES 32

static void fail(bool on)
{
	current->make_it_fail = on;
}

/* --- dirty set --- */

static void areas_that_cannot_grow_stay(struct kunit *test)
{
	struct ckpt_areas areas = {};
	struct ckpt_area area = {};
	u32 i, err;

	/* of another inode each, so that none joins the one before */
	for (i = 0; i < 1000; i++) {
		area = (struct ckpt_area){ .start = AT(i), .end = AT(i + 1), .ino = i };
		fail(i >= 64);
		err = ckpt_areas_add(&areas, &area, 1000);
		fail(false);
		if (err)
			break;
	}
	KUNIT_EXPECT_EQ(test, (int)err, -ENOMEM);
	KUNIT_EXPECT_EQ(test, areas.nr, i);
	KUNIT_EXPECT_EQ(test, areas.area[i - 1].ino, (u64)i - 1);
	KUNIT_EXPECT_EQ(test, ckpt_areas_add(&areas, &area, 1000), 0);
	KUNIT_EXPECT_EQ(test, areas.area[i].ino, (u64)i);
	ckpt_areas_free(&areas);
}

static void runs_that_cannot_grow_stay(struct kunit *test)
{
	struct ckpt_runs runs = {};

	fail(true);
	KUNIT_EXPECT_EQ(test, ckpt_runs_reserve(&runs, 1, 1000), -ENOMEM);
	fail(false);
	KUNIT_ASSERT_EQ(test, ckpt_runs_reserve(&runs, 1, 1000), 0);
	ckpt_runs_add(&runs, 0, AT(7), 3, CKPT_PAGE_ANON, CKPT_RUN_DIRTY);
	fail(true);
	KUNIT_EXPECT_EQ(test, ckpt_runs_reserve(&runs, 500, 1000), -ENOMEM);
	fail(false);
	KUNIT_ASSERT_EQ(test, runs.nr, 1U);
	KUNIT_EXPECT_EQ(test, runs.run[0].start, AT(7));
	ckpt_runs_free(&runs);
}

static void tables_that_cannot_grow_stay(struct kunit *test)
{
	struct ckpt_tables tables = {};
	u32 cursor = 0;

	fail(true);
	KUNIT_EXPECT_EQ(test, ckpt_tables_reserve(&tables, 1000), -ENOMEM);
	fail(false);
	KUNIT_ASSERT_EQ(test, ckpt_tables_reserve(&tables, 1000), 0);
	ckpt_tables_add(&tables, 0x200000, 2);
	KUNIT_EXPECT_EQ(test, ckpt_tables_lookup(&tables, &cursor, 0x200000), 2ULL);
	ckpt_tables_free(&tables);
}

/* What was dirty and finds no place makes everything dirty, now and in every set it joins. */
static void runs_without_room_are_everything(struct kunit *test)
{
	struct ckpt_ranges set = {}, other = {};
	struct ckpt_runs runs = {};

	KUNIT_ASSERT_EQ(test, ckpt_runs_reserve(&runs, 2, 1000), 0);
	ckpt_runs_add(&runs, 0, AT(7), 3, CKPT_PAGE_ANON, 0);
	fail(true);
	ckpt_ranges_add_runs(&set, &runs, 1000);
	fail(false);
	/* none was dirty */
	KUNIT_EXPECT_TRUE(test, !set.whole && !set.nr);
	ckpt_runs_add(&runs, 0, AT(10), 3, CKPT_PAGE_ANON, CKPT_RUN_DIRTY);
	fail(true);
	ckpt_ranges_add_runs(&set, &runs, 1000);
	fail(false);
	KUNIT_EXPECT_TRUE(test, set.whole);
	fail(true);
	ckpt_ranges_merge(&other, &set, 1000);
	fail(false);
	KUNIT_EXPECT_TRUE(test, other.whole);
	KUNIT_EXPECT_TRUE(test, !set.whole && !set.nr);
	ckpt_ranges_free(&other);
	ckpt_runs_free(&runs);
}

static void joining_without_room_is_everything(struct kunit *test)
{
	struct ckpt_ranges set = {}, from = {};
	struct ckpt_runs runs = {};

	KUNIT_ASSERT_EQ(test, ckpt_runs_reserve(&runs, 1, 1000), 0);
	ckpt_runs_add(&runs, 0, AT(7), 3, CKPT_PAGE_ANON, CKPT_RUN_DIRTY);
	ckpt_ranges_add_runs(&from, &runs, 1000);
	KUNIT_ASSERT_FALSE(test, from.whole);
	fail(true);
	ckpt_ranges_merge(&set, &from, 1000);
	fail(false);
	KUNIT_EXPECT_TRUE(test, set.whole);
	KUNIT_EXPECT_TRUE(test, !from.whole && !from.nr);
	ckpt_ranges_free(&set);
	ckpt_runs_free(&runs);
}

/* --- change set and page set: they allocate nothing --- */

struct fixture {
	struct hlist_head buckets[1 << BITS];
	struct ckpt_node nodes[NODES];
	struct ckpt_changeset set;
	struct ckpt_pageset pages, other;
};

static void take(struct ckpt_changeset *set)
{
	while (ckpt_changeset_round_drop(set))
		;
	ckpt_changeset_round_begin(set);
	while (ckpt_changeset_round_move(set))
		;
}

static void changes_need_no_memory(struct kunit *test)
{
	struct fixture *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);
	struct ckpt_change change = { .dev = 1, .mask = CKPT_INODE_DATA };
	unsigned long kept = 0, told = 0, again = 0;

	KUNIT_ASSERT_NOT_NULL(test, f);
	fail(true);
	ckpt_changeset_init(&f->set, f->buckets, BITS, NODES);
	ckpt_changeset_feed(&f->set, f->nodes, NODES);
	for (change.ino = 1; change.ino <= NODES; change.ino++)
		kept += ckpt_changeset_record(&f->set, &change);
	take(&f->set);
	while (!ckpt_changeset_round_get(&f->set, told, &change))
		told++;
	while (ckpt_changeset_round_drop(&f->set))
		;
	while (ckpt_changeset_abort(&f->set))
		;
	take(&f->set);
	while (!ckpt_changeset_round_get(&f->set, again, &change))
		again++;
	fail(false);
	KUNIT_EXPECT_EQ(test, kept, (unsigned long)NODES);
	KUNIT_EXPECT_EQ(test, told, (unsigned long)NODES);
	KUNIT_EXPECT_EQ(test, again, (unsigned long)NODES);
	KUNIT_EXPECT_EQ(test, ckpt_changeset_lost(&f->set), 0ULL);
}

static void pages_need_no_memory(struct kunit *test)
{
	struct fixture *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);
	u32 i;

	KUNIT_ASSERT_NOT_NULL(test, f);
	fail(true);
	ckpt_pageset_clear(&f->pages);
	ckpt_pageset_clear(&f->other);
	for (i = 0; i < 2 * CKPT_PAGESET_MAX; i++)
		ckpt_pageset_add(i % 2 ? &f->pages : &f->other, 10 * i, 1);
	ckpt_pageset_join(&f->pages, &f->other);
	fail(false);
	KUNIT_EXPECT_FALSE(test, f->pages.whole);
	KUNIT_ASSERT_GT(test, f->pages.nr, 0U);
	KUNIT_EXPECT_EQ(test, f->pages.range[0].first, 0ULL);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(areas_that_cannot_grow_stay),
	KUNIT_CASE(runs_that_cannot_grow_stay),
	KUNIT_CASE(tables_that_cannot_grow_stay),
	KUNIT_CASE(runs_without_room_are_everything),
	KUNIT_CASE(joining_without_room_is_everything),
	KUNIT_CASE(changes_need_no_memory),
	KUNIT_CASE(pages_need_no_memory),
	{}
};

static struct kunit_suite suite = {
	.name = "ckpt_nomem",
	.test_cases = cases,
};
kunit_test_suites(&suite);
MODULE_LICENSE("GPL");
