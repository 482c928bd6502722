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

static struct ckpt_mm *walked[2];

/* One more that walks @mm, until the end of the test. */
static struct ckpt_mm *join(struct kunit *test)
{
	struct ckpt_mm *m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, m);
	m->mm = (struct mm_struct *)mm;
	ckpt_witness_add(m);
	walked[walked[0] ? 1 : 0] = m;
	return m;
}

static void leave(struct kunit *test)
{
	int i;

	for (i = 0; i < 2; i++)
		if (walked[i])
			ckpt_witness_del(walked[i]);
	memset(walked, 0, sizeof(walked));
}

/* There is one place, and no other. */
static void expect_place(struct kunit *test, struct ckpt_mm *m, u64 start, u64 end)
{
	struct ckpt_range place[CKPT_PLACES_MAX] = {};

	KUNIT_EXPECT_EQ(test, ckpt_witness_places(m, place), 1U);
	KUNIT_EXPECT_EQ(test, place[0].start, start);
	KUNIT_EXPECT_EQ(test, place[0].end, end);
}

static void expect_none(struct kunit *test, struct ckpt_mm *m)
{
	struct ckpt_range place[CKPT_PLACES_MAX];

	KUNIT_EXPECT_EQ(test, ckpt_witness_places(m, place), 0U);
}

static void told_to_all_who_walk_it(struct kunit *test)
{
	struct ckpt_mm *one = join(test), *two = join(test);

	ckpt_witness_moved(mm, AT(4), AT(6));
	ckpt_witness_moved(other, AT(8), AT(9));
	expect_place(test, one, AT(4), AT(6));
	expect_none(test, one);
	expect_place(test, two, AT(4), AT(6));
	leave(test);
	ckpt_witness_moved(mm, AT(4), AT(6));
	expect_none(test, one);
}

static void what_goes_on_is_one_place(struct kunit *test)
{
	struct ckpt_mm *m = join(test);
	u64 page;

	for (page = 10; page < 1000; page++)
		ckpt_witness_moved(mm, AT(page), AT(page + 1));
	ckpt_witness_moved(mm, AT(20), AT(30));
	for (page = 9; page > 4; page--)
		ckpt_witness_moved(mm, AT(page), AT(page + 1));
	expect_place(test, m, AT(5), AT(1000));
}

/* Those for which there is no room are within the others. */
static void none_of_many_is_lost(struct kunit *test)
{
	struct ckpt_range place[CKPT_PLACES_MAX] = {};
	struct ckpt_mm *m = join(test);
	u64 i, far = 1ULL << 30, pages = 0;
	u32 nr, k;

	for (i = 0; i < CKPT_PLACES_MAX; i++)
		ckpt_witness_moved(mm, AT(i * far), AT(i * far + 1));
	/* nearer to the one before, and to the one behind */
	for (i = 0; i + 1 < CKPT_PLACES_MAX; i++) {
		ckpt_witness_moved(mm, AT(i * far + 10), AT(i * far + 12));
		ckpt_witness_moved(mm, AT((i + 1) * far - 10), AT((i + 1) * far - 9));
	}
	nr = ckpt_witness_places(m, place);
	KUNIT_EXPECT_EQ(test, nr, (u32)CKPT_PLACES_MAX);
	for (k = 0; k < nr && k < CKPT_PLACES_MAX; k++) {
		KUNIT_EXPECT_EQ(test, place[k].start, AT(k * far - (k ? 10 : 0)));
		KUNIT_EXPECT_EQ(test, place[k].end, AT(k * far + (k + 1 < nr ? 12 : 1)));
		pages += (place[k].end - place[k].start) >> CKPT_PAGE_SHIFT;
	}
	KUNIT_EXPECT_LT(test, pages, 23ULL * CKPT_PLACES_MAX);
	expect_none(test, m);
}

static void a_write_is_told_until_after_its_end(struct kunit *test)
{
	struct ckpt_mm *m = join(test);
	u64 one, two;

	one = ckpt_witness_write_begins(mm, AT(4), AT(5));
	two = ckpt_witness_write_begins(mm, AT(4), AT(5));
	KUNIT_EXPECT_NE(test, one, two);
	expect_place(test, m, AT(4), AT(5));
	expect_place(test, m, AT(4), AT(5));
	ckpt_witness_write_ends(mm, AT(4), AT(5), one);
	expect_place(test, m, AT(4), AT(5));
	expect_place(test, m, AT(4), AT(5));
	ckpt_witness_write_ends(mm, AT(4), AT(5), two);
	expect_place(test, m, AT(4), AT(5));
	expect_none(test, m);
}

/* Its end is heard, and is not taken for that of another one. */
static void one_that_began_before_there_was_a_walk(struct kunit *test)
{
	u64 before = ckpt_witness_write_begins(mm, AT(4), AT(5)), during;
	struct ckpt_mm *m = join(test);

	during = ckpt_witness_write_begins(mm, AT(8), AT(9));
	expect_place(test, m, AT(8), AT(9));
	ckpt_witness_write_ends(mm, AT(4), AT(5), before);
	KUNIT_EXPECT_EQ(test, m->nr_places, 2U);
	m->nr_places = 1;
	expect_place(test, m, AT(8), AT(9));
	expect_place(test, m, AT(8), AT(9));
	ckpt_witness_write_ends(mm, AT(8), AT(9), during);
	expect_place(test, m, AT(8), AT(9));
	expect_none(test, m);
}

static struct kunit_case witness_cases[] = {
	KUNIT_CASE(told_to_all_who_walk_it),
	KUNIT_CASE(what_goes_on_is_one_place),
	KUNIT_CASE(none_of_many_is_lost),
	KUNIT_CASE(a_write_is_told_until_after_its_end),
	KUNIT_CASE(one_that_began_before_there_was_a_walk),
	{ }
};

static struct kunit_suite witness_suite = {
	.name = "ckpt_witness",
	.exit = leave,
	.test_cases = witness_cases,
};
kunit_test_suite(witness_suite);
MODULE_LICENSE("GPL");
