// SPDX-License-Identifier: GPL-2.0
/*
 * Change sets: merging, two-phase epochs, the watch list, the bound
 */
#include <kunit/test.h>
#include <linux/prandom.h>
#include <linux/slab.h>

#include <uapi/linux/ckpt.h>

#include "changeset.h"

#define BITS 4
#define NODES 64

struct fixture {
	struct hlist_head buckets[1 << BITS];
	struct ckpt_node nodes[NODES];
	struct ckpt_changeset set;
};

static struct ckpt_changeset *new_set(struct kunit *test, unsigned long limit)
{
	struct fixture *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, f);
	ckpt_changeset_init(&f->set, f->buckets, BITS, limit);
	ckpt_changeset_feed(&f->set, f->nodes, NODES);
	return &f->set;
}

static bool record(struct ckpt_changeset *set, u64 ino, u32 mask, u32 flags)
{
	struct ckpt_change change = {
		.dev = 1, .ino = ino, .generation = 7, .mask = mask, .flags = flags
	};

	return ckpt_changeset_record(set, &change);
}

static bool watch(struct ckpt_changeset *set, u64 ino, u32 flags)
{
	struct ckpt_change key = { .dev = 1, .ino = ino, .generation = 7, .flags = flags };

	return ckpt_changeset_watch(set, &key);
}

static void drop(struct ckpt_changeset *set)
{
	while (ckpt_changeset_round_drop(set))
		;
}

static void take(struct ckpt_changeset *set)
{
	drop(set);
	ckpt_changeset_round_begin(set);
	while (ckpt_changeset_round_move(set))
		;
}

static void commit(struct ckpt_changeset *set)
{
	drop(set);
	while (ckpt_changeset_commit(set))
		;
}

static void abort_epoch(struct ckpt_changeset *set)
{
	drop(set);
	while (ckpt_changeset_abort(set))
		;
}

/* One look: ask for all, @busy is found to have a writer (0: nobody), settle. */
static void look(struct ckpt_changeset *set, u64 busy)
{
	unsigned long left = set->nr_watched;

	while (left)
		left = ckpt_changeset_ask(set, left);
	if (busy)
		watch(set, busy, 0);
	left = set->nr_watched;
	while (left)
		left = ckpt_changeset_settle(set, left);
}

static void expect(struct kunit *test, struct ckpt_changeset *set, unsigned long index, u64 ino,
		   u32 mask, u32 flags)
{
	struct ckpt_change change = { 0 };

	KUNIT_ASSERT_EQ(test, ckpt_changeset_round_get(set, index, &change), 0);
	KUNIT_EXPECT_EQ(test, change.dev, 1);
	KUNIT_EXPECT_EQ(test, change.generation, 7);
	KUNIT_EXPECT_EQ(test, change.ino, ino);
	KUNIT_EXPECT_EQ(test, change.mask, mask);
	KUNIT_EXPECT_EQ(test, change.flags, flags);
}

static void expect_end(struct kunit *test, struct ckpt_changeset *set, unsigned long index)
{
	struct ckpt_change change;

	KUNIT_EXPECT_EQ(test, ckpt_changeset_round_get(set, index, &change), -ENOENT);
	KUNIT_EXPECT_EQ(test, set->nr_round, index);
}

static void record_merges_changes_of_one_inode(struct kunit *test)
{
	struct ckpt_changeset *set = new_set(test, NODES);

	record(set, 10, CKPT_INODE_DATA, CKPT_INODE_F_INSIDE);
	record(set, 11, CKPT_INODE_META, CKPT_INODE_F_INSIDE);
	record(set, 10, CKPT_INODE_META, CKPT_INODE_F_OUTSIDE);
	KUNIT_EXPECT_EQ(test, set->nr_live, 2);
	take(set);
	expect(test, set, 0, 10, CKPT_INODE_DATA | CKPT_INODE_META,
	       CKPT_INODE_F_INSIDE | CKPT_INODE_F_OUTSIDE);
	expect(test, set, 1, 11, CKPT_INODE_META, CKPT_INODE_F_INSIDE);
	expect_end(test, set, 2);
}

