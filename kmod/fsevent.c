// SPDX-License-Identifier: GPL-2.0
/*
 * Events of watched super blocks: what each of them says of a group's files
 *
 * This runs in the context of whoever changes a file, inside the group or not, with
 * preemption off perhaps: nothing here sleeps.
 */
#include <linux/dcache.h>
#include <linux/fs.h>
#include <linux/fsnotify_backend.h>
#include <linux/rculist.h>

#include <uapi/linux/ckpt.h>

#include "events.h"
#include "filelog.h"
#include "files.h"
#include "fsevent.h"
#include "fswatch.h"
#include "group.h"

/* Events of an open file; they say that somebody may go on writing. */
#define WRITER_EVENTS	(FS_OPEN | FS_MODIFY | FS_CLOSE_WRITE)

/* On an overlay a mapping counts with the inode below: what got a name is asked at the take. */
static bool hides_writer(u32 event, const struct inode *inode)
{
	return (event & (FS_CREATE | FS_MOVED_TO)) && S_ISREG(inode->i_mode) &&
	       ckpt_is_overlay(inode->i_sb);
}

/* What an event says of the inode it is about. */
static u32 inode_mask(u32 event, const struct inode *inode)
{
	u32 mask = 0;

	if (event & FS_MODIFY)
		mask |= S_ISREG(inode->i_mode) ? CKPT_INODE_DATA : CKPT_INODE_META;
	if (event & FS_ATTRIB)
		mask |= CKPT_INODE_META;
	if (event & FS_CREATE)
		mask |= CKPT_INODE_CREATED;
	if (event & (FS_DELETE | FS_DELETE_SELF))
		mask |= CKPT_INODE_DELETED;
	if (event & FS_MOVE)
		mask |= CKPT_INODE_MOVED;
	return mask;
}

/*
 * Something is about to be recorded: have room for it, and say who did it.  Most events of
 * processes in no group are of no group either, so all else is asked before.
 */
static u32 ready_to_record(struct ckpt_sub *sub)
{
	ckpt_files_spare(sub->files);
	return ckpt_group_has_task(sub->files->group, current) ? CKPT_INODE_F_INSIDE
							       : CKPT_INODE_F_OUTSIDE;
}

/*
 * A name went that may have been outside, and others of the file are left.  When one is, the
 * file has but one link a moment before the name is seen to go, and whatever was done to it by
 * this name just then looked like nobody's.
 */
static bool left_elsewhere(struct ckpt_sub *sub, u32 event, const struct inode *inode,
			   struct inode *dir)
{
	return event & FS_DELETE && inode && !S_ISDIR(inode->i_mode) && inode->i_nlink &&
	       ckpt_place_of_dir(sub, dir) != CKPT_PLACE_INSIDE;
}

static void entry_event(struct ckpt_sub *sub, u32 event, struct inode *inode,
			const struct dentry *dentry, struct inode *dir)
{
	bool outside = ckpt_place_outside(sub, dir, NULL);
	unsigned int links = event & FS_DELETE ? 0 : 1;	/* the one that the event is about */
	bool left;
	u32 flags;

	if (event & FS_CREATE && event & FS_ISDIR)
		ckpt_layers_mkdir(sub, dir, dentry);
	/*
	 * A root goes, or what may take its place: a snapshot of a subvolume has its numbers.
	 * What is there then did not come by events.
	 */
	if (inode && S_ISDIR(inode->i_mode) && event & (FS_CREATE | FS_DELETE) &&
	    ckpt_place_is_root(sub, inode))
		ckpt_files_lose(sub->files);
	/* Of a file in an outside directory, another link may be inside. */
	if (outside && (!inode || S_ISDIR(inode->i_mode) || inode->i_nlink <= links))
		return;
	flags = ready_to_record(sub);
	if (!outside)
		ckpt_files_record(sub->files, dir, CKPT_INODE_ENTRIES, flags);
	left = left_elsewhere(sub, event, inode, dir);
	if (inode)
		ckpt_files_record(sub->files, inode,
				  inode_mask(event, inode) | (left ? CKPT_INODE_META : 0), flags);
	/* It may come with somebody who goes on writing through an old mapping. */
	if (left ? S_ISREG(inode->i_mode) :
		   inode && !outside && (ckpt_has_writer(inode) || hides_writer(event, inode)))
		ckpt_files_watch(sub->files, inode, 0);
}

/*
 * What comes from elsewhere may have changed there, with nobody told, and may have been
 * ours before: it is as good as created.  Below such a directory somebody may go on
 * writing through an old mapping.  Finding out whom takes a look at the whole super
 * block, so it is left to the take that tells it.  A move from one place inside to another, of
 * which package managers make many, is none of this, unless a directory has come from
 * elsewhere in this epoch: then what moves may have come with it, and is not below it
 * any more when somebody looks there.
 */
