// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit suite of kmod/epoch.c: who may do what, and what a round that fails gives back
 *
 * needs: epoch.c dirty.c ranges.c told.c
 *
 * The walk, the list of address spaces and the file side are fakes, which fail when they are told
 * to and count what is asked of them.
 */
#include <kunit/test.h>
#include <linux/mm.h>
#include <linux/mm_inline.h>
#include <linux/slab.h>
#include <net/net_namespace.h>

#include "epoch.h"
#include "events.h"
#include "files.h"
#include "group.h"
#include "limits.h"
#include "members.h"
#include "pagewalk.h"
#include "tlb.h"

#define PORT 77

static struct fake {
	struct ckpt_group group;
	struct ckpt_mm m;
	int update_err, walk_err;
	unsigned int flushes, late, takes, retakes, aborts, commits;
	bool gone;
	u64 page;	/* that the next walk finds dirty */
	struct mm_struct mm;	/* ends in an array */
} *fake;

int ckpt_members_update(struct ckpt_group *group, struct netlink_ext_ack *extack)
{
	return fake->update_err;
}

void ckpt_members_free(struct ckpt_mm *m)
{
	list_del_init(&m->link);
}

void ckpt_members_gone(struct ckpt_group *group, struct ckpt_mm *m)
{
	ckpt_members_free(m);
}

int ckpt_walk_mm(struct ckpt_mm *m, bool final, struct ckpt_told *told)
{
	struct ckpt_runs runs = {};

	m->flushing = true;
	inc_tlb_flush_pending(m->mm);
	if (fake->walk_err)
		return fake->walk_err;
	ckpt_ranges_merge(&m->taken, &m->carry, CKPT_RANGES_MAX);
	if (!fake->page)
		return 0;
	if (ckpt_runs_reserve(&runs, 1, 10))
		return -ENOMEM;
	ckpt_runs_add(&runs, 0, fake->page, 1, CKPT_PAGE_ANON, CKPT_RUN_DIRTY);
	ckpt_ranges_add_runs(&m->taken, &runs, CKPT_RANGES_MAX);
	ckpt_runs_free(&runs);
	return 0;
}

/* Until it has come, the memory stays and the kernel knows of a flush to come. */
void ckpt_tlb_flush(void)
{
	fake->flushes++;
	fake->late += !mm_tlb_flush_pending(&fake->mm) || atomic_read(&fake->mm.mm_users) < 2;
}

void ckpt_files_take(struct ckpt_files *files, bool final)
{
	fake->takes++;
}

void ckpt_files_retake(struct ckpt_files *files)
{
	fake->retakes++;
}

void ckpt_files_abort(struct ckpt_files *files)
{
	fake->aborts++;
}

void ckpt_files_commit(struct ckpt_files *files)
{
	fake->commits++;
}

void ckpt_events_committed(struct ckpt_group *group)
{
}

enum ckpt_group_state ckpt_group_state(const struct ckpt_group *group)
{
	return fake->gone ? CKPT_GROUP_GONE : CKPT_GROUP_IDLE;
}

static int set_up(struct kunit *test)
{
	fake = kunit_kzalloc(test, sizeof(*fake), GFP_KERNEL);
	if (!fake)
		return -ENOMEM;
	mutex_init(&fake->group.lock);
	ckpt_epoch_init(&fake->group.epoch);
	atomic_set(&fake->mm.mm_users, 1);
	fake->m.mm = &fake->mm;
	list_add(&fake->m.link, &fake->group.epoch.mms);
	mutex_lock(&fake->group.lock);
	return 0;
}

static void tear_down(struct kunit *test)
{
	ckpt_ranges_free(&fake->m.taken);
	ckpt_ranges_free(&fake->m.carry);
	mutex_unlock(&fake->group.lock);
	mutex_destroy(&fake->group.lock);
}

static int begin(u64 page)
{
	fake->page = page;
	return ckpt_epoch_begin(&fake->group, NULL, PORT, NULL);
}

static int next(u64 page)
{
	fake->page = page;
	return ckpt_epoch_next(&fake->group, NULL, PORT, 0, NULL);
}

