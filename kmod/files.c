// SPDX-License-Identifier: GPL-2.0
/*
 * The file side of a group: the epochs of its change sets
 */
#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/slab.h>

#include <uapi/linux/ckpt.h>

#include "events.h"
#include "filelog.h"
#include "files.h"
#include "fswatch.h"
#include "group.h"
#include "limits.h"

#define BUCKET_BITS	14
/* Nodes are added a page at a time, when fewer than this many are spare. */
#define SPARE_LOW	64
/* What a walk under spinlocks needs before it goes on. */
#define SPARE_MIN	8

static unsigned int inodes_max = CKPT_INODES_MAX;
module_param(inodes_max, uint, 0644);
MODULE_PARM_DESC(inodes_max, "inodes in the change sets of a group tagged from now on");

struct chunk {
	struct list_head link;
	struct ckpt_node nodes[];
};

#define CHUNK_NODES	((PAGE_SIZE - sizeof(struct chunk)) / sizeof(struct ckpt_node))

/**
 * ckpt_files_scarce - should a walk under spinlocks stop for ckpt_files_reserve
 * @files: the file side
 *
 * Return: true if the spare nodes are nearly used up and more may be had.
 */
bool ckpt_files_scarce(const struct ckpt_files *files)
{
	return READ_ONCE(files->set.spare) < SPARE_MIN &&
	       READ_ONCE(files->set.nodes) < files->set.limit;
}

/**
 * ckpt_files_reserve - have nodes ready for the changes to come
 * @files: the file side
 * @gfp: how to allocate; when there is no memory the spare nodes serve on
 */
void ckpt_files_reserve(struct ckpt_files *files, gfp_t gfp)
{
	struct chunk *chunk;

	if (READ_ONCE(files->set.spare) >= SPARE_LOW ||
	    READ_ONCE(files->set.nodes) >= files->set.limit)
		return;
	chunk = (struct chunk *)__get_free_page(gfp | __GFP_NOWARN);
	if (!chunk)
		return;
	spin_lock(&files->lock);
	ckpt_changeset_feed(&files->set, chunk->nodes, CHUNK_NODES);
	list_add(&chunk->link, &files->chunks);
	spin_unlock(&files->lock);
}

/**
 * ckpt_files_spare - have a node for a change that is about to be recorded
 * @files: the file side
 *
 * The kernel's reserves are for the last few alone.
 *
 * Context: any process context, does not sleep.
 */
void ckpt_files_spare(struct ckpt_files *files)
{
	ckpt_files_reserve(files, GFP_NOWAIT);
	if (ckpt_files_scarce(files))
		ckpt_files_reserve(files, GFP_ATOMIC);
}

/**
 * ckpt_files_record - record a change
 * @files: the file side
 * @inode: what changed
 * @mask: CKPT_INODE_*
 * @flags: CKPT_INODE_F_*
 *
 * Context: any process context, does not sleep.
 */
void ckpt_files_record(struct ckpt_files *files, const struct inode *inode, u32 mask, u32 flags)
{
	struct ckpt_change change = ckpt_files_key(inode);
	bool kept;

	change.mask = mask;
	change.flags = flags | (S_ISDIR(inode->i_mode) ? CKPT_INODE_F_DIR : 0);
	spin_lock(&files->lock);
	kept = ckpt_changeset_record(&files->set, &change);
	spin_unlock(&files->lock);
	if (!kept)
		ckpt_events_lost(files->group);
	ckpt_events_changed(files->group, ckpt_files_changed(files));
}

/**
 * ckpt_files_watch - somebody can write an inode without an event
 * @files: the file side
 * @inode: the regular file
 * @flags: CKPT_INODE_F_* to report with it
 *
 * Context: any process context, does not sleep.
 */
void ckpt_files_watch(struct ckpt_files *files, const struct inode *inode, u32 flags)
{
	struct ckpt_change key = ckpt_files_key(inode);
	bool kept;

	key.flags = flags;
	spin_lock(&files->lock);
	kept = ckpt_changeset_watch(&files->set, &key);
	spin_unlock(&files->lock);
	if (!kept)
		ckpt_events_lost(files->group);
}

