// SPDX-License-Identifier: GPL-2.0
/*
 * The inodes in memory of a super block
 */
#include <linux/dcache.h>
#include <linux/fs.h>
#include <linux/list.h>
#include <linux/magic.h>
#include <linux/sched.h>
#include <linux/spinlock.h>

#include "fswatch.h"

/* Inodes passed before the list's lock is given up once. */
#define INODES_CHUNK 1024

/**
 * ckpt_inodes_by_number - does a file system keep its inodes in the common hash table
 * @sb: active
 *
 * Context: sleeps.
 * Return: true if ilookup() finds them by their number.
 */
bool ckpt_inodes_by_number(struct super_block *sb)
{
	struct inode *root = d_inode(sb->s_root), *found;

	/* Another hash, which may lead to the same place for one inode by chance. */
	if (sb->s_magic == BTRFS_SUPER_MAGIC)
		return false;
	found = ilookup(sb, root->i_ino);
	iput(found);
	return found == root;
}

/**
 * ckpt_inodes_each - visit inodes of a super block
 * @sb: active
 * @pick: is an inode to be visited?  Called under the list's lock for each; does not sleep
 * @visit: called without the lock, with a reference held; may sleep
 * @data: handed to both
 *
 * Inodes that come or go meanwhile may be left out.
 *
 * Context: sleeps.
 */
void ckpt_inodes_each(struct super_block *sb, bool (*pick)(struct inode *inode, void *data),
		      void (*visit)(struct inode *inode, void *data), void *data)
{
	struct inode *inode, *held = NULL;
	unsigned int n = 0;

	spin_lock(&sb->s_inode_list_lock);
	list_for_each_entry(inode, &sb->s_inodes, i_sb_list) {
		bool picked = pick(inode, data);

		if (!picked && ++n < INODES_CHUNK)
			continue;
		if (!igrab(inode))
			continue;
		/* The reference keeps its place in the list while the lock is not held. */
		spin_unlock(&sb->s_inode_list_lock);
		iput(held);
		held = inode;
		n = 0;
		if (picked)
			visit(inode, data);
		cond_resched();
		spin_lock(&sb->s_inode_list_lock);
	}
	spin_unlock(&sb->s_inode_list_lock);
	iput(held);
}
