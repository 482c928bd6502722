// SPDX-License-Identifier: GPL-2.0
/*
 * File logs: what a take does with them
 *
 * A log is taken with the inode that it is of, after the change sets: by then
 * whatever is in the log is told by this round, or will be by the next.  Three
 * steps let no page fall between two takes:
 *
 *	1. a second set is started beside the live one, pages are added to both;
 *	2. the pages that are dirty now are added to the second one;
 *	3. the live set is what the round tells, the second one is live.
 *
 * So every page that was written since step 1 of the last take, or was dirty at
 * its step 2, is in the live set.
 */
#include <linux/dcache.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/pagemap.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/xarray.h>

#include <uapi/linux/ckpt.h>

#include "filelog-parts.h"
#include "fswatch.h"
#include "group.h"
#include "limits.h"

/* Epochs without a word of its inode that end a log. */
#define IDLE_EPOCHS 2
/* Pages looked at before the lock of a mapping's pages is given up once. */
#define DIRTY_CHUNK 256
/* Masks with which user space looks at the content. */
#define CONTENT (CKPT_INODE_DATA | CKPT_INODE_SUSPECT | CKPT_INODE_CREATED)

/* --- which files --- */

/*
 * Only through some functions does every write to a file dirty its pages in the
 * common way: not with journalled data, not with DAX.  They have no name for a
 * module, but the kernel prints it.
 */
static bool dirties_pages(const void *fn)
{
	static const char * const known[] = {
		"ext4_dirty_folio", "filemap_dirty_folio", "iomap_dirty_folio",
	};
	char name[48];
	size_t i;

	snprintf(name, sizeof(name), "%ps", fn);
	name[strcspn(name, " ")] = '\0';
	for (i = 0; i < ARRAY_SIZE(known); i++)
		if (!strcmp(name, known[i]))
			return true;
	return false;
}

/**
 * ckpt_filelog_pages_tell - does what is written to a file go by its pages
 * @watch: that of its super block
 * @inode: the file
 *
 * Context: any process context, does not sleep.
 * Return: true if it does now.
 */
bool ckpt_filelog_pages_tell(struct ckpt_watch *watch, const struct inode *inode)
{
	const void *fn = inode->i_mapping->a_ops->dirty_folio;
	unsigned long magic = inode->i_sb->s_magic;

	if (magic != EXT4_SUPER_MAGIC && magic != XFS_SUPER_MAGIC)
		return false;
	if (READ_ONCE(watch->dirty_fn) == fn)
		return true;
	if (!dirties_pages(fn))
		return false;
	WRITE_ONCE(watch->dirty_fn, fn);
	return true;
}

/**
 * ckpt_filelog_fits - can a log of an inode be complete as things are
 * @watch: that of its super block
 * @inode: the regular file
 *
 * A page that could not be written back may be gone without a word.  To what a loop device
 * that is attached to the file does in it, an event comes late or not at all; its driver
 * takes __GFP_IO away meanwhile.
 *
 * Context: any process context, does not sleep.
 * Return: true if it can.
 */
bool ckpt_filelog_fits(struct ckpt_watch *watch, const struct inode *inode)
{
	return ckpt_filelog_pages_tell(watch, inode) && !IS_DAX(inode) && !IS_SWAPFILE(inode) &&
	       mapping_gfp_mask(inode->i_mapping) & __GFP_IO &&
	       !READ_ONCE(inode->i_mapping->wb_err);
}

/* --- takes --- */

static struct inode *inode_of(const struct ckpt_watch *watch, struct super_block *sb,
			      struct ckpt_filelog *log)
{
	const struct export_operations *export = sb->s_export_op;
	struct dentry *dentry = NULL;
	struct inode *inode;

	if (watch->hashed) {
		inode = ilookup(sb, log->ino);
	} else {
		if (export && export->fh_to_dentry && log->handle_type > 0)
			dentry = export->fh_to_dentry(sb, (struct fid *)log->handle,
						      log->handle_words, log->handle_type);
		if (IS_ERR_OR_NULL(dentry))
			return NULL;
		inode = igrab(d_inode(dentry));
		dput(dentry);
	}
	if (inode && (inode->i_ino != log->ino || inode->i_generation != log->generation)) {
		iput(inode);
		return NULL;
	}
	return inode;
}