/**
 * ckpt_files_lose - count something that changed and cannot be named
 * @files: the file side
 */
void ckpt_files_lose(struct ckpt_files *files)
{
	spin_lock(&files->lock);
	ckpt_changeset_lose(&files->set);
	spin_unlock(&files->lock);
	ckpt_events_lost(files->group);
}

/**
 * ckpt_files_create - the file side of a new group
 * @group: the group; must outlive it
 *
 * Return: the file side without roots, or NULL without memory.
 */
struct ckpt_files *ckpt_files_create(struct ckpt_group *group)
{
	struct ckpt_files *files = kzalloc(sizeof(*files), GFP_KERNEL);
	struct hlist_head *buckets;

	if (!files)
		return NULL;
	buckets = kvmalloc_array(1UL << BUCKET_BITS, sizeof(*buckets), GFP_KERNEL);
	if (!buckets) {
		kfree(files);
		return NULL;
	}
	files->group = group;
	INIT_LIST_HEAD(&files->roots);
	INIT_LIST_HEAD(&files->subs);
	INIT_LIST_HEAD(&files->chunks);
	INIT_LIST_HEAD(&files->logs);
	spin_lock_init(&files->lock);
	mutex_init(&files->look);
	ckpt_changeset_init(&files->set, buckets, BUCKET_BITS,
			    READ_ONCE(inodes_max));
	return files;
}

/**
 * ckpt_files_destroy - end of the file side, roots and all
 * @files: the file side, or NULL
 *
 * Context: sleeps; nobody else uses @files.
 */
void ckpt_files_destroy(struct ckpt_files *files)
{
	struct chunk *chunk, *next;

	if (!files)
		return;
	ckpt_roots_free(files);
	ckpt_filelog_free(files);
	list_for_each_entry_safe(chunk, next, &files->chunks, link)
		free_page((unsigned long)chunk);
	kvfree(files->set.buckets);
	kfree(files);
}

/* A step over the sets to its end, with events let in between its chunks. */
static void in_chunks(struct ckpt_files *files, bool (*step)(struct ckpt_changeset *set))
{
	bool more;

	do {
		cond_resched();
		spin_lock(&files->lock);
		more = step(&files->set);
		spin_unlock(&files->lock);
	} while (more);
}

/*
 * What came from elsewhere is in the live set before @came says so, so it is told in
 * this round at the latest; until the commit, what moves may have come with it.
 */
static void take_came(struct ckpt_files *files)
{
	struct ckpt_sub *sub;

	list_for_each_entry(sub, &files->subs, in_files) {
		if (!READ_ONCE(sub->came))
			continue;
		WRITE_ONCE(sub->came_taken, true);
		/* Never both false between: pairs with the handler's acquire. */
		smp_store_release(&sub->came, false);
	}
}

static void forget_came(struct ckpt_files *files)
{
	struct ckpt_sub *sub;

	list_for_each_entry(sub, &files->subs, in_files)
		WRITE_ONCE(sub->came_taken, false);
}

/* Nobody knows since when a deaf watch is deaf. */
static void take_deaf(struct ckpt_files *files)
{
	struct ckpt_sub *sub;

	list_for_each_entry(sub, &files->subs, in_files)
		if (!ckpt_fswatch_hears(sub->watch))
			ckpt_files_lose(files);
}

/**
 * ckpt_files_take - one round: what is live joins the taken set
 * @files: the file side; its group's lock is held
 * @final: every task of the group is stopped: leave nothing for the next round
 *
 * Context: sleeps; in the mount namespace that the roots' paths are of.
 */
void ckpt_files_take(struct ckpt_files *files, bool final)
{
	lockdep_assert_held(&files->group->lock);
	take_came(files);
	take_deaf(files);
	ckpt_roots_check(files);
	ckpt_layers_take(files, final);
	ckpt_suspect_find(files, !files->open, final);
	files->open = true;

	in_chunks(files, ckpt_changeset_round_drop);
	spin_lock(&files->lock);
	ckpt_changeset_round_begin(&files->set);
	spin_unlock(&files->lock);
	in_chunks(files, ckpt_changeset_round_move);
	ckpt_suspect_moved(files);
	ckpt_filelog_take(files);
	/* A root that was not found is a loss, too. */
	if (ckpt_files_lost(files))
		ckpt_events_lost(files->group);
	ckpt_events_taken(files->group);
}