static void record_tells_keys_apart(struct kunit *test)
{
	struct ckpt_changeset *set = new_set(test, NODES);
	struct ckpt_change a = { .dev = 1, .ino = 5, .generation = 1, .mask = CKPT_INODE_DATA };
	struct ckpt_change b = { .dev = 1, .ino = 5, .generation = 2, .mask = CKPT_INODE_DATA };
	struct ckpt_change c = { .dev = 2, .ino = 5, .generation = 1, .mask = CKPT_INODE_DATA };

	KUNIT_EXPECT_FALSE(test, ckpt_changeset_may_know(set, &a));
	ckpt_changeset_record(set, &a);
	KUNIT_EXPECT_TRUE(test, ckpt_changeset_may_know(set, &a));
	KUNIT_EXPECT_TRUE(test, ckpt_changeset_knows(set, &a));
	KUNIT_EXPECT_FALSE(test, ckpt_changeset_knows(set, &b));
	KUNIT_EXPECT_FALSE(test, ckpt_changeset_knows(set, &c));
	ckpt_changeset_record(set, &b);
	ckpt_changeset_record(set, &c);
	KUNIT_EXPECT_EQ(test, set->nr_live, 3);
}

static void round_holds_what_came_since_the_last(struct kunit *test)
{
	struct ckpt_changeset *set = new_set(test, NODES);

	record(set, 1, CKPT_INODE_DATA, 0);
	record(set, 2, CKPT_INODE_DATA, 0);
	take(set);
	expect_end(test, set, 2);
	record(set, 2, CKPT_INODE_META, 0);
	record(set, 3, CKPT_INODE_ENTRIES, CKPT_INODE_F_DIR);
	take(set);
	expect(test, set, 0, 2, CKPT_INODE_META, 0);
	expect(test, set, 1, 3, CKPT_INODE_ENTRIES, CKPT_INODE_F_DIR);
	expect_end(test, set, 2);
	take(set);
	expect_end(test, set, 0);
}

static void round_get_goes_back_and_forth(struct kunit *test)
{
	struct ckpt_changeset *set = new_set(test, NODES);
	u64 ino;

	for (ino = 0; ino < 20; ino++)
		record(set, ino, CKPT_INODE_DATA, 0);
	take(set);
	expect(test, set, 13, 13, CKPT_INODE_DATA, 0);
	expect(test, set, 4, 4, CKPT_INODE_DATA, 0);
	expect(test, set, 4, 4, CKPT_INODE_DATA, 0);
	expect(test, set, 19, 19, CKPT_INODE_DATA, 0);
	expect_end(test, set, 20);
	expect(test, set, 0, 0, CKPT_INODE_DATA, 0);
}

/* No call holds the caller's lock over more than a chunk, and a drop may be seen half done. */
static void round_is_dropped_in_chunks(struct kunit *test)
{
	const unsigned long nr = 2 * CKPT_CHANGESET_CHUNK + 1;
	struct ckpt_node *nodes = kunit_kzalloc(test, nr * sizeof(*nodes), GFP_KERNEL);
	struct ckpt_changeset *set = new_set(test, NODES + nr);
	struct ckpt_change change;
	u64 ino;

	KUNIT_ASSERT_NOT_NULL(test, nodes);
	ckpt_changeset_feed(set, nodes, nr);
	for (ino = 1; ino <= nr; ino++)
		record(set, ino, CKPT_INODE_DATA, 0);
	take(set);
	expect(test, set, nr - 1, nr, CKPT_INODE_DATA, 0);
	KUNIT_EXPECT_TRUE(test, ckpt_changeset_round_drop(set));
	KUNIT_EXPECT_EQ(test, set->nr_round, nr - CKPT_CHANGESET_CHUNK);
	record(set, 1, CKPT_INODE_META, 0);
	record(set, nr, CKPT_INODE_META, 0);
	KUNIT_EXPECT_EQ(test, ckpt_changeset_round_get(set, nr - 1, &change), -ENOENT);
	expect(test, set, 0, CKPT_CHANGESET_CHUNK + 1, CKPT_INODE_DATA, 0);
	KUNIT_EXPECT_TRUE(test, ckpt_changeset_round_drop(set));
	KUNIT_EXPECT_FALSE(test, ckpt_changeset_round_drop(set));
	expect_end(test, set, 0);
	take(set);
	expect(test, set, 0, 1, CKPT_INODE_META, 0);
	expect(test, set, 1, nr, CKPT_INODE_META, 0);
	expect_end(test, set, 2);
	commit(set);
	KUNIT_EXPECT_EQ(test, set->spare, NODES + nr);
}

static void commit_forgets_what_was_taken(struct kunit *test)
{
	struct ckpt_changeset *set = new_set(test, NODES);

	record(set, 1, CKPT_INODE_DATA, 0);
	take(set);
	record(set, 2, CKPT_INODE_DATA, 0);
	record(set, 1, CKPT_INODE_META, 0);
	commit(set);
	expect_end(test, set, 0);
	KUNIT_EXPECT_EQ(test, set->nr_live, 2);
	take(set);
	expect(test, set, 0, 2, CKPT_INODE_DATA, 0);
	expect(test, set, 1, 1, CKPT_INODE_META, 0);
	commit(set);
	KUNIT_EXPECT_EQ(test, set->spare, NODES);
}

