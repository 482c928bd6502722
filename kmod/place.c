// SPDX-License-Identifier: GPL-2.0
/*
 * Places: does an inode lie in a root?
 *
 * Names in memory tell, without a lock that sleeps and without a reference.  They may
 * move meanwhile, and a file may have others, so one of the answers is: unsure.
 */
#include <linux/dcache.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/percpu.h>
#include <linux/rculist.h>
#include <linux/seqlock.h>

#include "fswatch.h"
#include "limits.h"

/* Walks before a place is unsure because of renames. */
#define PLACE_TRIES 4

/**
 * ckpt_place_is_root - is an inode one of the roots
 * @sub: a subscription to the inode's super block; the caller is in a read section of
 *	ckpt_events_srcu
 * @inode: the inode
 *
 * On ext4 the owner may set the generation as he likes, so there it does not count.
 *
 * Context: does not sleep.
 * Return: true if it is.
 */
bool ckpt_place_is_root(const struct ckpt_sub *sub, const struct inode *inode)
{
	const struct ckpt_root *root;

	list_for_each_entry_rcu(root, &sub->roots, in_sub, srcu_read_lock_held(&ckpt_events_srcu))
		if (root->ino == inode->i_ino && (root->generation == inode->i_generation ||
						  inode->i_sb->s_magic == EXT4_SUPER_MAGIC))
			return true;
	return false;
}

DEFINE_PER_CPU(struct ckpt_far, ckpt_last_far);
atomic_t ckpt_far_changes = ATOMIC_INIT(0);

/**
 * ckpt_place_forget - what was far may not be so any more
 *
 * A root has come, a watch has died, or a directory has gone, whose number another one may get.
 * Who reads the count that this makes sees that.
 *
 * Context: any.
 */
void ckpt_place_forget(void)
{
	atomic_inc_return_release(&ckpt_far_changes);
}

/* No root is at or above a name, as far as there are numbers of roots. */
static bool none_above(const struct ckpt_watch *watch, struct dentry *dentry)
{
	const struct inode *inode;
	unsigned int depth = 0;
	struct dentry *parent;

	for (;; dentry = parent) {
		inode = d_inode_rcu(dentry);
		if (!inode || ++depth > CKPT_DEPTH_MAX ||
		    READ_ONCE(watch->near[ckpt_near(inode->i_ino)]))
			return false;
		parent = READ_ONCE(dentry->d_parent);
		if (parent == dentry)
			return dentry == dentry->d_sb->s_root;
	}
}

/**
 * ckpt_place_far - is a name certainly not in a root of anybody
 * @watch: the super block; the caller is in a read section of RCU
 * @dentry: the name, in use
 *
 * The same as asking each subscription, in as few steps as there are: most of what happens
 * on a super block is far from any root, and pays for it.  It gives up where it is unsure.
 *
 * Context: any but that of an interrupt.
 * Return: true only if it is certain, at one moment of the call.
 */
bool ckpt_place_far(const struct ckpt_watch *watch, struct dentry *dentry)
{
	/* Before all else: pairs with ckpt_place_forget(). */
	const unsigned int changes = atomic_read_acquire(&ckpt_far_changes);
	struct ckpt_far far = {
		.sb = watch->sb,
		.watch = watch,
		.renames = raw_read_seqcount(&rename_lock.seqcount),
		.changes = changes,
	};
	const struct inode *inode = d_inode_rcu(dentry), *dir = NULL;

	/* An odd count is that of a rename under way, which may be so at both ends of the walk. */
	if (far.renames & 1)
		return false;
	/* A file is where its directory is. */
	if (watch->hashed && inode && !S_ISDIR(inode->i_mode))
		dir = d_inode_rcu(READ_ONCE(dentry->d_parent));
	if (dir) {
		far.ino = dir->i_ino;
		far.generation = dir->i_generation;
	}
	if (!none_above(watch, dentry) ||
	    read_seqcount_retry(&rename_lock.seqcount, far.renames))
		return false;
	/* One that is dead by now is not to be known after @changes. */
	if (dir && !READ_ONCE(watch->dead)) {
		*get_cpu_ptr(&ckpt_last_far) = far;
		put_cpu_ptr(&ckpt_last_far);
	}
	return true;
}