static bool in(const struct ckpt_ranges *set, u64 page)
{
	u32 cursor = 0;
	u64 until;

	return ckpt_ranges_cover(set, &cursor, page, &until);
}

/* Nothing held, nothing pending, one flush for each of @rounds. */
static void expect_released(struct kunit *test, unsigned int rounds)
{
	KUNIT_EXPECT_EQ(test, atomic_read(&fake->mm.mm_users), 1);
	KUNIT_EXPECT_FALSE(test, mm_tlb_flush_pending(&fake->mm));
	KUNIT_EXPECT_EQ(test, fake->flushes, rounds);
	KUNIT_EXPECT_EQ(test, fake->late, 0);
}

static void commit_forgets_what_was_taken(struct kunit *test)
{
	static const u8 id[CKPT_ID_LEN] = { 5 };

	KUNIT_ASSERT_EQ(test, begin(0x1000), 0);
	KUNIT_ASSERT_EQ(test, next(0x5000), 0);
	KUNIT_EXPECT_TRUE(test, in(&fake->m.taken, 0x1000) && in(&fake->m.taken, 0x5000));
	KUNIT_EXPECT_EQ(test, ckpt_epoch_commit(&fake->group, NULL, PORT, 1, id, NULL), 0);
	KUNIT_EXPECT_TRUE(test, !fake->m.taken.whole && !fake->m.taken.nr);
	KUNIT_EXPECT_TRUE(test, !fake->m.carry.whole && !fake->m.carry.nr);
	KUNIT_EXPECT_EQ(test, fake->group.epoch.id[0], 5);
	KUNIT_EXPECT_EQ(test, fake->commits, 1U);
	expect_released(test, 2);
}

static void abort_gives_back(struct kunit *test)
{
	KUNIT_ASSERT_EQ(test, begin(0x1000), 0);
	KUNIT_EXPECT_EQ(test, ckpt_epoch_abort(&fake->group, NULL, PORT, 1, NULL), 0);
	KUNIT_EXPECT_TRUE(test, !fake->m.taken.whole && !fake->m.taken.nr);
	KUNIT_EXPECT_TRUE(test, in(&fake->m.carry, 0x1000));
	KUNIT_EXPECT_EQ(test, fake->aborts, 1U);
}

static void others_are_refused(struct kunit *test)
{
	static const u8 id[CKPT_ID_LEN];
	struct ckpt_group *group = &fake->group;

	KUNIT_EXPECT_EQ(test, next(0), -EINVAL);
	KUNIT_ASSERT_EQ(test, begin(0x1000), 0);
	KUNIT_EXPECT_EQ(test, begin(0), -EBUSY);
	KUNIT_EXPECT_EQ(test, ckpt_epoch_next(group, NULL, PORT + 1, 0, NULL), -EBUSY);
	KUNIT_EXPECT_EQ(test, ckpt_epoch_commit(group, NULL, PORT + 1, 1, id, NULL), -EBUSY);
	KUNIT_EXPECT_EQ(test, ckpt_epoch_abort(group, &init_net, PORT, 1, NULL), -EBUSY);
	KUNIT_EXPECT_EQ(test, ckpt_epoch_commit(group, NULL, PORT, 2, id, NULL), -ESTALE);
	ckpt_epoch_owner_gone(group, NULL, PORT + 1);
	KUNIT_EXPECT_TRUE(test, group->epoch.open);
	KUNIT_EXPECT_TRUE(test, in(&fake->m.taken, 0x1000));
	ckpt_epoch_owner_gone(group, NULL, PORT);
	KUNIT_EXPECT_FALSE(test, group->epoch.open);
	KUNIT_EXPECT_TRUE(test, in(&fake->m.carry, 0x1000));
	fake->gone = true;
	KUNIT_EXPECT_EQ(test, begin(0), -ENODEV);
}

static void begin_that_fails_opens_nothing(struct kunit *test)
{
	fake->m.carry.whole = true;
	fake->update_err = -ENOMEM;
	KUNIT_EXPECT_EQ(test, begin(0x1000), -ENOMEM);
	KUNIT_EXPECT_FALSE(test, fake->group.epoch.open);
	expect_released(test, 0);
	fake->update_err = 0;
	fake->walk_err = -EINTR;
	KUNIT_EXPECT_EQ(test, begin(0x1000), -EINTR);
	KUNIT_EXPECT_FALSE(test, fake->group.epoch.open);
	KUNIT_EXPECT_EQ(test, fake->takes, 0U);
	KUNIT_EXPECT_TRUE(test, fake->m.carry.whole);
	expect_released(test, 1);
}

