// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit suite of kmod/dirty.c and ranges.c: identities, runs, ranges, bounds
 *
 * needs: dirty.c ranges.c
 */
#include <kunit/test.h>

#include "dirty.h"

#define AT(page) ((u64)(page) << CKPT_PAGE_SHIFT)

static struct ckpt_area anon(u64 from, u64 to)
{
	return (struct ckpt_area){ .start = AT(from), .end = AT(to), .pgoff = from };
}

/* --- identities --- */

static void area_moved_is_not_same(struct kunit *test)
{
	struct ckpt_area a = anon(100, 200), moved = anon(300, 400), part = anon(150, 160);

	KUNIT_EXPECT_TRUE(test, ckpt_area_same(&a, &part));
	moved.pgoff = 100;	/* an anonymous area keeps it when it moves */
	KUNIT_EXPECT_FALSE(test, ckpt_area_same(&a, &moved));
}

static void area_of_other_kind_is_not_same(struct kunit *test)
{
	struct ckpt_area a = anon(100, 200), b = a;

	b.flags = CKPT_AREA_READ | CKPT_AREA_NEW;
	KUNIT_EXPECT_TRUE(test, ckpt_area_same(&a, &b));
	b.flags = CKPT_AREA_SHARED;
	KUNIT_EXPECT_FALSE(test, ckpt_area_same(&a, &b));
	b.flags = CKPT_AREA_FILE;
	KUNIT_EXPECT_FALSE(test, ckpt_area_same(&a, &b));
	b = a;
	b.ino = 7;
	KUNIT_EXPECT_FALSE(test, ckpt_area_same(&a, &b));
	b = a;
	b.dev = 7;
	KUNIT_EXPECT_FALSE(test, ckpt_area_same(&a, &b));
	b = a;
	b.pgoff++;
	KUNIT_EXPECT_FALSE(test, ckpt_area_same(&a, &b));
}

static void areas_go_on_joins_pieces(struct kunit *test)
{
	struct ckpt_areas areas = {};
	struct ckpt_area a = anon(10, 20), b = anon(20, 30);

	a.nr_runs = 2;
	a.flags = CKPT_AREA_NEW;
	b.run = 2;
	b.nr_runs = 3;
	KUNIT_ASSERT_EQ(test, ckpt_areas_add(&areas, &a, 10), 0);
	KUNIT_ASSERT_EQ(test, ckpt_areas_go_on(&areas, &b, 10), 0);
	KUNIT_EXPECT_EQ(test, areas.nr, 1U);
	KUNIT_EXPECT_EQ(test, areas.area[0].end, AT(30));
	KUNIT_EXPECT_EQ(test, areas.area[0].nr_runs, 5U);
	/* new only if every piece is */
	KUNIT_EXPECT_EQ(test, areas.area[0].flags, 0U);
	ckpt_areas_free(&areas);
}

static void areas_add_joins_none(struct kunit *test)
{
	struct ckpt_areas areas = {};
	struct ckpt_area a = anon(10, 20), b = anon(20, 30);

	KUNIT_ASSERT_EQ(test, ckpt_areas_go_on(&areas, &a, 10), 0);
	KUNIT_ASSERT_EQ(test, ckpt_areas_add(&areas, &b, 10), 0);
	KUNIT_EXPECT_EQ(test, areas.nr, 2U);
	ckpt_areas_free(&areas);
}

static void areas_go_on_keeps_others_apart(struct kunit *test)
{
	struct ckpt_areas areas = {};
	struct ckpt_area a = anon(10, 20), b = anon(20, 30), c = anon(31, 40);

	b.flags = CKPT_AREA_WRITE;
	c.flags = CKPT_AREA_WRITE;
	ckpt_areas_add(&areas, &a, 10);
	ckpt_areas_go_on(&areas, &b, 10);
	ckpt_areas_go_on(&areas, &c, 10);
	KUNIT_EXPECT_EQ(test, areas.nr, 3U);
	ckpt_areas_free(&areas);
}