/* Is a root at or above a dentry?  A rename meanwhile makes the answer void. */
static enum ckpt_place look_up(const struct ckpt_sub *sub, struct dentry *dentry)
{
	enum ckpt_place place = CKPT_PLACE_UNSURE;
	const struct inode *inode;
	unsigned int depth = 0;
	struct dentry *parent;

	rcu_read_lock();
	for (;; dentry = parent) {
		inode = d_inode_rcu(dentry);
		if (!inode || ++depth > CKPT_DEPTH_MAX)
			break;
		if (ckpt_place_is_root(sub, inode)) {
			place = CKPT_PLACE_INSIDE;
			break;
		}
		parent = READ_ONCE(dentry->d_parent);
		if (parent == dentry) {
			if (dentry == dentry->d_sb->s_root)
				place = CKPT_PLACE_OUTSIDE;
			break;
		}
	}
	rcu_read_unlock();
	return place;
}

static enum ckpt_place place_of(const struct ckpt_sub *sub, struct dentry *dentry)
{
	enum ckpt_place place;
	unsigned int seq, i;

	/* Any rename on the machine counts, and few of them have to do with this one. */
	for (i = 0; i < PLACE_TRIES; i++) {
		seq = raw_read_seqcount(&rename_lock.seqcount);
		place = look_up(sub, dentry);
		if (!(seq & 1) && !read_seqcount_retry(&rename_lock.seqcount, seq))
			return place;
		cpu_relax();
	}
	return CKPT_PLACE_UNSURE;
}

/**
 * ckpt_place_of_dir - where a directory is; it has one name
 * @sub: as for ckpt_place_is_root()
 * @dir: the directory
 *
 * Context: does not sleep.
 * Return: unsure also where no name of it is in memory.
 */
enum ckpt_place ckpt_place_of_dir(const struct ckpt_sub *sub, struct inode *dir)
{
	enum ckpt_place place = CKPT_PLACE_UNSURE;
	struct dentry *dentry;

	spin_lock(&dir->i_lock);
	hlist_for_each_entry(dentry, &dir->i_dentry, ckpt_d_alias) {
		place = place_of(sub, dentry);
		break;
	}
	spin_unlock(&dir->i_lock);
	return place;
}

/* A name that is gone says nothing of others, unless there is none. */
static bool name_tells(const struct inode *inode, const struct dentry *dentry)
{
	return !d_unhashed(dentry) || IS_ROOT(dentry) || !inode->i_nlink;
}

/**
 * ckpt_place_outside - is an inode certainly in no root of a group
 * @sub: the group's subscription to the inode's super block; the caller is in
 *	a read section of ckpt_events_srcu
 * @inode: the inode, referenced or with its list locked
 * @dentry: the name it was reached by, or NULL
 *
 * A file with several links, or reached by a name that is gone, may have
 * another name in a root: that is unsure.
 *
 * Context: does not sleep.
 * Return: true only if it is certain.
 */
bool ckpt_place_outside(const struct ckpt_sub *sub, struct inode *inode, struct dentry *dentry)
{
	bool outside = false;

	if (!S_ISDIR(inode->i_mode) && inode->i_nlink > 1)
		return false;
	if (dentry)
		return name_tells(inode, dentry) && place_of(sub, dentry) == CKPT_PLACE_OUTSIDE;

	spin_lock(&inode->i_lock);
	hlist_for_each_entry(dentry, &inode->i_dentry, ckpt_d_alias) {
		/* With a second name in memory it is unsure. */
		outside = !dentry->ckpt_d_alias.next && name_tells(inode, dentry) &&
			  place_of(sub, dentry) == CKPT_PLACE_OUTSIDE;
		break;
	}
	spin_unlock(&inode->i_lock);
	return outside;
}