/* Whether in its walk or before it: all that the epoch took is told again. */
static void next_that_fails_tells_again(struct kunit *test)
{
	static const u8 id[CKPT_ID_LEN];

	KUNIT_ASSERT_EQ(test, begin(0x1000), 0);
	fake->update_err = -ENOMEM;
	KUNIT_EXPECT_EQ(test, next(0), -ENOMEM);
	KUNIT_EXPECT_TRUE(test, in(&fake->m.carry, 0x1000));
	KUNIT_EXPECT_EQ(test, fake->retakes, 1U);
	fake->update_err = 0;
	fake->walk_err = -ENOMEM;
	KUNIT_EXPECT_EQ(test, next(0), -ENOMEM);
	KUNIT_EXPECT_TRUE(test, in(&fake->m.carry, 0x1000));
	KUNIT_EXPECT_EQ(test, fake->retakes, 2U);
	KUNIT_EXPECT_TRUE(test, fake->group.epoch.open);
	/* an owner that does not care commits nothing of it */
	KUNIT_EXPECT_EQ(test, ckpt_epoch_commit(&fake->group, NULL, PORT, 1, id, NULL), 0);
	KUNIT_EXPECT_TRUE(test, in(&fake->m.carry, 0x1000));
	expect_released(test, 2);
}

static void untold_rounds_are_told_again(struct kunit *test)
{
	KUNIT_ASSERT_EQ(test, begin(0x1000), 0);
	ckpt_epoch_untold(&fake->group);
	KUNIT_EXPECT_FALSE(test, fake->group.epoch.open);
	KUNIT_EXPECT_TRUE(test, in(&fake->m.carry, 0x1000));
	KUNIT_ASSERT_EQ(test, begin(0), 0);
	KUNIT_ASSERT_EQ(test, next(0x5000), 0);
	ckpt_epoch_untold(&fake->group);
	KUNIT_EXPECT_TRUE(test, fake->group.epoch.open);
	KUNIT_EXPECT_TRUE(test, in(&fake->m.carry, 0x1000) && in(&fake->m.carry, 0x5000));
	KUNIT_EXPECT_EQ(test, fake->retakes, 1U);
}

/* Where the set of what was taken finds no memory, the whole address space is given back. */
static void given_back_without_memory_is_everything(struct kunit *test)
{
	KUNIT_ASSERT_EQ(test, begin(0x1000), 0);
	current->make_it_fail = 1;
	ckpt_epoch_owner_gone(&fake->group, NULL, PORT);
	current->make_it_fail = 0;
	KUNIT_EXPECT_FALSE(test, fake->group.epoch.open);
	KUNIT_EXPECT_TRUE(test, fake->m.carry.whole);
}

static void destroyed_epoch_forgets_its_mms(struct kunit *test)
{
	KUNIT_ASSERT_EQ(test, begin(0x1000), 0);
	ckpt_epoch_destroy(&fake->group);
	KUNIT_EXPECT_TRUE(test, list_empty(&fake->group.epoch.mms));
	KUNIT_EXPECT_FALSE(test, fake->group.epoch.open);
	KUNIT_EXPECT_EQ(test, fake->aborts, 1U);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(commit_forgets_what_was_taken),
	KUNIT_CASE(abort_gives_back),
	KUNIT_CASE(others_are_refused),
	KUNIT_CASE(begin_that_fails_opens_nothing),
	KUNIT_CASE(next_that_fails_tells_again),
	KUNIT_CASE(untold_rounds_are_told_again),
	KUNIT_CASE(given_back_without_memory_is_everything),
	KUNIT_CASE(destroyed_epoch_forgets_its_mms),
	{}
};

static struct kunit_suite suite = {
	.name = "ckpt_epoch",
	.init = set_up,
	.exit = tear_down,
	.test_cases = cases,
};
kunit_test_suites(&suite);
MODULE_LICENSE("GPL");
