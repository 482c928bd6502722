// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit suite of kmod/told.c: a shared page is told once, and never left out untold
 *
 * needs: told.c dirty.c ranges.c
 */
#include <kunit/test.h>

#include "limits.h"
#include "told.h"

#define AT(page) ((u64)(page) << CKPT_PAGE_SHIFT)

static const int inodes[2];

/**
 * struct world - one address space of a round
 * @told: of the round
 * @areas: of the address space, and so on
 */
struct world {
	struct ckpt_told told;
	struct ckpt_areas areas;
	struct ckpt_runs runs;
};

static struct world *world(struct kunit *test)
{
	struct world *w = kunit_kzalloc(test, sizeof(*w), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, w);
	ckpt_told_init(&w->told);
	return w;
}

static void clear(struct world *w)
{
	ckpt_areas_free(&w->areas);
	ckpt_runs_free(&w->runs);
}

static void end(struct world *w)
{
	clear(w);
	ckpt_told_free(&w->told);
}

/* An area of 100 pages at page @at that maps @pgoff on of an inode. */
static void map(struct kunit *test, struct world *w, u64 at, u64 pgoff, const int *inode)
{
	struct ckpt_area area = {
		.start = AT(at), .end = AT(at + 100), .pgoff = pgoff, .dev = 1, .ino = 2,
		.inode = inode, .flags = CKPT_AREA_SHARED | CKPT_AREA_FILE, .run = w->runs.nr,
	};

	KUNIT_ASSERT_EQ(test, ckpt_areas_add(&w->areas, &area, 100), 0);
}

/* Pages of the area mapped last. */
static void page(struct kunit *test, struct world *w, u64 at, u32 pages, u16 flags)
{
	struct ckpt_area *area = &w->areas.area[w->areas.nr - 1];

	KUNIT_ASSERT_EQ(test, ckpt_runs_reserve(&w->runs, 1, 1000), 0);
	ckpt_runs_add(&w->runs, area->run, AT(at), pages, CKPT_PAGE_FILE, flags);
	area->nr_runs = w->runs.nr - area->run;
}

static void guards(struct kunit *test, struct world *w, u64 at, u32 pages)
{
	struct ckpt_area *area = &w->areas.area[w->areas.nr - 1];

	KUNIT_ASSERT_EQ(test, ckpt_runs_reserve(&w->runs, 1, 1000), 0);
	ckpt_runs_add(&w->runs, area->run, AT(at), pages, CKPT_PAGE_GUARD, 0);
	area->nr_runs = w->runs.nr - area->run;
}

static void expect_run(struct kunit *test, const struct world *w, u32 i, u64 at, u32 pages)
{
	KUNIT_ASSERT_LT(test, i, w->runs.nr);
	KUNIT_EXPECT_EQ(test, w->runs.run[i].start, AT(at));
	KUNIT_EXPECT_EQ(test, w->runs.run[i].pages, pages);
}

static void second_mapping_tells_the_rest(struct kunit *test)
{
	struct world *w = world(test);
	struct ckpt_told_count count;

	map(test, w, 1000, 0, inodes);
	page(test, w, 1010, 10, CKPT_RUN_DIRTY);
	count = ckpt_told_once(&w->told, &w->areas, &w->runs);
	KUNIT_EXPECT_EQ(test, count.pages, 0ULL);
	KUNIT_EXPECT_FALSE(test, w->areas.area[0].flags & CKPT_AREA_TOLD);
	expect_run(test, w, 0, 1010, 10);

	/* Another process, elsewhere, from page 5 of the file on: 8 to 27 of it. */
	clear(w);
	map(test, w, 5000, 5, inodes);
	page(test, w, 5003, 20, CKPT_RUN_DIRTY);
	count = ckpt_told_once(&w->told, &w->areas, &w->runs);
	KUNIT_EXPECT_EQ(test, count.pages, 10ULL);
	KUNIT_EXPECT_EQ(test, count.dirty, 10ULL);
	KUNIT_EXPECT_TRUE(test, w->areas.area[0].flags & CKPT_AREA_TOLD);
	KUNIT_EXPECT_EQ(test, w->areas.area[0].nr_runs, 2U);
	expect_run(test, w, 0, 5003, 2);
	expect_run(test, w, 1, 5015, 8);

	/* And a third that has all of them. */
	clear(w);
	map(test, w, 7000, 0, inodes);
	page(test, w, 7008, 20, 0);
	count = ckpt_told_once(&w->told, &w->areas, &w->runs);
	KUNIT_EXPECT_EQ(test, count.pages, 20ULL);
	KUNIT_EXPECT_EQ(test, count.dirty, 0ULL);
	KUNIT_EXPECT_EQ(test, w->runs.nr, 0U);
	end(w);
}

static void two_mappings_of_one_process(struct kunit *test)
{
	struct world *w = world(test);

	map(test, w, 1000, 0, inodes);
	page(test, w, 1000, 4, 0);
	map(test, w, 2000, 2, inodes);
	page(test, w, 2000, 4, 0);
	ckpt_told_once(&w->told, &w->areas, &w->runs);
	KUNIT_EXPECT_EQ(test, w->areas.area[1].run, 1U);
	KUNIT_EXPECT_EQ(test, w->areas.area[1].nr_runs, 1U);
	expect_run(test, w, 0, 1000, 4);
	expect_run(test, w, 1, 2002, 2);
	end(w);
}