/**
 * ckpt_files_retake - let the next round take again what was taken
 * @files: the file side; its group's lock is held
 *
 * The epoch goes on, so the next round does not ask again whose writers are
 * gone: what was found idle in it is among what was taken.
 */
void ckpt_files_retake(struct ckpt_files *files)
{
	lockdep_assert_held(&files->group->lock);
	in_chunks(files, ckpt_changeset_round_drop);
	in_chunks(files, ckpt_changeset_abort);
	/* What was lost, too: a commit may come before another round. */
	spin_lock(&files->lock);
	ckpt_changeset_lost_again(&files->set);
	spin_unlock(&files->lock);
	ckpt_events_taken(files->group);
	ckpt_filelog_retake(files);
}

static void epoch_end(struct ckpt_files *files, bool (*step)(struct ckpt_changeset *set))
{
	lockdep_assert_held(&files->group->lock);
	files->open = false;
	in_chunks(files, ckpt_changeset_round_drop);
	in_chunks(files, step);
	ckpt_events_taken(files->group);
}

/**
 * ckpt_files_commit - what was taken is durable: forget it
 * @files: the file side; its group's lock is held
 */
void ckpt_files_commit(struct ckpt_files *files)
{
	epoch_end(files, ckpt_changeset_commit);
	forget_came(files);
	ckpt_filelog_commit(files);
}

/**
 * ckpt_files_abort - what was taken is live again
 * @files: the file side; its group's lock is held
 */
void ckpt_files_abort(struct ckpt_files *files)
{
	epoch_end(files, ckpt_changeset_abort);
	ckpt_filelog_retake(files);
}

/**
 * ckpt_files_round_get - read a change of the last round
 * @files: the file side; its group's lock is held
 * @index: from 0 in a stable order; going up by one is cheap
 * @ret: the change
 * @ret_pages: its pages, valid while the lock is held; NULL without F_RANGES
 *
 * Return: 0, or -ENOENT past the end.
 */
int ckpt_files_round_get(struct ckpt_files *files, unsigned long index, struct ckpt_change *ret,
			 const struct ckpt_pageset **ret_pages)
{
	lockdep_assert_held(&files->group->lock);
	if (ckpt_changeset_round_get(&files->set, index, ret))
		return -ENOENT;
	*ret_pages = ckpt_filelog_told(files, ret);
	if (*ret_pages)
		ret->flags |= CKPT_INODE_F_RANGES;
	return 0;
}

/**
 * ckpt_files_changed - inodes with changes not yet taken
 * @files: the file side
 *
 * Return: their number at one moment.
 */
u64 ckpt_files_changed(struct ckpt_files *files)
{
	return READ_ONCE(files->set.nr_live);
}

/**
 * ckpt_files_round_count - inodes of the last round
 * @files: the file side
 *
 * Return: their number, 0 outside an epoch.
 */
u64 ckpt_files_round_count(struct ckpt_files *files)
{
	return READ_ONCE(files->set.nr_round);
}

/**
 * ckpt_files_lost - what the change sets lack
 * @files: the file side; its group's lock is held
 *
 * Return: changes not recorded since the last commit, plus roots whose path
 * leads nowhere or whose file system is gone.  Not 0: the sets are incomplete.
 */
u64 ckpt_files_lost(struct ckpt_files *files)
{
	u64 lost;

	lockdep_assert_held(&files->group->lock);
	spin_lock(&files->lock);
	lost = ckpt_changeset_lost(&files->set);
	spin_unlock(&files->lock);
	return lost + ckpt_roots_gone(files);
}

/**
 * ckpt_files_module_init - make ready for groups
 *
 * Return: 0 or a negative errno.
 */
int ckpt_files_module_init(void)
{
	int err = ckpt_fswatch_init();

	if (!err)
		ckpt_filelog_init();
	return err;
}

/**
 * ckpt_files_module_exit - no group is left
 */
void ckpt_files_module_exit(void)
{
	ckpt_filelog_exit();
	ckpt_fswatch_exit();
}
