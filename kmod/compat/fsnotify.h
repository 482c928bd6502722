/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Marking super blocks and inodes
 */
#ifndef _CKPT_COMPAT_FSNOTIFY_H
#define _CKPT_COMPAT_FSNOTIFY_H

#include <linux/fsnotify_backend.h>

/* 6.10 API change: every group allocates without entering file systems. */
#ifndef FSNOTIFY_GROUP_NOFS
#define FSNOTIFY_GROUP_NOFS 0
#endif

/* Up to 6.8 a mark is added to a connector, from 6.9 to the object itself. */
static inline int ckpt_fsnotify_mark_sb(struct fsnotify_mark *mark, struct super_block *sb)
{
#ifdef CKPT_HAVE_FSNOTIFY_ADD_MARK_OBJECT
	return fsnotify_add_mark(mark, sb, FSNOTIFY_OBJ_TYPE_SB, 0);
#else
	return fsnotify_add_mark(mark, &sb->s_fsnotify_marks, FSNOTIFY_OBJ_TYPE_SB, 0, NULL);
#endif
}

static inline int ckpt_fsnotify_mark_inode(struct fsnotify_mark *mark, struct inode *inode)
{
#ifdef CKPT_HAVE_FSNOTIFY_ADD_MARK_OBJECT
	return fsnotify_add_mark(mark, inode, FSNOTIFY_OBJ_TYPE_INODE, 0);
#else
	return fsnotify_add_mark(mark, &inode->i_fsnotify_marks, FSNOTIFY_OBJ_TYPE_INODE, 0, NULL);
#endif
}

#endif