static void others_are_left_alone(struct kunit *test)
{
	struct world *w = world(test);

	map(test, w, 1000, 0, inodes);
	page(test, w, 1000, 4, 0);
	/* Another inode of the same number (a subvolume), and private memory of the first. */
	map(test, w, 2000, 0, inodes + 1);
	page(test, w, 2000, 4, 0);
	map(test, w, 3000, 0, inodes);
	w->areas.area[2].flags = CKPT_AREA_FILE;
	page(test, w, 3000, 4, 0);
	ckpt_told_once(&w->told, &w->areas, &w->runs);
	KUNIT_EXPECT_EQ(test, w->runs.nr, 3U);
	expect_run(test, w, 1, 2000, 4);
	expect_run(test, w, 2, 3000, 4);
	KUNIT_EXPECT_FALSE(test, w->areas.area[2].flags & CKPT_AREA_TOLD);
	/* The memory and the number of the first, which is gone: a file made since. */
	clear(w);
	map(test, w, 1000, 0, inodes);
	w->areas.area[0].generation = 7;
	page(test, w, 1000, 4, 0);
	ckpt_told_once(&w->told, &w->areas, &w->runs);
	expect_run(test, w, 0, 1000, 4);
	end(w);
}

/* Where one process has a guard another one has the page, and the reverse. */
static void guards_are_of_one_mapping(struct kunit *test)
{
	struct world *w = world(test);

	map(test, w, 1000, 0, inodes);
	guards(test, w, 1000, 4);
	page(test, w, 1004, 4, 0);
	ckpt_told_once(&w->told, &w->areas, &w->runs);
	expect_run(test, w, 0, 1000, 4);
	expect_run(test, w, 1, 1004, 4);
	clear(w);
	map(test, w, 5000, 0, inodes);
	page(test, w, 5000, 4, 0);
	guards(test, w, 5004, 4);
	ckpt_told_once(&w->told, &w->areas, &w->runs);
	KUNIT_EXPECT_EQ(test, w->runs.nr, 2U);
	expect_run(test, w, 0, 5000, 4);
	expect_run(test, w, 1, 5004, 4);
	KUNIT_EXPECT_EQ(test, w->runs.run[1].state, CKPT_PAGE_GUARD);
	end(w);
}

/* Over the bound what was told is forgotten, and never taken for everything. */
static void over_the_bound_pages_are_told_twice(struct kunit *test)
{
	struct world *w = world(test);
	u64 at;

	for (at = 0; at <= CKPT_TOLD_MAX; at++) {
		clear(w);
		map(test, w, 1000, 2 * at, inodes);
		page(test, w, 1000, 1, 0);
		ckpt_told_once(&w->told, &w->areas, &w->runs);
		expect_run(test, w, 0, 1000, 1);
	}
	clear(w);
	map(test, w, 1000, 0, inodes);
	page(test, w, 1000, 2, 0);
	ckpt_told_once(&w->told, &w->areas, &w->runs);
	expect_run(test, w, 0, 1000, 2);
	end(w);
}

/* Without memory pages are told twice; what was not told is never left out. */
static void without_memory_nothing_is_left_out(struct kunit *test)
{
	struct world *w = world(test);
	struct ckpt_told_count count;

	map(test, w, 1000, 0, inodes);
	page(test, w, 1000, 4, 0);
	current->make_it_fail = 1;
	count = ckpt_told_once(&w->told, &w->areas, &w->runs);
	current->make_it_fail = 0;
	KUNIT_EXPECT_EQ(test, count.pages, 0ULL);
	KUNIT_EXPECT_EQ(test, w->areas.area[0].nr_runs, 1U);
	expect_run(test, w, 0, 1000, 4);
	/* It was told, but is not known to be: once more. */
	count = ckpt_told_once(&w->told, &w->areas, &w->runs);
	KUNIT_EXPECT_EQ(test, count.pages, 0ULL);
	expect_run(test, w, 0, 1000, 4);
	current->make_it_fail = 1;
	count = ckpt_told_once(&w->told, &w->areas, &w->runs);
	current->make_it_fail = 0;
	KUNIT_EXPECT_EQ(test, count.pages, 0ULL);
	KUNIT_EXPECT_EQ(test, w->runs.nr, 1U);
	end(w);
}

static struct kunit_case told_cases[] = {
	KUNIT_CASE(second_mapping_tells_the_rest),
	KUNIT_CASE(two_mappings_of_one_process),
	KUNIT_CASE(others_are_left_alone),
	KUNIT_CASE(guards_are_of_one_mapping),
	KUNIT_CASE(over_the_bound_pages_are_told_twice),
	KUNIT_CASE(without_memory_nothing_is_left_out),
	{}
};

static struct kunit_suite told_suite = {
	.name = "ckpt_told",
	.test_cases = told_cases,
};
kunit_test_suite(told_suite);
MODULE_LICENSE("GPL");