static void add_next(struct ckpt_filelog *log, struct folio *folio)
{
	raw_spin_lock(&log->lock);
	ckpt_pageset_add(log->next, folio->index, folio_nr_pages(folio));
	raw_spin_unlock(&log->lock);
}

/*
 * Add what is dirty.  A page is told and tagged under the lock that is taken
 * here: one that was told before there was a second set is tagged by now.
 */
static void add_dirty(struct ckpt_filelog *log, struct address_space *mapping)
{
	XA_STATE(xas, &mapping->i_pages, 0);
	unsigned long left = CKPT_FILELOG_DIRTY_MAX;
	struct folio *folio;

	xas_lock_irq(&xas);
	xas_for_each_marked(&xas, folio, ULONG_MAX, PAGECACHE_TAG_DIRTY) {
		if (!xa_is_value(folio))
			add_next(log, folio);
		if (!--left)
			break;
		if (left % DIRTY_CHUNK)
			continue;
		xas_pause(&xas);
		xas_unlock_irq(&xas);
		cond_resched();
		xas_lock_irq(&xas);
	}
	xas_unlock_irq(&xas);
	if (left)
		return;
	raw_spin_lock_irq(&log->lock);
	log->next->whole = true;
	raw_spin_unlock_irq(&log->lock);
}

static void next_begin(struct ckpt_filelog *log, struct ckpt_pageset *next)
{
	ckpt_pageset_clear(next);
	raw_spin_lock_irq(&log->lock);
	log->next = next;
	raw_spin_unlock_irq(&log->lock);
}

/* Return: the set that was live. */
static struct ckpt_pageset *next_end(struct ckpt_filelog *log, bool doubt_now, bool doubt_next)
{
	struct ckpt_pageset *live;

	raw_spin_lock_irq(&log->lock);
	live = log->live;
	live->whole |= doubt_now;
	log->next->whole |= doubt_next;
	log->live = log->next;
	log->next = NULL;
	raw_spin_unlock_irq(&log->lock);
	return live;
}

/* Take a log. @spare: a set to use. Return: a set that is spare now. */
static struct ckpt_pageset *take_log(const struct ckpt_sub *sub, struct super_block *sb,
				     struct ckpt_filelog *log, struct ckpt_pageset *spare)
{
	bool doubt_now = true, doubt_next = !sub->watch->hashed;
	struct ckpt_pageset *told;
	struct inode *inode;
	loff_t size;

	next_begin(log, spare);
	/* One that is not in memory has no dirty pages; by its handle it may not be found. */
	inode = inode_of(sub->watch, sb, log);
	if (inode) {
		add_dirty(log, inode->i_mapping);
		doubt_next = !ckpt_filelog_fits(sub->watch, inode) ||
			     mapping_writably_mapped(inode->i_mapping);
		size = i_size_read(inode);
		/* What is small may be where no page is; nothing shrinks by plain writes. */
		doubt_now = doubt_next || size < log->size || log->size < CKPT_FILELOG_SIZE_MIN;
		log->size = size;
		/* Direct I/O that began before step 1 may end after step 3. */
		doubt_next |= atomic_read(&inode->i_dio_count) > 0;
		iput(inode);
	}
	told = next_end(log, doubt_now, doubt_next);
	ckpt_pageset_join(log->taken, told);
	spare = log->told;
	log->told = told;
	log->is_told = !told->whole;
	log->used = true;
	return spare;
}

static bool in_round(struct ckpt_files *files, const struct ckpt_filelog *log)
{
	const struct ckpt_change key = {
		.dev = log->dev, .ino = log->ino, .generation = log->generation,
	};
	u32 mask;

	spin_lock(&files->lock);
	mask = ckpt_changeset_round_mask(&files->set, &key);
	spin_unlock(&files->lock);
	return mask & CONTENT;
}

