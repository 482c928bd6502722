// SPDX-License-Identifier: GPL-2.0
/*
 * Events of watched super blocks
 *
 * One fsnotify group of our own with one mark per super block.  The handler
 * runs in the context of whoever changes a file, inside the group or not: it
 * takes no lock that is held over sleep and allocates without recursion into
 * file systems.  Who mounts a file system that makes a directory has to wait for
 * a look at the inodes of its super block (layers.c), which may sleep.
 */
#include <linux/dcache.h>
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/fsnotify_backend.h>
#include <linux/rculist.h>
#include <linux/slab.h>

#include <uapi/linux/ckpt.h>

#include "compat/fsnotify.h"
#include "events.h"
#include "filelog.h"
#include "files.h"
#include "fswatch.h"
#include "group.h"

/* Events that name an inode, and events that name a directory and an inode. */
#define INODE_EVENTS	(FS_MODIFY | FS_ATTRIB | FS_OPEN | FS_CLOSE_WRITE | FS_DELETE_SELF)
#define ENTRY_EVENTS	(FS_CREATE | FS_DELETE | FS_MOVED_FROM | FS_MOVED_TO)
/* One more of a rename, with both ends of it. */
#define RENAME_EVENTS	FS_RENAME
/* Events of an open file; they say that somebody may go on writing. */
#define WRITER_EVENTS	(FS_OPEN | FS_MODIFY | FS_CLOSE_WRITE)

DEFINE_SRCU(ckpt_events_srcu);

static struct fsnotify_group *notify_group;
static LIST_HEAD(watches);
static DEFINE_MUTEX(watches_lock);
/* Marks whose memory is not free yet: while there are any, fsnotify may call us. */
static atomic_t nr_marks = ATOMIC_INIT(0);

static bool has_writer(const struct inode *inode)
{
	return S_ISREG(inode->i_mode) && atomic_read(&inode->i_writecount) > 0;
}

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
	ckpt_files_reserve(sub->files, GFP_NOFS);
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

static void entry_event(struct ckpt_sub *sub, u32 event, struct inode *inode, struct inode *dir)
{
	bool outside = ckpt_place_outside(sub, dir, NULL);
	unsigned int links = event & FS_DELETE ? 0 : 1;	/* the one that the event is about */
	bool left;
	u32 flags;

	if (event & FS_CREATE && event & FS_ISDIR)
		ckpt_layers_mkdir(sub);
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
		   inode && !outside && (has_writer(inode) || hides_writer(event, inode)))
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
	if (!(event & WRITER_EVENTS) || !has_writer(inode))
		return;
	ckpt_files_watch(sub->files, inode, 0);
	ckpt_filelog_start(sub, inode);
}

/* May a group know of an inode from before?  Asked of one that is in no root now. */
static bool maybe_known(struct ckpt_watch *watch, const struct inode *inode)
{
	struct ckpt_change key = {
		.dev = watch->dev, .ino = inode->i_ino, .generation = inode->i_generation,
	};
	const struct ckpt_sub *sub;

	list_for_each_entry_rcu(sub, &watch->subs, in_watch)
		if (ckpt_changeset_may_know(&sub->files->set, &key) ||
		    (READ_ONCE(sub->files->nr_logs) && ckpt_filelog_maybe(inode)))
			return true;
	return false;
}

/*
 * Is an event of nobody's?  It is what happens most, to processes that are in no group, so it
 * is found out in as few steps as there are, and before any lock.  Only what each of the
 * handlers below would leave out, too, is of nobody's.
 */
static bool of_nobody(struct ckpt_watch *watch, u32 event, const struct inode *inode,
		      struct dentry *dentry)
{
	bool nobody;

	/* Another name may be in a root, and a mount makes a directory: see ckpt_layers_mkdir(). */
	if (S_ISDIR(inode->i_mode) ? event & FS_CREATE : inode->i_nlink != 1)
		return false;
	if (d_unhashed(dentry))
		return false;
	rcu_read_lock();
	nobody = ckpt_place_far(watch, dentry) && !maybe_known(watch, inode);
	rcu_read_unlock();
	return nobody;
}

