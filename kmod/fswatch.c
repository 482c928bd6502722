// SPDX-License-Identifier: GPL-2.0
/*
 * Watched super blocks
 *
 * One fsnotify group of our own with one mark per super block.  A mark on a super block hears
 * all events, and costs whoever makes one there, far from any root as well.  Where the kernel's
 * event functions can be listened to (fshook.c) the mark is on the directory at the top alone:
 * it hears nothing, tells of the super block's end, and has the kernel make events at all.
 */
#include <linux/dcache.h>
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/fsnotify_backend.h>
#include <linux/rculist.h>
#include <linux/slab.h>

#include "compat/fsnotify.h"
#include "events.h"
#include "fsevent.h"
#include "fshook.h"
#include "fswatch.h"

#define TABLE_BITS 4

DEFINE_SRCU(ckpt_events_srcu);

/* By their super blocks, those that the hooks tell of; read under RCU. */
static struct hlist_head table[1 << TABLE_BITS];
static DEFINE_SPINLOCK(table_lock);

static struct fsnotify_group *notify_group;
static LIST_HEAD(watches);
static DEFINE_MUTEX(watches_lock);
/* Marks whose memory is not free yet: while there are any, fsnotify may call us. */
static atomic_t nr_marks = ATOMIC_INIT(0);

static int handle_event(struct fsnotify_group *group, u32 event, const void *data, int data_type,
			struct inode *dir, const struct qstr *name, u32 cookie,
			struct fsnotify_iter_info *iter)
{
	struct inode *inode = fsnotify_data_inode(data, data_type);
	struct fsnotify_mark *mark = fsnotify_iter_sb_mark(iter);

	if (!mark || !((event & (CKPT_ENTRY_EVENTS | CKPT_RENAME_EVENTS)) ? dir : inode) ||
	    !ckpt_fsevent_wanted(event, inode))
		return 0;
	rcu_read_lock();
	ckpt_fsevent(container_of(mark, struct ckpt_watch, mark), event, inode,
		     fsnotify_data_dentry(data, data_type), dir,
		     data_type == FSNOTIFY_EVENT_PATH);
	rcu_read_unlock();
	return 0;
}

static struct hlist_head *bucket(const struct super_block *sb)
{
	return &table[hash_ptr(sb, TABLE_BITS)];
}

/**
 * ckpt_fswatch_of - the watch that hears by the hooks
 * @sb: a super block
 *
 * Context: in a read section of RCU.
 * Return: the watch or NULL.
 */
struct ckpt_watch *ckpt_fswatch_of(const struct super_block *sb)
{
	struct ckpt_watch *watch;

	hlist_for_each_entry_rcu(watch, bucket(sb), hash)
		if (watch->sb == sb)
			return watch;
	return NULL;
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
	spin_lock(&table_lock);
	hlist_del_init_rcu(&watch->hash);
	spin_unlock(&table_lock);
	ckpt_place_forget();
	/* Whose roots were there has lost them. */
	idx = srcu_read_lock(&ckpt_events_srcu);
	list_for_each_entry_srcu(sub, &watch->subs, in_watch,
				 srcu_read_lock_held(&ckpt_events_srcu))
		ckpt_events_look(sub->files->group);
	srcu_read_unlock(&ckpt_events_srcu, idx);
}

static void free_mark(struct fsnotify_mark *mark)
{
	kfree_rcu(container_of(mark, struct ckpt_watch, mark), rcu);
	atomic_dec(&nr_marks);
}

static const struct fsnotify_ops notify_ops = {
	.handle_event = handle_event,
	.freeing_mark = freeing_mark,
	.free_mark = free_mark,
};

/* Mark what is to be marked; the hooks are there if they are to be. */
static int watch_mark(struct ckpt_watch *watch)
{
	int err;

	if (!watch->hooked) {
		watch->mark.mask = CKPT_EVENTS | FS_ISDIR;
		return ckpt_fsnotify_mark_sb(&watch->mark, watch->sb);
	}
	watch->mark.mask = FS_UNMOUNT;
	err = ckpt_fsnotify_mark_inode(&watch->mark, d_inode(watch->sb->s_root));
	if (err)
		return err;
	spin_lock(&table_lock);
	hlist_add_head_rcu(&watch->hash, bucket(watch->sb));
	spin_unlock(&table_lock);
	return 0;
}

/* @hooked: of a user of the hooks more, which is the watch's if there is one. */
static struct ckpt_watch *watch_new(struct super_block *sb, bool hooked)
{
	struct ckpt_watch *watch = kvzalloc(sizeof(*watch), GFP_KERNEL);
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
	watch->hooked = hooked;
	err = watch_mark(watch);
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
	/* Before the lock: it may wait for others to be unhooked, which takes a while. */
	bool hooked = ckpt_fshook_get();
	struct ckpt_watch *watch;

	mutex_lock(&watches_lock);
	list_for_each_entry(watch, &watches, link)
		if (watch->sb == sb && !READ_ONCE(watch->dead))
			goto found;
	watch = watch_new(sb, hooked);
	if (IS_ERR(watch))
		goto unlock;
	hooked = false;
found:
	watch->users++;
unlock:
	mutex_unlock(&watches_lock);
	if (hooked)
		ckpt_fshook_put();
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
		if (watch->hooked)
			ckpt_fshook_put();
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
	ckpt_place_forget();
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
	/* What is of nobody is found out under RCU alone. */
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
 * ckpt_fswatch_hears - do events of a super block reach their handler
 * @watch: the watch
 *
 * Context: sleeps.
 * Return: false if they have not, since a moment that nobody knows.
 */
bool ckpt_fswatch_hears(struct ckpt_watch *watch)
{
	struct super_block *sb;
	bool hears;

	if (!watch->hooked)
		return true;
	sb = ckpt_fswatch_sb_get(watch);
	/* That its roots are gone with it is counted elsewhere. */
	if (!sb)
		return true;
	hears = ckpt_fshook_hears(sb);
	deactivate_super(sb);
	return hears;
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
	ckpt_fshook_exit();
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