static void take_sub(struct ckpt_files *files, const struct ckpt_sub *sub,
		     struct ckpt_pageset **spare)
{
	struct super_block *sb = ckpt_fswatch_sb_get(sub->watch);
	struct ckpt_filelog *log;

	if (!sb)
		return;
	/* Only we take logs out; others add them at the end. */
	list_for_each_entry_rcu(log, &files->logs, link, lockdep_is_held(&files->group->lock)) {
		if (log->dev == sub->watch->dev && in_round(files, log))
			*spare = take_log(sub, sb, log, *spare);
		cond_resched();
	}
	deactivate_super(sb);
}

/**
 * ckpt_filelog_take - take the logs of the inodes of a round
 * @files: the file side; its group's lock is held
 *
 * A log whose inode is not in the round, or for which there is no memory, goes
 * on: the next round that has the inode tells it.
 *
 * Context: sleeps.
 */
void ckpt_filelog_take(struct ckpt_files *files)
{
	struct ckpt_pageset *spare;
	struct ckpt_filelog *log;
	struct ckpt_sub *sub;

	lockdep_assert_held(&files->group->lock);
	list_for_each_entry_rcu(log, &files->logs, link, lockdep_is_held(&files->group->lock))
		log->is_told = false;
	if (list_empty(&files->logs))
		return;
	spare = kmalloc(sizeof(*spare), GFP_KERNEL);
	if (!spare)
		return;
	list_for_each_entry(sub, &files->subs, in_files)
		take_sub(files, sub, &spare);
	kfree(spare);
}

/**
 * ckpt_filelog_told - what the last round tells of an inode's pages
 * @files: the file side; its group's lock is held
 * @key: the inode
 *
 * Return: its pages, valid while the lock is held, or NULL when they are not
 * known, be it by what came up since.
 */
const struct ckpt_pageset *ckpt_filelog_told(struct ckpt_files *files,
					     const struct ckpt_change *key)
{
	struct ckpt_filelog *log;
	bool whole;

	lockdep_assert_held(&files->group->lock);
	log = ckpt_filelog_find(files, key);
	if (!log || !log->is_told || ckpt_files_lost(files))
		return NULL;
	raw_spin_lock_irq(&log->lock);
	whole = log->live->whole;
	raw_spin_unlock_irq(&log->lock);
	return whole ? NULL : log->told;
}

/**
 * ckpt_filelog_commit - what was taken is durable: forget it
 * @files: the file side; its group's lock is held
 */
void ckpt_filelog_commit(struct ckpt_files *files)
{
	struct ckpt_filelog *log, *next;

	lockdep_assert_held(&files->group->lock);
	list_for_each_entry_safe(log, next, &files->logs, link) {
		cond_resched();
		ckpt_pageset_clear(log->taken);
		log->is_told = false;
		log->idle = log->used ? 0 : log->idle + 1;
		log->used = false;
		if (log->idle >= IDLE_EPOCHS)
			ckpt_filelog_drop(log);
	}
}

/**
 * ckpt_filelog_retake - what was taken is live again
 * @files: the file side; its group's lock is held
 */
void ckpt_filelog_retake(struct ckpt_files *files)
{
	struct ckpt_filelog *log;

	lockdep_assert_held(&files->group->lock);
	list_for_each_entry_rcu(log, &files->logs, link, lockdep_is_held(&files->group->lock)) {
		cond_resched();
		raw_spin_lock_irq(&log->lock);
		ckpt_pageset_join(log->live, log->taken);
		raw_spin_unlock_irq(&log->lock);
		ckpt_pageset_clear(log->taken);
		log->is_told = false;
	}
}

/**
 * ckpt_filelog_free - end of the file side
 * @files: the file side, nobody else uses it
 */
void ckpt_filelog_free(struct ckpt_files *files)
{
	struct ckpt_filelog *log, *next;

	list_for_each_entry_safe(log, next, &files->logs, link)
		ckpt_filelog_drop(log);
}
