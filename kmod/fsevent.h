/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Events of watched super blocks
 */
#ifndef _CKPT_FSEVENT_H
#define _CKPT_FSEVENT_H

#include <linux/dcache.h>
#include <linux/fs.h>
#include <linux/fsnotify_backend.h>
#include <linux/rculist.h>

#include "changeset.h"
#include "filelog.h"
#include "fswatch.h"

/* Events that name an inode, and events that name a directory and an inode. */
#define CKPT_INODE_EVENTS  (FS_MODIFY | FS_ATTRIB | FS_OPEN | FS_CLOSE_WRITE | FS_DELETE_SELF)
#define CKPT_ENTRY_EVENTS  (FS_CREATE | FS_DELETE | FS_MOVED_FROM | FS_MOVED_TO)
/* One more of a rename, with both ends of it. */
#define CKPT_RENAME_EVENTS FS_RENAME
#define CKPT_EVENTS	   (CKPT_INODE_EVENTS | CKPT_ENTRY_EVENTS | CKPT_RENAME_EVENTS)

static inline bool ckpt_has_writer(const struct inode *inode)
{
	return S_ISREG(inode->i_mode) && atomic_read(&inode->i_writecount) > 0;
}

/* Reading is most of what happens: be gone quickly. */
static inline bool ckpt_fsevent_wanted(u32 event, const struct inode *inode)
{
	return event & (CKPT_EVENTS & ~FS_OPEN) ||
	       (event & FS_OPEN && inode && ckpt_has_writer(inode));
}

/* Another name may be in a root, and a mount makes a directory: see ckpt_layers_mkdir(). */
static inline bool ckpt_fsevent_one_name(u32 event, const struct inode *inode,
					 const struct dentry *dentry)
{
	return (S_ISDIR(inode->i_mode) ? !(event & FS_CREATE) : inode->i_nlink == 1) &&
	       !d_unhashed(dentry);
}

/* May a group know of an inode from before?  Asked of one that is in no root now, under RCU. */
static inline bool ckpt_fsevent_known(const struct ckpt_watch *watch, const struct inode *inode)
{
	const struct ckpt_change key = {
		.dev = watch->dev, .ino = inode->i_ino, .generation = inode->i_generation,
	};
	const struct ckpt_sub *sub;

	list_for_each_entry_rcu(sub, &watch->subs, in_watch)
		if (ckpt_changeset_may_know(&sub->files->set, &key) ||
		    (READ_ONCE(sub->files->nr_logs) && ckpt_filelog_maybe(inode)))
			return true;
	return false;
}

void ckpt_fsevent(struct ckpt_watch *watch, u32 event, struct inode *inode,
		  struct dentry *dentry, struct inode *dir, bool of_file);

#endif
