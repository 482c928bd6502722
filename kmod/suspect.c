// SPDX-License-Identifier: GPL-2.0
/*
 * What events cannot show: files that may be written without one
 *
 * Stores through a shared mapping and asynchronous I/O make no event, and on
 * an overlay the mapping belongs to an inode of another super block that
 * outlives the descriptor.  All of them need somebody who has the file open
 * for writing, and the inode's count of writers tells that: an inode that has
 * or had a writer since the last take is suspect, once more after the last
 * writer is gone.
 */
#include <linux/dcache.h>
#include <linux/fs.h>
#include <linux/rculist.h>
#include <linux/sched.h>

#include <uapi/linux/ckpt.h>

#include "files.h"
#include "fswatch.h"
#include "group.h"

static u32 mapped_flag(const struct inode *inode)
{
	return mapping_writably_mapped(inode->i_mapping) ? CKPT_INODE_F_MAPPED : 0;
}

static bool inode_busy(const struct inode *inode)
{
	return atomic_read(&inode->i_writecount) > 0 || mapping_writably_mapped(inode->i_mapping);
}

/* The same for an inode that stands for one of another file system. */
static bool real_inode_busy(struct inode *inode, u32 *flags)
{
	struct dentry *dentry = d_find_any_alias(inode);
	const struct inode *real = dentry ? d_real_inode(dentry) : NULL;
	bool busy = real && inode_busy(real);

	if (busy)
		*flags |= mapped_flag(real);
	dput(dentry);
	return busy;
}

/* Watch an inode on if it has a writer. */
static void look_at(struct ckpt_sub *sub, struct inode *inode)
{
	u32 flags = mapped_flag(inode);
	bool busy = inode_busy(inode);

	if (ckpt_is_overlay(inode->i_sb))
		busy |= real_inode_busy(inode, &flags);
	if (!busy)
		return;
	if (!ckpt_place_outside(sub, inode, NULL))
		ckpt_files_watch(sub->files, inode, flags);
}

static bool asked(struct ckpt_files *files, const struct inode *inode)
{
	struct ckpt_change key = ckpt_files_key(inode);
	bool yes;

	spin_lock(&files->lock);
	yes = ckpt_changeset_asks(&files->set, &key);
	spin_unlock(&files->lock);
	return yes;
}

/*
 * Is an inode worth giving up the list's lock for?  On a plain file system its
 * own count of writers decides; on an overlay the real inode has to be found.
 */
static bool worth_a_look(struct ckpt_sub *sub, const struct inode *inode, bool all)
{
	if (!S_ISREG(inode->i_mode))
		return false;
	if (!ckpt_is_overlay(inode->i_sb))
		return inode_busy(inode);
	return all || asked(sub->files, inode);
}

struct look {
	struct ckpt_sub *sub;
	bool all;	/* not only those on the watch list */
};

static bool pick(struct inode *inode, void *data)
{
	const struct look *look = data;

	return worth_a_look(look->sub, inode, look->all);
}

static void visit(struct inode *inode, void *data)
{
	const struct look *look = data;

	ckpt_files_reserve(look->sub->files, GFP_KERNEL);
	look_at(look->sub, inode);
}

/* Anything not in memory has no writer. */
static void look_at_all(struct ckpt_sub *sub, struct super_block *sb, bool all)
{
	struct look look = { .sub = sub, .all = all };

	ckpt_inodes_each(sb, pick, visit, &look);
}

/* Look at each inode that is asked for, found by its number. */
static void look_at_asked(struct ckpt_sub *sub, struct super_block *sb)
{
	struct ckpt_files *files = sub->files;
	unsigned long left = READ_ONCE(files->set.nr_watched);
	struct ckpt_change key;
	struct inode *inode;
	bool ask;

	for (; left; left--) {
		cond_resched();
		spin_lock(&files->lock);
		ask = ckpt_changeset_rotate(&files->set, &key);
		spin_unlock(&files->lock);
		if (!ask || key.dev != sub->watch->dev)
			continue;
		/* Of whatever generation: its owner can set another one (EXT4_IOC_SETVERSION). */
		inode = ilookup(sb, key.ino);
		if (inode)
			look_at(sub, inode);
		iput(inode);
	}
}