static void abort_merges_every_round_back(struct kunit *test)
{
	struct ckpt_changeset *set = new_set(test, NODES);

	record(set, 1, CKPT_INODE_DATA, CKPT_INODE_F_INSIDE);
	record(set, 2, CKPT_INODE_DATA, 0);
	take(set);
	record(set, 2, CKPT_INODE_META, 0);
	take(set);
	record(set, 1, CKPT_INODE_DELETED, CKPT_INODE_F_OUTSIDE);
	abort_epoch(set);
	expect_end(test, set, 0);
	KUNIT_EXPECT_EQ(test, set->nr_live, 2);
	take(set);
	expect(test, set, 0, 1, CKPT_INODE_DATA | CKPT_INODE_DELETED,
	       CKPT_INODE_F_INSIDE | CKPT_INODE_F_OUTSIDE);
	expect(test, set, 1, 2, CKPT_INODE_DATA | CKPT_INODE_META, 0);
	expect_end(test, set, 2);
	commit(set);
	KUNIT_EXPECT_EQ(test, set->spare, NODES);
}

static void over_the_bound_changes_count_as_lost(struct kunit *test)
{
	struct ckpt_changeset *set = new_set(test, 3);
	u64 ino;

	KUNIT_EXPECT_EQ(test, set->nodes, 3);
	for (ino = 1; ino <= 5; ino++)
		KUNIT_EXPECT_EQ(test, record(set, ino, CKPT_INODE_DATA, 0), ino <= 3);
	KUNIT_EXPECT_FALSE(test, watch(set, 9, 0));
	KUNIT_EXPECT_TRUE(test, record(set, 2, CKPT_INODE_META, 0));
	KUNIT_EXPECT_EQ(test, set->nr_live, 3);
	KUNIT_EXPECT_EQ(test, ckpt_changeset_lost(set), 3);
}

static void lost_is_forgotten_by_the_commit_of_a_later_take(struct kunit *test)
{
	struct ckpt_changeset *set = new_set(test, NODES);

	ckpt_changeset_lose(set);
	take(set);
	ckpt_changeset_lose(set);
	KUNIT_EXPECT_EQ(test, ckpt_changeset_lost(set), 2);
	commit(set);
	/* What was lost after the take is not in what was committed. */
	KUNIT_EXPECT_EQ(test, ckpt_changeset_lost(set), 1);
	take(set);
	abort_epoch(set);
	KUNIT_EXPECT_EQ(test, ckpt_changeset_lost(set), 1);
	take(set);
	/* Nobody heard of that take. */
	ckpt_changeset_lost_again(set);
	KUNIT_EXPECT_EQ(test, ckpt_changeset_lost(set), 1);
	commit(set);
	KUNIT_EXPECT_EQ(test, ckpt_changeset_lost(set), 1);
	take(set);
	commit(set);
	KUNIT_EXPECT_EQ(test, ckpt_changeset_lost(set), 0);
}

static void busy_inode_is_suspect_in_every_round(struct kunit *test)
{
	struct ckpt_changeset *set = new_set(test, NODES);
	int i;

	watch(set, 1, CKPT_INODE_F_OPEN);
	KUNIT_EXPECT_EQ(test, set->nr_live, 0);
	for (i = 0; i < 4; i++) {
		look(set, 1);
		take(set);
		expect(test, set, 0, 1, CKPT_INODE_SUSPECT, 0);
		expect_end(test, set, 1);
		commit(set);
	}
}

static void idle_inode_is_suspect_once_more(struct kunit *test)
{
	struct ckpt_changeset *set = new_set(test, NODES);

	watch(set, 1, CKPT_INODE_F_MAPPED);
	look(set, 0);
	take(set);
	expect(test, set, 0, 1, CKPT_INODE_SUSPECT, 0);
	/* A later round of the same epoch has no reason to name it again. */
	while (ckpt_changeset_settle(set, set->nr_watched))
		;
	take(set);
	expect_end(test, set, 0);
	commit(set);
	look(set, 0);
	take(set);
	expect(test, set, 0, 1, CKPT_INODE_SUSPECT, 0);
	commit(set);
	KUNIT_EXPECT_EQ(test, set->nr_watched, 0);
	KUNIT_EXPECT_EQ(test, set->spare, NODES);
}

