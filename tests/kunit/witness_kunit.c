// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit suite of kmod/witness.c: the places that probes tell of
 *
 * kernel: debug
 */
#include <kunit/test.h>

#include "limits.h"
#include "members.h"
#include "witness.h"

#define AT(page) ((u64)(page) << CKPT_PAGE_SHIFT)

/* No address space is behind these: they are only compared. */
static char address_space[2];
static const struct mm_struct *const mm = (const struct mm_struct *)&address_space[0];
static const struct mm_struct *const other = (const struct mm_struct *)&address_space[1];

static struct ckpt_mm *join(struct kunit *test)
{
	struct ckpt_mm *m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, m);
	m->mm = (struct mm_struct *)mm;
	ckpt_witness_add(m);
	return m;
}

static void told_to_all_who_walk_it(struct kunit *test)
{
	struct ckpt_mm *one = join(test), *two = join(test);
	struct ckpt_range place[CKPT_PLACES_MAX];

	ckpt_witness_place(mm, AT(4), AT(6), 0);
	ckpt_witness_place(other, AT(8), AT(9), 0);
	KUNIT_EXPECT_EQ(test, ckpt_witness_places(one, place), 1U);
	KUNIT_EXPECT_EQ(test, place[0].start, AT(4));
	KUNIT_EXPECT_EQ(test, place[0].end, AT(6));
	KUNIT_EXPECT_EQ(test, ckpt_witness_places(one, place), 0U);
	KUNIT_EXPECT_EQ(test, ckpt_witness_places(two, place), 1U);
	ckpt_witness_del(one);
	ckpt_witness_del(two);
	ckpt_witness_place(mm, AT(4), AT(6), 0);
	KUNIT_EXPECT_EQ(test, ckpt_witness_places(one, place), 0U);
}

static void what_goes_on_is_one_place(struct kunit *test)
{
	struct ckpt_range place[CKPT_PLACES_MAX];
	struct ckpt_mm *m = join(test);
	u64 page;

	for (page = 10; page < 1000; page++)
		ckpt_witness_place(mm, AT(page), AT(page + 1), 0);
	ckpt_witness_place(mm, AT(20), AT(30), 0);	/* within it */
	ckpt_witness_place(mm, AT(9), AT(10), 0);	/* before it */
	KUNIT_ASSERT_EQ(test, ckpt_witness_places(m, place), 2U);
	KUNIT_EXPECT_EQ(test, place[0].start, AT(10));
	KUNIT_EXPECT_EQ(test, place[0].end, AT(1000));
	KUNIT_EXPECT_EQ(test, place[1].start, AT(9));
	KUNIT_EXPECT_EQ(test, place[1].end, AT(10));
	ckpt_witness_del(m);
}

static void too_many_are_said_to_be(struct kunit *test)
{
	struct ckpt_range place[CKPT_PLACES_MAX];
	struct ckpt_mm *m = join(test);
	u64 i;

	for (i = 0; i < CKPT_PLACES_MAX; i++)
		ckpt_witness_place(mm, AT(2 * i), AT(2 * i + 1), 0);
	KUNIT_EXPECT_EQ(test, ckpt_witness_places(m, place), (unsigned int)CKPT_PLACES_MAX);
	for (i = 0; i < 3 * CKPT_PLACES_MAX; i++)
		ckpt_witness_place(mm, AT(2 * i), AT(2 * i + 1), 0);
	KUNIT_EXPECT_GT(test, ckpt_witness_places(m, place), (unsigned int)CKPT_PLACES_MAX);
	KUNIT_EXPECT_EQ(test, ckpt_witness_places(m, place), 0U);
	ckpt_witness_del(m);
}

static void a_write_is_told_until_after_its_end(struct kunit *test)
{
	struct ckpt_range place[CKPT_PLACES_MAX];
	struct ckpt_mm *m = join(test);

	ckpt_witness_place(mm, AT(4), AT(5), 1);
	ckpt_witness_place(mm, AT(4), AT(5), 1);	/* by two at a time */
	KUNIT_EXPECT_EQ(test, ckpt_witness_places(m, place), 1U);
	KUNIT_EXPECT_EQ(test, ckpt_witness_places(m, place), 1U);
	ckpt_witness_place(mm, AT(4), AT(5), -1);
	KUNIT_EXPECT_EQ(test, ckpt_witness_places(m, place), 1U);
	KUNIT_EXPECT_EQ(test, ckpt_witness_places(m, place), 1U);
	ckpt_witness_place(mm, AT(4), AT(5), -1);
	KUNIT_EXPECT_EQ(test, ckpt_witness_places(m, place), 1U);
	KUNIT_EXPECT_EQ(test, ckpt_witness_places(m, place), 0U);
	ckpt_witness_del(m);
}

static void who_comes_during_a_write_hears_its_end(struct kunit *test)
{
	struct ckpt_range place[CKPT_PLACES_MAX];
	struct ckpt_mm *m;

	ckpt_witness_place(mm, AT(4), AT(5), 1);
	m = join(test);
	ckpt_witness_place(mm, AT(4), AT(5), -1);
	KUNIT_EXPECT_EQ(test, ckpt_witness_places(m, place), 1U);
	KUNIT_EXPECT_EQ(test, ckpt_witness_places(m, place), 0U);
	ckpt_witness_del(m);
}

static struct kunit_case witness_cases[] = {
	KUNIT_CASE(told_to_all_who_walk_it),
	KUNIT_CASE(what_goes_on_is_one_place),
	KUNIT_CASE(too_many_are_said_to_be),
	KUNIT_CASE(a_write_is_told_until_after_its_end),
	KUNIT_CASE(who_comes_during_a_write_hears_its_end),
	{ }
};

static struct kunit_suite witness_suite = {
	.name = "ckpt_witness",
	.test_cases = witness_cases,
};
kunit_test_suite(witness_suite);
MODULE_LICENSE("GPL");