static void areas_add_refuses_over_bound(struct kunit *test)
{
	struct ckpt_areas areas = {};
	struct ckpt_area a;
	u32 i;

	for (i = 0; i < 100; i++) {
		a = anon(10 * i, 10 * i + 5);
		KUNIT_ASSERT_EQ(test, ckpt_areas_add(&areas, &a, 100), 0);
	}
	a = anon(5000, 5001);
	KUNIT_EXPECT_EQ(test, ckpt_areas_add(&areas, &a, 100), -E2BIG);
	KUNIT_EXPECT_EQ(test, areas.nr, 100U);
	KUNIT_EXPECT_EQ(test, areas.area[63].start, AT(630));
	ckpt_areas_free(&areas);
}

static void areas_add_without_memory(struct kunit *test)
{
	struct ckpt_areas areas = {};
	struct ckpt_area a = anon(1, 2);
	int err;

	current->make_it_fail = 1;
	err = ckpt_areas_add(&areas, &a, 100);
	current->make_it_fail = 0;
	KUNIT_EXPECT_EQ(test, err, -ENOMEM);
	KUNIT_EXPECT_EQ(test, areas.nr, 0U);
}

static void areas_lookup_tells_what_was_there(struct kunit *test)
{
	struct ckpt_areas areas = {};
	struct ckpt_area a = anon(10, 20), b = anon(20, 30), now = anon(5, 50);
	u32 cursor = 0;
	u64 until;

	b.pgoff = 999;
	ckpt_areas_add(&areas, &a, 10);
	ckpt_areas_add(&areas, &b, 10);
	KUNIT_EXPECT_NULL(test, ckpt_areas_lookup(&areas, &cursor, &now, AT(5), &until));
	KUNIT_EXPECT_EQ(test, until, AT(10));
	KUNIT_EXPECT_PTR_EQ(test, ckpt_areas_lookup(&areas, &cursor, &now, AT(10), &until),
			    (const struct ckpt_area *)&areas.area[0]);
	KUNIT_EXPECT_EQ(test, until, AT(20));
	/* another identity at the same addresses */
	KUNIT_EXPECT_NULL(test, ckpt_areas_lookup(&areas, &cursor, &now, AT(20), &until));
	KUNIT_EXPECT_EQ(test, until, AT(30));
	KUNIT_EXPECT_NULL(test, ckpt_areas_lookup(&areas, &cursor, &now, AT(30), &until));
	KUNIT_EXPECT_EQ(test, until, U64_MAX);
	ckpt_areas_free(&areas);
}

static void areas_known_finds_any_part(struct kunit *test)
{
	struct ckpt_areas areas = {};
	struct ckpt_area a = anon(10, 20), grown = anon(2, 12), beside = anon(20, 30);
	u32 cursor = 0;

	ckpt_areas_add(&areas, &a, 10);
	KUNIT_EXPECT_TRUE(test, ckpt_areas_known(&areas, &cursor, &grown));
	KUNIT_EXPECT_FALSE(test, ckpt_areas_known(&areas, &cursor, &beside));
	ckpt_areas_free(&areas);
}

static void areas_framed_asks_for_both_ends(struct kunit *test)
{
	struct ckpt_areas areas = {};
	struct ckpt_area a = anon(10, 20), piece = anon(15, 20), moved = anon(10, 20);
	u32 cursor = 0;

	ckpt_areas_add(&areas, &a, 10);
	KUNIT_EXPECT_TRUE(test, ckpt_areas_framed(&areas, &cursor, &a, AT(10), AT(20)));
	KUNIT_EXPECT_FALSE(test, ckpt_areas_framed(&areas, &cursor, &a, AT(10), AT(21)));
	KUNIT_EXPECT_FALSE(test, ckpt_areas_framed(&areas, &cursor, &a, AT(9), AT(20)));
	moved.pgoff++;
	KUNIT_EXPECT_FALSE(test, ckpt_areas_framed(&areas, &cursor, &moved, AT(10), AT(20)));
	KUNIT_EXPECT_TRUE(test, ckpt_areas_framed(&areas, &cursor, &piece, AT(10), AT(20)));
	ckpt_areas_free(&areas);
}

/* --- tables --- */