static void rename_event(struct ckpt_sub *sub, struct inode *old_dir, struct inode *moved)
{
	bool inside = ckpt_place_of_dir(sub, old_dir) == CKPT_PLACE_INSIDE;
	/* Before @came_taken: pairs with the release in take_came(). */
	bool came = smp_load_acquire(&sub->came) || READ_ONCE(sub->came_taken);

	if ((inside && !came) || ckpt_place_outside(sub, moved, NULL))
		return;
	/* Before it is told: the take that tells it looks for who writes below it after that. */
	if (!inside && S_ISDIR(moved->i_mode))
		WRITE_ONCE(sub->moved_in, true);
	ckpt_files_record(sub->files, moved, CKPT_INODE_CREATED, ready_to_record(sub));
	if (inside)
		return;
	ckpt_filelog_doubt(sub, moved);
	/* After it: take_came() says why. */
	if (S_ISDIR(moved->i_mode))
		WRITE_ONCE(sub->came, true);
}

static bool known(struct ckpt_files *files, const struct inode *inode)
{
	struct ckpt_change key = ckpt_files_key(inode);
	bool knows;

	/*
	 * Who makes it known just now, makes it so with an event of its own, or is a take: what
	 * that finds suspect is compared after the change that this event is about.
	 */
	if (!ckpt_changeset_may_know(&files->set, &key))
		return false;
	spin_lock(&files->lock);
	knows = ckpt_changeset_knows(&files->set, &key);
	spin_unlock(&files->lock);
	return knows;
}

/* @of_file: it happened through an open file, not by a name or to the inode */
static void inode_event(struct ckpt_sub *sub, u32 event, struct inode *inode,
			struct dentry *dentry, bool of_file)
{
	u32 mask = inode_mask(event, inode), flags;

	if (event & FS_MODIFY)
		ckpt_filelog_modified(sub, inode, of_file);
	if (event & FS_CLOSE_WRITE)
		ckpt_filelog_closed(sub, inode);
	if (!known(sub->files, inode)) {
		/* The last name went: the event of its directory tells that. */
		if (!dentry && !inode->i_nlink)
			return;
		if (ckpt_place_outside(sub, inode, dentry))
			return;
	}
	flags = ready_to_record(sub);
	if (mask)
		ckpt_files_record(sub->files, inode, mask, flags);
	if (!(event & WRITER_EVENTS) || !ckpt_has_writer(inode))
		return;
	ckpt_files_watch(sub->files, inode, 0);
	ckpt_filelog_start(sub, inode);
}

/*
 * Is an event of nobody's?  It is what happens most, to processes that are in no group, so it
 * is found out in as few steps as there are, and before any lock.  Only what each of the
 * handlers below would leave out, too, is of nobody's.
 */
static bool of_nobody(struct ckpt_watch *watch, u32 event, const struct inode *inode,
		      struct dentry *dentry)
{
	return ckpt_fsevent_one_name(event, inode, dentry) && ckpt_place_far(watch, dentry) &&
	       !ckpt_fsevent_known(watch, inode);
}

/* What may be of somebody. */
static void tell(struct ckpt_watch *watch, u32 event, struct inode *inode,
		 struct dentry *dentry, struct inode *dir, bool of_file)
{
	struct ckpt_sub *sub;
	int idx;

	if (event & FS_ISDIR && event & (FS_DELETE | FS_DELETE_SELF))
		ckpt_place_forget();
	idx = srcu_read_lock(&ckpt_events_srcu);
	list_for_each_entry_srcu(sub, &watch->subs, in_watch,
				 srcu_read_lock_held(&ckpt_events_srcu)) {
		if ((event & CKPT_RENAME_EVENTS) && inode)
			rename_event(sub, dir, inode);
		else if (event & CKPT_ENTRY_EVENTS)
			entry_event(sub, event, inode, dentry, dir);
		else
			inode_event(sub, event, inode, dentry, of_file);
	}
	srcu_read_unlock(&ckpt_events_srcu, idx);
}

/**
 * ckpt_fsevent - something happened on a watched super block
 * @watch: the super block
 * @event: FS_*, one that ckpt_fsevent_wanted() wants
 * @inode: what it happened to; NULL where it has a name and no inode
 * @dentry: the name by which it is known, or NULL
 * @dir: the directory of an event of CKPT_ENTRY_EVENTS or CKPT_RENAME_EVENTS
 * @of_file: it happened through an open file, not by a name or to the inode
 *
 * Context: process context, in a read section of RCU; does not sleep.
 */
void ckpt_fsevent(struct ckpt_watch *watch, u32 event, struct inode *inode,
		  struct dentry *dentry, struct inode *dir, bool of_file)
{
	if (!dentry || !inode || !of_nobody(watch, event, inode, dentry))
		tell(watch, event, inode, dentry, dir, of_file);
}