static int handle_event(struct fsnotify_group *group, u32 event, const void *data, int data_type,
			struct inode *dir, const struct qstr *name, u32 cookie,
			struct fsnotify_iter_info *iter)
{
	struct inode *inode = fsnotify_data_inode(data, data_type);
	struct dentry *dentry = fsnotify_data_dentry(data, data_type);
	struct fsnotify_mark *mark = fsnotify_iter_sb_mark(iter);
	struct ckpt_watch *watch;
	struct ckpt_sub *sub;
	int idx;

	if (!mark || !((event & (ENTRY_EVENTS | RENAME_EVENTS)) ? dir : inode))
		return 0;
	/* Reading is most of what happens: be gone quickly. */
	if (!(event & (ENTRY_EVENTS | RENAME_EVENTS | INODE_EVENTS) & ~FS_OPEN) &&
	    !has_writer(inode))
		return 0;

	watch = container_of(mark, struct ckpt_watch, mark);
	if (dentry && inode && of_nobody(watch, event, inode, dentry))
		return 0;
	idx = srcu_read_lock(&ckpt_events_srcu);
	list_for_each_entry_srcu(sub, &watch->subs, in_watch,
				 srcu_read_lock_held(&ckpt_events_srcu)) {
		if ((event & RENAME_EVENTS) && inode)
			rename_event(sub, dir, inode);
		else if (event & ENTRY_EVENTS)
			entry_event(sub, event, inode, dir);
		else
			inode_event(sub, event, inode, dentry, data_type == FSNOTIFY_EVENT_PATH);
	}
	srcu_read_unlock(&ckpt_events_srcu, idx);
	return 0;
}

/* The mark goes: by our own hand, or because its super block is shut down. */
static void freeing_mark(struct fsnotify_mark *mark, struct fsnotify_group *group)
{
	struct ckpt_watch *watch = container_of(mark, struct ckpt_watch, mark);
	struct ckpt_sub *sub;
	int idx;

	spin_lock(&watch->lock);
	watch->dead = true;
	spin_unlock(&watch->lock);
	/* Whose roots were there has lost them. */
	idx = srcu_read_lock(&ckpt_events_srcu);
	list_for_each_entry_srcu(sub, &watch->subs, in_watch,
				 srcu_read_lock_held(&ckpt_events_srcu))
		ckpt_events_look(sub->files->group);
	srcu_read_unlock(&ckpt_events_srcu, idx);
}

static void free_mark(struct fsnotify_mark *mark)
{
	kfree(container_of(mark, struct ckpt_watch, mark));
	atomic_dec(&nr_marks);
}

static const struct fsnotify_ops notify_ops = {
	.handle_event = handle_event,
	.freeing_mark = freeing_mark,
	.free_mark = free_mark,
};

static struct ckpt_watch *watch_new(struct super_block *sb)
{
	struct ckpt_watch *watch = kzalloc(sizeof(*watch), GFP_KERNEL);
	int err;

	if (!watch)
		return ERR_PTR(-ENOMEM);
	INIT_LIST_HEAD(&watch->subs);
	spin_lock_init(&watch->lock);
	watch->sb = sb;
	watch->dev = ckpt_files_dev(sb);
	watch->hashed = ckpt_inodes_by_number(sb);
	fsnotify_init_mark(&watch->mark, notify_group);
	atomic_inc(&nr_marks);
	watch->mark.mask = INODE_EVENTS | ENTRY_EVENTS | RENAME_EVENTS | FS_ISDIR;
	err = ckpt_fsnotify_mark_sb(&watch->mark, sb);
	if (err) {
		fsnotify_put_mark(&watch->mark);
		return ERR_PTR(err);
	}
	list_add(&watch->link, &watches);
	return watch;
}

/**
 * ckpt_fswatch_get - watch a super block
 * @sb: kept alive by the caller over the call
 *
 * Return: the watch with one more user, or an error pointer.
 */