static void writer_during_the_look_is_not_missed(struct kunit *test)
{
	struct ckpt_changeset *set = new_set(test, NODES);
	struct ckpt_change key = { .dev = 1, .ino = 1, .generation = 7 };

	watch(set, 1, 0);
	look(set, 0);
	KUNIT_EXPECT_EQ(test, ckpt_changeset_ask(set, set->nr_watched), 0);
	KUNIT_EXPECT_TRUE(test, ckpt_changeset_asks(set, &key));
	/* The look found no writer, then an event says there is one. */
	watch(set, 1, 0);
	KUNIT_EXPECT_FALSE(test, ckpt_changeset_asks(set, &key));
	while (ckpt_changeset_settle(set, set->nr_watched))
		;
	KUNIT_EXPECT_EQ(test, set->nr_watched, 1);
	look(set, 0);
	KUNIT_EXPECT_EQ(test, set->nr_watched, 1);
	look(set, 0);
	KUNIT_EXPECT_EQ(test, set->nr_watched, 0);
}

static void rotate_names_what_is_asked_for(struct kunit *test)
{
	struct ckpt_changeset *set = new_set(test, NODES);
	struct ckpt_change key;
	unsigned int seen = 0;
	int i;

	KUNIT_EXPECT_FALSE(test, ckpt_changeset_rotate(set, &key));
	watch(set, 1, 0);
	watch(set, 2, 0);
	ckpt_changeset_ask(set, 2);
	watch(set, 3, 0);
	for (i = 0; i < 3; i++)
		if (ckpt_changeset_rotate(set, &key))
			seen |= 1U << key.ino;
	KUNIT_EXPECT_EQ(test, seen, (1U << 1) | (1U << 2));
}

#define INODES 40

/* What a plain array says of the same operations. */
struct model {
	u32 live[INODES], taken[INODES], round[INODES];
};

static void model_round(struct kunit *test, struct ckpt_changeset *set, struct model *m)
{
	struct ckpt_change change;
	unsigned long i, n = 0;

	for (i = 0; i < INODES; i++)
		n += m->round[i] != 0;
	KUNIT_ASSERT_EQ(test, set->nr_round, n);
	for (i = 0; !ckpt_changeset_round_get(set, i, &change); i++) {
		KUNIT_ASSERT_LT(test, change.ino, INODES);
		KUNIT_ASSERT_EQ(test, change.mask, m->round[change.ino]);
		m->round[change.ino] = 0;
	}
}

static void random_epochs_agree_with_a_model(struct kunit *test)
{
	struct ckpt_changeset *set = new_set(test, NODES);
	struct model *m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);
	struct rnd_state rnd;
	int step, i;

	KUNIT_ASSERT_NOT_NULL(test, m);
	prandom_seed_state(&rnd, 4711);
	for (step = 0; step < 4000; step++) {
		u32 r = prandom_u32_state(&rnd);
		u32 ino = (r >> 8) % INODES, mask = 1U << ((r >> 20) % 6);

		if (r % 16 < 12) {
			record(set, ino, mask, 0);
			m->live[ino] |= mask;
			continue;
		}
		if (r % 16 < 14) {
			take(set);
			for (i = 0; i < INODES; i++) {
				m->round[i] = m->live[i];
				m->taken[i] |= m->live[i];
				m->live[i] = 0;
			}
			model_round(test, set, m);
			continue;
		}
		if (r % 16 == 15)
			abort_epoch(set);
		else
			commit(set);
		for (i = 0; i < INODES; i++) {
			if (r % 16 == 15)
				m->live[i] |= m->taken[i];
			m->taken[i] = 0;
		}
	}
	take(set);
	commit(set);
	KUNIT_EXPECT_EQ(test, set->spare, NODES);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(record_merges_changes_of_one_inode),
	KUNIT_CASE(record_tells_keys_apart),
	KUNIT_CASE(round_holds_what_came_since_the_last),
	KUNIT_CASE(round_get_goes_back_and_forth),
	KUNIT_CASE(round_is_dropped_in_chunks),
	KUNIT_CASE(commit_forgets_what_was_taken),
	KUNIT_CASE(abort_merges_every_round_back),
	KUNIT_CASE(over_the_bound_changes_count_as_lost),
	KUNIT_CASE(lost_is_forgotten_by_the_commit_of_a_later_take),
	KUNIT_CASE(busy_inode_is_suspect_in_every_round),
	KUNIT_CASE(idle_inode_is_suspect_once_more),
	KUNIT_CASE(writer_during_the_look_is_not_missed),
	KUNIT_CASE(rotate_names_what_is_asked_for),
	KUNIT_CASE(random_epochs_agree_with_a_model),
	{}
};

static struct kunit_suite suite = {
	.name = "ckpt_changeset",
	.test_cases = cases,
};
kunit_test_suites(&suite);
MODULE_LICENSE("GPL");