static void tables_of_two_places_are_forgotten(struct kunit *test)
{
	static const u64 ids[] = { 2, 9, 4, 2, 6, 9, 9 }, left[] = { 0, 0, 4, 0, 6, 0, 0 };
	struct ckpt_tables tables = {};
	u32 cursor = 0;
	size_t i;

	ckpt_tables_drop_twins(&tables);
	KUNIT_EXPECT_EQ(test, tables.nr, 0U);
	KUNIT_ASSERT_EQ(test, ckpt_tables_reserve(&tables, 10), 0);
	for (i = 0; i < ARRAY_SIZE(ids); i++)
		ckpt_tables_add(&tables, 0x200000 * i, ids[i]);
	ckpt_tables_drop_twins(&tables);
	for (i = 0; i < ARRAY_SIZE(ids); i++)
		KUNIT_EXPECT_EQ(test, ckpt_tables_lookup(&tables, &cursor, 0x200000 * i), left[i]);
	ckpt_tables_free(&tables);
}

static void tables_lookup_finds_by_address(struct kunit *test)
{
	struct ckpt_tables tables = {};
	u32 cursor = 0;

	KUNIT_ASSERT_EQ(test, ckpt_tables_reserve(&tables, 10), 0);
	ckpt_tables_add(&tables, 0x200000, 2);
	ckpt_tables_add(&tables, 0x200000, 4);	/* a second area under one pmd */
	ckpt_tables_add(&tables, 0x600000, 6);
	KUNIT_EXPECT_EQ(test, tables.nr, 2U);
	KUNIT_EXPECT_EQ(test, ckpt_tables_lookup(&tables, &cursor, 0x200000), 2ULL);
	KUNIT_EXPECT_EQ(test, ckpt_tables_lookup(&tables, &cursor, 0x200000), 2ULL);
	KUNIT_EXPECT_EQ(test, ckpt_tables_lookup(&tables, &cursor, 0x400000), 0ULL);
	KUNIT_EXPECT_EQ(test, ckpt_tables_lookup(&tables, &cursor, 0x600000), 6ULL);
	KUNIT_EXPECT_EQ(test, ckpt_tables_lookup(&tables, &cursor, 0x800000), 0ULL);
	ckpt_tables_free(&tables);
}

/* --- runs --- */

static void runs_add_merges_and_splits(struct kunit *test)
{
	struct ckpt_runs runs = {};

	KUNIT_ASSERT_EQ(test, ckpt_runs_reserve(&runs, 8, 100), 0);
	ckpt_runs_add(&runs, 0, AT(1), 2, CKPT_PAGE_ANON, 0);
	ckpt_runs_add(&runs, 0, AT(3), 5, CKPT_PAGE_ANON, 0);
	KUNIT_EXPECT_EQ(test, runs.nr, 1U);
	KUNIT_EXPECT_EQ(test, runs.run[0].pages, 7U);
	ckpt_runs_add(&runs, 0, AT(8), 1, CKPT_PAGE_ANON, CKPT_RUN_DIRTY);
	ckpt_runs_add(&runs, 0, AT(9), 1, CKPT_PAGE_ZERO, CKPT_RUN_DIRTY);
	ckpt_runs_add(&runs, 0, AT(10), 4, CKPT_PAGE_NONE, 0);
	ckpt_runs_add(&runs, 0, AT(14), 1, CKPT_PAGE_ZERO, CKPT_RUN_DIRTY);
	KUNIT_EXPECT_EQ(test, runs.nr, 4U);
	KUNIT_EXPECT_EQ(test, runs.run[3].start, AT(14));
	/* the same state, but another area begins */
	ckpt_runs_add(&runs, runs.nr, AT(15), 1, CKPT_PAGE_ZERO, CKPT_RUN_DIRTY);
	KUNIT_EXPECT_EQ(test, runs.nr, 5U);
	ckpt_runs_free(&runs);
}

static void runs_add_does_not_wrap(struct kunit *test)
{
	struct ckpt_runs runs = {};

	KUNIT_ASSERT_EQ(test, ckpt_runs_reserve(&runs, 2, 100), 0);
	ckpt_runs_add(&runs, 0, 0, U32_MAX - 1, CKPT_PAGE_ANON, 0);
	ckpt_runs_add(&runs, 0, AT(U32_MAX - 1), 5, CKPT_PAGE_ANON, 0);
	KUNIT_EXPECT_EQ(test, runs.nr, 2U);
	ckpt_runs_free(&runs);
}

