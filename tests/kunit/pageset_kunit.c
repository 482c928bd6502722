// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit suite of kmod/pageset.c: merging, the bound, nothing lost
 */
#include <kunit/test.h>
#include <linux/bitmap.h>
#include <linux/prandom.h>

#include "pageset.h"

#define PAGES 4096

static struct ckpt_pageset *new_set(struct kunit *test)
{
	struct ckpt_pageset *set = kunit_kzalloc(test, sizeof(*set), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, set);
	ckpt_pageset_clear(set);
	return set;
}

/* One range and no more. */
static void expect_one(struct kunit *test, const struct ckpt_pageset *set, u64 first, u64 pages)
{
	KUNIT_ASSERT_EQ(test, set->nr, 1U);
	KUNIT_EXPECT_EQ(test, set->range[0].first, first);
	KUNIT_EXPECT_EQ(test, set->range[0].pages, pages);
}

static void neighbours_are_one_range(struct kunit *test)
{
	struct ckpt_pageset *set = new_set(test);

	ckpt_pageset_add(set, 10, 5);
	ckpt_pageset_add(set, 15, 1);
	expect_one(test, set, 10, 6);
	ckpt_pageset_add(set, 9, 1);
	expect_one(test, set, 9, 7);
	ckpt_pageset_add(set, 10, 2);
	expect_one(test, set, 9, 7);
	ckpt_pageset_add(set, 5, 20);
	expect_one(test, set, 5, 20);
	ckpt_pageset_add(set, 26, 1);
	KUNIT_EXPECT_EQ(test, set->nr, 2U);
	ckpt_pageset_add(set, 25, 1);
	expect_one(test, set, 5, 22);
}

static void a_bridge_joins_several(struct kunit *test)
{
	struct ckpt_pageset *set = new_set(test);
	u64 i;

	for (i = 0; i < 10; i++)
		ckpt_pageset_add(set, 90 - 10 * i, 1);
	KUNIT_ASSERT_EQ(test, set->nr, 10U);
	for (i = 0; i < 10; i++)
		KUNIT_EXPECT_EQ(test, set->range[i].first, 10 * i);
	ckpt_pageset_add(set, 11, 69);
	KUNIT_ASSERT_EQ(test, set->nr, 3U);
	KUNIT_EXPECT_EQ(test, set->range[1].first, 10ULL);
	KUNIT_EXPECT_EQ(test, set->range[1].pages, 71ULL);
	KUNIT_EXPECT_EQ(test, set->range[2].first, 90ULL);
}

static void at_the_bound_the_nearest_join(struct kunit *test)
{
	struct ckpt_pageset *set = new_set(test);
	u64 i;

	for (i = 0; i < CKPT_PAGESET_MAX; i++)
		ckpt_pageset_add(set, 10 * i, 1);
	KUNIT_ASSERT_EQ(test, set->nr, CKPT_PAGESET_MAX);
	ckpt_pageset_add(set, 55, 1);
	KUNIT_ASSERT_EQ(test, set->nr, CKPT_PAGESET_MAX);
	KUNIT_EXPECT_EQ(test, set->range[5].first, 50ULL);
	KUNIT_EXPECT_EQ(test, set->range[5].pages, 6ULL);
	KUNIT_EXPECT_EQ(test, set->range[6].first, 60ULL);
	KUNIT_EXPECT_EQ(test, set->range[CKPT_PAGESET_MAX - 1].first,
			10ULL * (CKPT_PAGESET_MAX - 1));
}

static void whole_stays_whole(struct kunit *test)
{
	struct ckpt_pageset *set = new_set(test), *other = new_set(test);

	ckpt_pageset_add(other, 3, 1);
	set->whole = true;
	ckpt_pageset_join(set, other);
	KUNIT_EXPECT_TRUE(test, set->whole);
	ckpt_pageset_join(other, set);
	KUNIT_EXPECT_TRUE(test, other->whole);
	ckpt_pageset_clear(set);
	KUNIT_EXPECT_FALSE(test, set->whole);
	KUNIT_EXPECT_EQ(test, set->nr, 0U);
}

static void check(struct kunit *test, const struct ckpt_pageset *set, const unsigned long *truth)
{
	DECLARE_BITMAP(have, PAGES) = {};
	u64 end = 0;
	u32 i;

	KUNIT_ASSERT_LE(test, set->nr, CKPT_PAGESET_MAX);
	for (i = 0; i < set->nr; i++) {
		KUNIT_ASSERT_GT(test, set->range[i].pages, 0ULL);
		if (i)
			KUNIT_ASSERT_GT(test, set->range[i].first, end);
		end = set->range[i].first + set->range[i].pages;
		KUNIT_ASSERT_LE(test, end, (u64)PAGES);
		bitmap_set(have, set->range[i].first, set->range[i].pages);
	}
	KUNIT_EXPECT_TRUE(test, bitmap_subset(truth, have, PAGES));
	/* Below the bound it is exact. */
	if (bitmap_weight(truth, PAGES) <= CKPT_PAGESET_MAX)
		KUNIT_EXPECT_TRUE(test, bitmap_equal(truth, have, PAGES));
}

static void random_adds_lose_nothing(struct kunit *test)
{
	unsigned long *truth = kunit_kzalloc(test, BITS_TO_LONGS(PAGES) * sizeof(long), GFP_KERNEL);
	struct ckpt_pageset *set = new_set(test), *other = new_set(test);
	struct rnd_state rnd;
	u32 seed, i, first, pages;

	KUNIT_ASSERT_NOT_NULL(test, truth);
	for (seed = 1; seed <= 30; seed++) {
		prandom_seed_state(&rnd, seed);
		bitmap_zero(truth, PAGES);
		ckpt_pageset_clear(set);
		ckpt_pageset_clear(other);
		for (i = 0; i < 400; i++) {
			first = prandom_u32_state(&rnd) % (PAGES - 8);
			pages = 1 + prandom_u32_state(&rnd) % (seed % 8 + 1);
			bitmap_set(truth, first, pages);
			ckpt_pageset_add(i % 3 ? set : other, first, pages);
			if (i % 50 == 49) {
				ckpt_pageset_join(set, other);
				check(test, set, truth);
			}
		}
	}
}

static struct kunit_case cases[] = {
	KUNIT_CASE(neighbours_are_one_range),
	KUNIT_CASE(a_bridge_joins_several),
	KUNIT_CASE(at_the_bound_the_nearest_join),
	KUNIT_CASE(whole_stays_whole),
	KUNIT_CASE(random_adds_lose_nothing),
	{}
};

static struct kunit_suite suite = {
	.name = "ckpt_pageset",
	.test_cases = cases,
};

kunit_test_suites(&suite);
MODULE_LICENSE("GPL");