struct ckpt_watch *ckpt_fswatch_get(struct super_block *sb)
{
	struct ckpt_watch *watch;

	mutex_lock(&watches_lock);
	list_for_each_entry(watch, &watches, link)
		if (watch->sb == sb && !READ_ONCE(watch->dead))
			goto found;
	watch = watch_new(sb);
	if (IS_ERR(watch))
		goto unlock;
found:
	watch->users++;
unlock:
	mutex_unlock(&watches_lock);
	return watch;
}

/**
 * ckpt_fswatch_put - one user less; the last one ends the watch
 * @watch: the watch, not to be used again
 */
void ckpt_fswatch_put(struct ckpt_watch *watch)
{
	mutex_lock(&watches_lock);
	if (!--watch->users) {
		list_del(&watch->link);
		/* Under the lock: a super block takes one mark of a group at a time. */
		fsnotify_destroy_mark(&watch->mark, notify_group);
		fsnotify_put_mark(&watch->mark);
	}
	mutex_unlock(&watches_lock);
}

/**
 * ckpt_fswatch_near - a root comes or goes
 * @watch: the super block it is on
 * @ino: its inode number
 * @root: it comes
 */
void ckpt_fswatch_near(struct ckpt_watch *watch, unsigned long ino, bool root)
{
	u32 *near = &watch->near[ckpt_near(ino)];

	mutex_lock(&watches_lock);
	WRITE_ONCE(*near, root ? *near + 1 : *near - 1);
	mutex_unlock(&watches_lock);
}

/**
 * ckpt_fswatch_subscribe - let events of sub->watch reach sub->files
 * @sub: complete, with at least one root
 */
void ckpt_fswatch_subscribe(struct ckpt_sub *sub)
{
	mutex_lock(&watches_lock);
	list_add_rcu(&sub->in_watch, &sub->watch->subs);
	mutex_unlock(&watches_lock);
}

/**
 * ckpt_fswatch_unsubscribe - end it; no handler uses @sub after the return
 * @sub: the subscription, the caller's to free
 */
void ckpt_fswatch_unsubscribe(struct ckpt_sub *sub)
{
	mutex_lock(&watches_lock);
	list_del_rcu(&sub->in_watch);
	mutex_unlock(&watches_lock);
	synchronize_srcu(&ckpt_events_srcu);
	/* of_nobody() reads under RCU alone */
	synchronize_rcu();
}

/**
 * ckpt_fswatch_sb_get - keep a watched super block alive for a while
 * @watch: the watch
 *
 * Return: the super block, to be given back with deactivate_super(), or NULL
 * when it is shut down or about to be.
 */
struct super_block *ckpt_fswatch_sb_get(struct ckpt_watch *watch)
{
	struct super_block *sb = NULL;

	/* The mark is freed before the super block's memory, so !dead means it is there. */
	spin_lock(&watch->lock);
	if (!watch->dead && atomic_inc_not_zero(&watch->sb->s_active))
		sb = watch->sb;
	spin_unlock(&watch->lock);
	return sb;
}

/**
 * ckpt_fswatch_init - make the fsnotify group
 *
 * Return: 0 or a negative errno.
 */
int ckpt_fswatch_init(void)
{
	notify_group = fsnotify_alloc_group(&notify_ops, FSNOTIFY_GROUP_NOFS);
	return PTR_ERR_OR_ZERO(notify_group);
}

/**
 * ckpt_fswatch_exit - wait until fsnotify has let go of every mark
 *
 * No watch has users any more.
 */
void ckpt_fswatch_exit(void)
{
	WARN_ON(!list_empty(&watches));
	fsnotify_wait_marks_destroyed();
	/* An unmount at this moment may hold on to a mark that it found. */
	while (atomic_read(&nr_marks)) {
		usleep_range(1000, 2000);
		fsnotify_wait_marks_destroyed();
	}
	fsnotify_wait_marks_destroyed();
	fsnotify_put_group(notify_group);
	rcu_barrier();
}