static void runs_reserve_refuses_over_bound(struct kunit *test)
{
	struct ckpt_runs runs = {};

	KUNIT_EXPECT_EQ(test, ckpt_runs_reserve(&runs, 512, 1000), 0);
	runs.nr = 512;
	KUNIT_EXPECT_EQ(test, ckpt_runs_reserve(&runs, 512, 1000), -E2BIG);
	KUNIT_EXPECT_EQ(test, ckpt_runs_reserve(&runs, 488, 1000), 0);
	ckpt_runs_free(&runs);
}

/* --- ranges --- */

/* A set of the ranges [from[i], to[i]). */
static void fill(struct kunit *test, struct ckpt_ranges *set, const u64 (*r)[2], u32 nr)
{
	struct ckpt_runs runs = {};
	u32 i;

	KUNIT_ASSERT_EQ(test, ckpt_runs_reserve(&runs, 2 * nr, 1000), 0);
	for (i = 0; i < nr; i++) {
		ckpt_runs_add(&runs, 0, AT(r[i][0]), r[i][1] - r[i][0], CKPT_PAGE_ANON,
			      CKPT_RUN_DIRTY);
		ckpt_runs_add(&runs, 0, AT(r[i][1]), 1, CKPT_PAGE_ANON, 0);
	}
	ckpt_ranges_add_runs(set, &runs, 1000);
	ckpt_runs_free(&runs);
}

static bool in(const struct ckpt_ranges *set, u64 page)
{
	u32 cursor = 0;
	u64 until;

	return ckpt_ranges_cover(set, &cursor, AT(page), &until);
}

static void ranges_add_runs_takes_dirty_only(struct kunit *test)
{
	static const u64 r[][2] = { { 10, 12 }, { 20, 21 } };
	struct ckpt_ranges set = {};

	KUNIT_EXPECT_TRUE(test, !set.whole && !set.nr);
	fill(test, &set, r, 2);
	KUNIT_EXPECT_EQ(test, set.nr, 2U);
	KUNIT_EXPECT_FALSE(test, in(&set, 9));
	KUNIT_EXPECT_TRUE(test, in(&set, 11));
	KUNIT_EXPECT_FALSE(test, in(&set, 12));
	KUNIT_EXPECT_TRUE(test, in(&set, 20));
	KUNIT_EXPECT_FALSE(test, in(&set, 21));
	ckpt_ranges_free(&set);
}

static void ranges_merge_is_a_union(struct kunit *test)
{
	static const u64 a[][2] = { { 10, 20 }, { 30, 40 }, { 90, 95 } };
	static const u64 b[][2] = { { 5, 12 }, { 20, 30 }, { 50, 60 }, { 92, 93 } };
	struct ckpt_ranges set = {}, from = {};

	fill(test, &set, a, 3);
	fill(test, &from, b, 4);
	ckpt_ranges_merge(&set, &from, 1000);
	KUNIT_EXPECT_EQ(test, set.nr, 3U);
	KUNIT_EXPECT_EQ(test, set.range[0].start, AT(5));
	KUNIT_EXPECT_EQ(test, set.range[0].end, AT(40));
	KUNIT_EXPECT_EQ(test, set.range[2].end, AT(95));
	KUNIT_EXPECT_TRUE(test, !from.whole && !from.nr);
	ckpt_ranges_free(&set);
}

static void ranges_over_bound_are_everything(struct kunit *test)
{
	static const u64 a[][2] = { { 10, 11 }, { 30, 31 } }, b[][2] = { { 50, 51 } };
	struct ckpt_ranges set = {}, from = {};

	fill(test, &set, a, 2);
	fill(test, &from, b, 1);
	ckpt_ranges_merge(&set, &from, 2);
	KUNIT_EXPECT_TRUE(test, set.whole);
	KUNIT_EXPECT_TRUE(test, in(&set, 1));
	/* and everything stays everything */
	fill(test, &from, b, 1);
	ckpt_ranges_merge(&from, &set, 1000);
	KUNIT_EXPECT_TRUE(test, from.whole);
	KUNIT_EXPECT_FALSE(test, set.whole);
	ckpt_ranges_free(&from);
}

