// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit suite of kmod/place.c: what a rename in the middle of a walk does to the answer, and
 * what is remembered of it
 *
 * needs: changeset.c
 *
 * Any rename on the machine counts, for there is one lock for all.  No test that runs beside a
 * walk comes in its middle often enough to be relied on, so the file is included here, and each
 * step of a walk may make one.
 */
#include <kunit/test.h>
#include <linux/dcache.h>
#include <linux/fs.h>
#include <linux/namei.h>
#include <linux/path.h>
#include <linux/seqlock.h>
#include <linux/slab.h>

#include "fswatch.h"

/* user-mode Linux is a 6.1 and has no compat.h */
#ifndef ckpt_d_alias
#define ckpt_d_alias d_u.d_alias
#endif

DEFINE_SRCU(ckpt_events_srcu);

static struct fake {
	struct ckpt_watch watch;
	struct ckpt_sub sub;
	struct path path;
	unsigned int renames;	/* so many of the steps to come */
} *fake;

static const struct inode *fake_inode(const struct dentry *dentry)
{
	if (fake->renames) {
		fake->renames--;
		write_seqlock(&rename_lock);
		write_sequnlock(&rename_lock);
	}
	return d_inode_rcu(dentry);
}

#define d_inode_rcu(dentry) fake_inode(dentry)
#include "place.c"

static int set_up(struct kunit *test)
{
	int err;

	fake = kzalloc(sizeof(*fake), GFP_KERNEL);
	if (!fake)
		return -ENOMEM;
	INIT_LIST_HEAD(&fake->sub.roots);
	err = kern_path("/", LOOKUP_FOLLOW, &fake->path);
	if (!err)
		fake->watch.sb = fake->path.dentry->d_sb;
	return err;
}

static void tear_down(struct kunit *test)
{
	if (!fake)
		return;
	path_put(&fake->path);
	kfree(fake);
	fake = NULL;
}

static bool is_far(unsigned int renames)
{
	bool is;

	rcu_read_lock();
	fake->renames = renames;
	is = ckpt_place_far(&fake->watch, fake->path.dentry);
	fake->renames = 0;
	rcu_read_unlock();
	return is;
}

static void place_far(struct kunit *test)
{
	unsigned int place = ckpt_near(d_inode(fake->path.dentry)->i_ino);
	bool is;

	KUNIT_EXPECT_TRUE(test, is_far(0));
	fake->watch.near[place] = 1;
	KUNIT_EXPECT_FALSE(test, is_far(0));
	fake->watch.near[place] = 0;
	KUNIT_EXPECT_FALSE_MSG(test, is_far(1), "a rename in the middle");
	write_seqlock(&rename_lock);
	is = is_far(0);
	write_sequnlock(&rename_lock);
	KUNIT_EXPECT_FALSE_MSG(test, is, "a rename that does not end");
	KUNIT_EXPECT_TRUE(test, is_far(0));
}

/* The file is far; is that known from the last time, without a walk? */
static bool known_far(struct kunit *test, const struct file *file, bool walk)
{
	struct dentry *dentry = file->f_path.dentry;
	const struct ckpt_watch *watch;

	preempt_disable();
	if (walk)
		KUNIT_EXPECT_TRUE(test, ckpt_place_far(&fake->watch, dentry));
	watch = ckpt_place_last(dentry, fake->watch.sb);
	preempt_enable();
	if (watch)
		KUNIT_EXPECT_PTR_EQ(test, watch, (const struct ckpt_watch *)&fake->watch);
	return watch;
}

static struct file *a_file(struct kunit *test)
{
	struct file *file = filp_open("/etc/passwd", O_RDONLY, 0);

	KUNIT_ASSERT_FALSE(test, IS_ERR(file));
	fake->watch.hashed = true;
	ckpt_place_forget();
	return file;
}

static void place_last(struct kunit *test)
{
	struct file *file = a_file(test);
	struct inode *dir = d_inode(file->f_path.dentry->d_parent);

	KUNIT_EXPECT_FALSE_MSG(test, known_far(test, file, false), "nobody has looked");
	KUNIT_EXPECT_TRUE(test, known_far(test, file, true));
	KUNIT_EXPECT_TRUE_MSG(test, known_far(test, file, false), "and it stays so");
	preempt_disable();
	KUNIT_EXPECT_TRUE_MSG(test, !ckpt_place_last(file->f_path.dentry, NULL),
			      "another super block");
	preempt_enable();
	dir->i_generation++;
	KUNIT_EXPECT_FALSE_MSG(test, known_far(test, file, false), "another directory");
	dir->i_generation--;
	KUNIT_EXPECT_TRUE(test, known_far(test, file, false));
	filp_close(file, NULL);
}

static void place_forgotten(struct kunit *test)
{
	struct file *file = a_file(test);

	KUNIT_EXPECT_TRUE(test, known_far(test, file, true));
	write_seqlock(&rename_lock);
	KUNIT_EXPECT_FALSE_MSG(test, known_far(test, file, false), "a rename");
	write_sequnlock(&rename_lock);
	KUNIT_EXPECT_FALSE_MSG(test, known_far(test, file, false), "and after it");
	KUNIT_EXPECT_TRUE(test, known_far(test, file, true));
	ckpt_place_forget();
	KUNIT_EXPECT_FALSE_MSG(test, known_far(test, file, false), "it was said to forget");
	fake->watch.hashed = false;
	KUNIT_EXPECT_FALSE_MSG(test, known_far(test, file, true), "numbers that are not unique");
	filp_close(file, NULL);
}

static enum ckpt_place where(unsigned int renames)
{
	int idx = srcu_read_lock(&ckpt_events_srcu);
	enum ckpt_place place;

	fake->renames = renames;
	place = place_of(&fake->sub, fake->path.dentry);
	fake->renames = 0;
	srcu_read_unlock(&ckpt_events_srcu, idx);
	return place;
}

static void place_inside(struct kunit *test)
{
	const struct inode *inode = d_inode(fake->path.dentry);
	struct ckpt_root root = { .ino = inode->i_ino, .generation = inode->i_generation };
	enum ckpt_place place;

	KUNIT_EXPECT_EQ(test, (int)where(0), (int)CKPT_PLACE_OUTSIDE);
	KUNIT_EXPECT_EQ_MSG(test, (int)where(1), (int)CKPT_PLACE_OUTSIDE, "looked again");
	KUNIT_EXPECT_EQ_MSG(test, (int)where(1000), (int)CKPT_PLACE_UNSURE, "but not for ever");
	write_seqlock(&rename_lock);
	place = where(0);
	write_sequnlock(&rename_lock);
	KUNIT_EXPECT_EQ_MSG(test, (int)place, (int)CKPT_PLACE_UNSURE, "a rename that does not end");
	list_add(&root.in_sub, &fake->sub.roots);
	KUNIT_EXPECT_EQ(test, (int)where(0), (int)CKPT_PLACE_INSIDE);
	KUNIT_EXPECT_EQ(test, (int)where(1), (int)CKPT_PLACE_INSIDE);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(place_far),
	KUNIT_CASE(place_last),
	KUNIT_CASE(place_forgotten),
	KUNIT_CASE(place_inside),
	{}
};

static struct kunit_suite ckpt_place_suite = {
	.name = "ckpt_place",
	.init = set_up,
	.exit = tear_down,
	.test_cases = cases,
};

kunit_test_suite(ckpt_place_suite);
MODULE_LICENSE("GPL");