/**
 * ckpt_suspect_root - find who could write below a new root before it was one
 * @sub: the group's subscription to the root's super block, active
 *
 * Context: sleeps; the group's lock is held.
 */
void ckpt_suspect_root(struct ckpt_sub *sub)
{
	struct super_block *sb = ckpt_fswatch_sb_get(sub->watch);
	int idx;

	if (!sb)
		return;
	idx = srcu_read_lock(&ckpt_events_srcu);
	look_at_all(sub, sb, true);
	ckpt_layers_find(sub, sb);
	srcu_read_unlock(&ckpt_events_srcu, idx);
	deactivate_super(sb);
}

/* Find out which inodes of the watch list have no writer any more. */
static void look_at_watched(struct ckpt_files *files)
{
	unsigned long left = READ_ONCE(files->set.nr_watched);
	struct super_block *sb;
	struct ckpt_sub *sub;

	while (left) {
		cond_resched();
		spin_lock(&files->lock);
		left = ckpt_changeset_ask(&files->set, left);
		spin_unlock(&files->lock);
	}
	list_for_each_entry(sub, &files->subs, in_files) {
		sb = ckpt_fswatch_sb_get(sub->watch);
		if (!sb)
			continue;
		if (sub->watch->hashed)
			look_at_asked(sub, sb);
		else
			look_at_all(sub, sb, false);
		deactivate_super(sb);
	}
}

/* Directories came from elsewhere: find who writes below them, overlays among them. */
static void look_at_moved(struct ckpt_files *files)
{
	struct super_block *sb;
	struct ckpt_sub *sub;

	list_for_each_entry(sub, &files->subs, in_files) {
		/* Before the look: who comes meanwhile is for the next take. */
		if (!READ_ONCE(sub->moved_in) || !xchg(&sub->moved_in, false))
			continue;
		sb = ckpt_fswatch_sb_get(sub->watch);
		if (!sb)
			continue;
		look_at_all(sub, sb, true);
		ckpt_layers_find(sub, sb);
		deactivate_super(sb);
	}
}

/**
 * ckpt_suspect_moved - find who writes below directories that came during a take
 * @files: the file side; its group's lock is held
 *
 * After the round: it may have told one that was not there when ckpt_suspect_find() looked,
 * and who writes below it may be gone before the next take.  Who is found here is told then.
 *
 * Context: sleeps.
 */
void ckpt_suspect_moved(struct ckpt_files *files)
{
	int idx = srcu_read_lock(&ckpt_events_srcu);

	look_at_moved(files);
	srcu_read_unlock(&ckpt_events_srcu, idx);
}

/**
 * ckpt_suspect_find - put on the live set what may have changed unseen
 * @files: the file side; its group's lock is held
 * @first: first take of an epoch: also look whose writers are gone
 * @final: last take of an epoch, with all tasks stopped
 *
 * Context: sleeps.
 */
void ckpt_suspect_find(struct ckpt_files *files, bool first, bool final)
{
	unsigned long left;
	int idx;

	if (list_empty(&files->subs))
		return;
	idx = srcu_read_lock(&ckpt_events_srcu);
	if (first)
		look_at_watched(files);
	look_at_moved(files);
	ckpt_suspect_tasks(files, final);
	srcu_read_unlock(&ckpt_events_srcu, idx);

	left = READ_ONCE(files->set.nr_watched);
	while (left) {
		cond_resched();
		spin_lock(&files->lock);
		left = ckpt_changeset_settle(&files->set, left);
		spin_unlock(&files->lock);
	}
}