static void ranges_without_memory_are_everything(struct kunit *test)
{
	static const u64 a[][2] = { { 10, 11 } }, b[][2] = { { 50, 51 } };
	struct ckpt_ranges set = {}, from = {};

	fill(test, &set, a, 1);
	fill(test, &from, b, 1);
	current->make_it_fail = 1;
	ckpt_ranges_merge(&set, &from, 1000);
	current->make_it_fail = 0;
	KUNIT_EXPECT_TRUE(test, set.whole);
	KUNIT_EXPECT_TRUE(test, !from.whole && !from.nr);
}

static void ranges_add_joins_one(struct kunit *test)
{
	static const u64 r[][2] = { { 10, 20 }, { 30, 40 } };
	struct ckpt_ranges set = {};

	fill(test, &set, r, 2);
	ckpt_ranges_add(&set, AT(15), AT(31), 1000);
	KUNIT_EXPECT_EQ(test, set.nr, 1U);
	KUNIT_EXPECT_TRUE(test, in(&set, 10) && in(&set, 25) && in(&set, 39) && !in(&set, 40));
	ckpt_ranges_add(&set, AT(50), AT(51), 1);
	KUNIT_EXPECT_TRUE(test, set.whole);
	current->make_it_fail = 1;
	ckpt_ranges_free(&set);
	ckpt_ranges_add(&set, AT(1), AT(2), 1000);
	current->make_it_fail = 0;
	KUNIT_EXPECT_TRUE(test, set.whole);
	ckpt_ranges_free(&set);
}

static void ranges_cover_holds_until(struct kunit *test)
{
	static const u64 a[][2] = { { 10, 20 } };
	struct ckpt_ranges set = {};
	u32 cursor = 0;
	u64 until;

	fill(test, &set, a, 1);
	KUNIT_EXPECT_FALSE(test, ckpt_ranges_cover(&set, &cursor, AT(3), &until));
	KUNIT_EXPECT_EQ(test, until, AT(10));
	KUNIT_EXPECT_TRUE(test, ckpt_ranges_cover(&set, &cursor, AT(15), &until));
	KUNIT_EXPECT_EQ(test, until, AT(20));
	KUNIT_EXPECT_FALSE(test, ckpt_ranges_cover(&set, &cursor, AT(20), &until));
	KUNIT_EXPECT_EQ(test, until, U64_MAX);
	ckpt_ranges_free(&set);
}

static struct kunit_case dirty_cases[] = {
	KUNIT_CASE(area_moved_is_not_same),
	KUNIT_CASE(area_of_other_kind_is_not_same),
	KUNIT_CASE(areas_go_on_joins_pieces),
	KUNIT_CASE(areas_add_joins_none),
	KUNIT_CASE(areas_go_on_keeps_others_apart),
	KUNIT_CASE(areas_add_refuses_over_bound),
	KUNIT_CASE(areas_add_without_memory),
	KUNIT_CASE(areas_lookup_tells_what_was_there),
	KUNIT_CASE(areas_known_finds_any_part),
	KUNIT_CASE(areas_framed_asks_for_both_ends),
	KUNIT_CASE(tables_lookup_finds_by_address),
	KUNIT_CASE(tables_of_two_places_are_forgotten),
	KUNIT_CASE(runs_add_merges_and_splits),
	KUNIT_CASE(runs_add_does_not_wrap),
	KUNIT_CASE(runs_reserve_refuses_over_bound),
	KUNIT_CASE(ranges_add_runs_takes_dirty_only),
	KUNIT_CASE(ranges_merge_is_a_union),
	KUNIT_CASE(ranges_over_bound_are_everything),
	KUNIT_CASE(ranges_without_memory_are_everything),
	KUNIT_CASE(ranges_add_joins_one),
	KUNIT_CASE(ranges_cover_holds_until),
	{}
};

static struct kunit_suite dirty_suite = {
	.name = "ckpt_dirty",
	.test_cases = dirty_cases,
};
kunit_test_suite(dirty_suite);
MODULE_LICENSE("GPL");
