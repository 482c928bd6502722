// SPDX-License-Identifier: GPL-2.0
/*
 * File logs: the logs, and the tracepoints that fill them
 *
 * The tracepoints fire for every file of the machine, with interrupts off, so
 * what they do for a file without a log is one look into a table.
 */
#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include <linux/fs.h>
#include <linux/hash.h>
#include <linux/iomap.h>
#include <linux/major.h>
#include <linux/ptrace.h>
#include <linux/rculist.h>
#include <linux/sched/task_stack.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/tracepoint.h>

#include <trace/events/block.h>
#include <trace/events/writeback.h>

#include <asm/syscall.h>
#include <asm/unistd.h>

#include <uapi/linux/ckpt.h>

#include "filelog-parts.h"
#include "fswatch.h"
#include "group.h"
#include "limits.h"

#define TABLE_BITS 12

static struct hlist_head table[1 << TABLE_BITS];
static DEFINE_SPINLOCK(table_lock);
static unsigned int nr_logs;	/* in the table [table_lock] */

static struct hlist_head *bucket(u64 dev, u64 ino)
{
	return &table[hash_64(ino ^ hash_64(dev, 64), TABLE_BITS)];
}

static bool is_of(const struct ckpt_filelog *log, const struct inode *inode)
{
	return log->ino == inode->i_ino && log->generation == inode->i_generation &&
	       log->dev == ckpt_files_dev(inode->i_sb);
}

/* --- what is written --- */

static void add(struct ckpt_filelog *log, pgoff_t first, unsigned long pages, bool whole)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&log->lock, flags);
	if (whole) {
		log->live->whole = true;
		if (log->next)
			log->next->whole = true;
	} else {
		ckpt_pageset_add(log->live, first, pages);
		if (log->next)
			ckpt_pageset_add(log->next, first, pages);
	}
	raw_spin_unlock_irqrestore(&log->lock, flags);
}

static void written(const struct inode *inode, pgoff_t first, unsigned long pages, bool whole)
{
	struct ckpt_filelog *log;

	rcu_read_lock();
	hlist_for_each_entry_rcu(log, bucket(ckpt_files_dev(inode->i_sb), inode->i_ino), hash)
		if (is_of(log, inode))
			add(log, first, pages, whole);
	rcu_read_unlock();
}

/*
 * A page becomes dirty.  One that is stored to through a mapping is told as well,
 * but whoever maps a file may have it written by a device.
 */
static void page_dirtied(void *data, struct folio *folio, struct address_space *mapping)
{
	if (mapping->host)
		written(mapping->host, folio->index, folio_nr_pages(folio),
			mapping_writably_mapped(mapping));
}

/* Direct I/O and what makes zeros go past the pages; they are told before they begin. */
static void io_mapped(void *data, struct iomap_iter *iter, const void *ops, unsigned long caller)
{
	const unsigned int direct = IOMAP_DIRECT | IOMAP_WRITE;

	if ((iter->flags & direct) == direct)
		written(iter->inode, 0, 0, true);
	/* One that fails for want of space has zeroed all the same, and makes no event. */
	else if (iter->flags & IOMAP_ZERO && iter->len)
		written(iter->inode, iter->pos >> PAGE_SHIFT,
			(offset_in_page(iter->pos) + iter->len + PAGE_SIZE - 1) >> PAGE_SHIFT,
			false);
}

/*
 * A loop device makes holes in its file, and zeroes ranges of it, with no event and no dirty
 * page.  Which file that is, only its driver knows: any that is not on the device itself.
 * When this ends after the next take, the device is attached then.
 */
static void make_all_whole(const struct gendisk *disk)
{
	struct ckpt_filelog *log;
	size_t i;

	if (!READ_ONCE(nr_logs))
		return;
	rcu_read_lock();
	for (i = 0; i < ARRAY_SIZE(table); i++)
		hlist_for_each_entry_rcu(log, &table[i], hash)
			if (log->disk != disk)
				add(log, 0, 0, true);
	rcu_read_unlock();
}

static void request_begins(void *data, struct request *rq)
{
	switch (req_op(rq)) {
	case REQ_OP_DISCARD:
	case REQ_OP_SECURE_ERASE:
	case REQ_OP_WRITE_ZEROES:
		if (rq->q->disk && rq->q->disk->major == LOOP_MAJOR)
			make_all_whole(rq->q->disk);
		break;
	default:
		break;
	}
}

/* --- events --- */

static bool has_log(const struct ckpt_files *files, const struct inode *inode)
{
	const struct ckpt_filelog *log;
	bool has = false;

	rcu_read_lock();
	hlist_for_each_entry_rcu(log, bucket(ckpt_files_dev(inode->i_sb), inode->i_ino), hash)
		has |= log->files == files && is_of(log, inode);
	rcu_read_unlock();
	return has;
}

/**
 * ckpt_filelog_maybe - may an inode have a log
 * @inode: the inode
 *
 * Context: any, takes no lock.
 * Return: false only if it had none at one moment of the call.
 */
bool ckpt_filelog_maybe(const struct inode *inode)
{
	return !hlist_empty(bucket(ckpt_files_dev(inode->i_sb), inode->i_ino));
}

static struct ckpt_filelog *log_new(struct ckpt_files *files, struct inode *inode)
{
	const struct export_operations *export = inode->i_sb->s_export_op;
	struct ckpt_filelog *log = kzalloc(sizeof(*log), GFP_NOWAIT | __GFP_NOWARN);
	int words = ARRAY_SIZE(log->handle);

	if (!log)
		return NULL;
	log->live = kmalloc(sizeof(*log->live), GFP_NOWAIT | __GFP_NOWARN);
	log->told = kmalloc(sizeof(*log->told), GFP_NOWAIT | __GFP_NOWARN);
	log->taken = kmalloc(sizeof(*log->taken), GFP_NOWAIT | __GFP_NOWARN);
	if (!log->live || !log->told || !log->taken) {
		ckpt_filelog_destroy(log);
		return NULL;
	}
	ckpt_pageset_clear(log->live);
	ckpt_pageset_clear(log->told);
	ckpt_pageset_clear(log->taken);
	/* What was written before is not known. */
	log->live->whole = true;
	raw_spin_lock_init(&log->lock);
	log->files = files;
	log->dev = ckpt_files_dev(inode->i_sb);
	log->ino = inode->i_ino;
	log->generation = inode->i_generation;
	log->disk = inode->i_sb->s_bdev ? inode->i_sb->s_bdev->bd_disk : NULL;
	if (export && export->encode_fh)
		log->handle_type = export->encode_fh(inode, log->handle, &words, NULL);
	log->handle_words = words;
	return log;
}

/**
 * ckpt_filelog_start - an inode has a writer: have a log of it if it is worth one
 * @sub: the subscription whose roots it may be in
 * @inode: the regular file
 *
 * Context: process context, does not sleep.
 */
void ckpt_filelog_start(struct ckpt_sub *sub, struct inode *inode)
{
	struct ckpt_files *files = sub->files;
	struct ckpt_filelog *log;

	if (i_size_read(inode) < CKPT_FILELOG_SIZE_MIN || !ckpt_filelog_able() ||
	    READ_ONCE(files->nr_logs) >= CKPT_FILELOGS_MAX || has_log(files, inode) ||
	    !ckpt_filelog_fits(sub->watch, inode))
		return;
	log = log_new(files, inode);
	if (!log)
		return;
	spin_lock(&files->lock);
	if (files->nr_logs < CKPT_FILELOGS_MAX && !has_log(files, inode)) {
		files->nr_logs++;
		list_add_tail_rcu(&log->link, &files->logs);
		spin_lock(&table_lock);
		hlist_add_head_rcu(&log->hash, bucket(log->dev, log->ino));
		WRITE_ONCE(nr_logs, nr_logs + 1);
		spin_unlock(&table_lock);
		log = NULL;
	}
	spin_unlock(&files->lock);
	if (log)
		ckpt_filelog_destroy(log);
}

/*
 * Is current in a system call that changes a file through its pages alone, or
 * by direct I/O?  Who works for others is in none of its own.
 */
static bool in_plain_write(void)
{
	if ((current->flags & (PF_KTHREAD | CKPT_PF_WORKER)) || in_ia32_syscall())
		return false;
	switch (syscall_get_nr(current, current_pt_regs())) {
	case __NR_write:
	case __NR_pwrite64:
	case __NR_writev:
	case __NR_pwritev:
	case __NR_pwritev2:
		return true;
	default:
		return false;
	}
}

static void make_whole(const struct ckpt_files *files, const struct inode *inode)
{
	struct ckpt_filelog *log;

	rcu_read_lock();
	hlist_for_each_entry_rcu(log, bucket(ckpt_files_dev(inode->i_sb), inode->i_ino), hash)
		if (log->files == files && is_of(log, inode))
			add(log, 0, 0, true);
	rcu_read_unlock();
}

/**
 * ckpt_filelog_modified - current has changed the content of an inode
 * @sub: a subscription to its super block
 * @inode: the inode
 * @of_file: through an open file.  A truncation is not; it may come in the middle
 *	of a write, as that of a core dump does
 *
 * The event comes after the change.  A task of the group has left its system
 * calls when the last round of an epoch is taken; what another one is in the
 * middle of is in no log yet, so what others change makes a log whole, and
 * their change may still be one round late.
 *
 * Context: any process context, does not sleep.
 */
void ckpt_filelog_modified(struct ckpt_sub *sub, const struct inode *inode, bool of_file)
{
	if (!READ_ONCE(sub->files->nr_logs))
		return;
	if (of_file && in_plain_write() && ckpt_group_has_task(sub->files->group, current) &&
	    ckpt_filelog_pages_tell(sub->watch, inode))
		return;
	make_whole(sub->files, inode);
}

/**
 * ckpt_filelog_closed - current has closed a file that was open for writing
 * @sub: a subscription to its super block
 * @inode: the inode
 *
 * Some of what can be done to an open file makes no event, such as the exchange of its
 * blocks by a defragmenter; who is not of the group may have had it open for that.
 *
 * Context: any process context, does not sleep.
 */
void ckpt_filelog_closed(struct ckpt_sub *sub, const struct inode *inode)
{
	if (READ_ONCE(sub->files->nr_logs) && !ckpt_group_has_task(sub->files->group, current))
		make_whole(sub->files, inode);
}

/**
 * ckpt_filelog_doubt - something came into a root that nobody was told of
 * @sub: the subscription to the super block it is on
 * @inode: what came
 *
 * What was done to it elsewhere may have left no trace in its log; below a
 * directory it is not known whose logs those are, so it is all of them.
 *
 * Context: any process context, does not sleep.
 */
void ckpt_filelog_doubt(struct ckpt_sub *sub, const struct inode *inode)
{
	struct ckpt_filelog *log;

	rcu_read_lock();
	list_for_each_entry_rcu(log, &sub->files->logs, link)
		if (log->dev == sub->watch->dev &&
		    (S_ISDIR(inode->i_mode) || log->ino == inode->i_ino))
			add(log, 0, 0, true);
	rcu_read_unlock();
}

/* --- for the takes --- */

/**
 * ckpt_filelog_find - the log of an inode
 * @files: the file side; its group's lock is held
 * @key: the inode
 *
 * Return: the log or NULL.
 */
struct ckpt_filelog *ckpt_filelog_find(struct ckpt_files *files, const struct ckpt_change *key)
{
	struct ckpt_filelog *log, *found = NULL;

	rcu_read_lock();
	hlist_for_each_entry_rcu(log, bucket(key->dev, key->ino), hash)
		if (log->files == files && log->ino == key->ino && log->dev == key->dev &&
		    log->generation == key->generation)
			found = log;
	rcu_read_unlock();
	return found;
}

/**
 * ckpt_filelog_destroy - free a log that nobody can find
 * @log: the log
 */
void ckpt_filelog_destroy(struct ckpt_filelog *log)
{
	kfree(log->live);
	kfree(log->told);
	kfree(log->taken);
	kfree(log);
}

static void destroy_rcu(struct rcu_head *rcu)
{
	ckpt_filelog_destroy(container_of(rcu, struct ckpt_filelog, rcu));
}

/**
 * ckpt_filelog_drop - forget a log
 * @log: the log; the group's lock is held
 */
void ckpt_filelog_drop(struct ckpt_filelog *log)
{
	struct ckpt_files *files = log->files;

	spin_lock(&files->lock);
	files->nr_logs--;
	list_del_rcu(&log->link);
	spin_lock(&table_lock);
	hlist_del_rcu(&log->hash);
	WRITE_ONCE(nr_logs, nr_logs - 1);
	spin_unlock(&table_lock);
	spin_unlock(&files->lock);
	call_rcu(&log->rcu, destroy_rcu);
}

/* --- the module --- */

/* What the kernel has to tell; the header of iomap_iter is not for modules. */
static struct point {
	const char *name;
	void *probe;
	struct tracepoint *tp;
} points[] = {
	{ "writeback_dirty_folio", page_dirtied },
	{ "iomap_iter", io_mapped },
	{ "block_rq_issue", request_begins },
};

static bool able;

static void find_points(struct tracepoint *tp, void *data)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(points); i++)
		if (!strcmp(tp->name, points[i].name))
			points[i].tp = tp;
}

/* Listen no more to the first @n of the points. */
static void leave_points(size_t n)
{
	while (n--)
		tracepoint_probe_unregister(points[n].tp, points[n].probe, NULL);
	tracepoint_synchronize_unregister();
}

/**
 * ckpt_filelog_able - can this kernel tell which pages are written
 *
 * Return: true if it can.
 */
bool ckpt_filelog_able(void)
{
	return able;
}

/**
 * ckpt_filelog_init - listen to the kernel
 *
 * Without one of the tracepoints no ranges are told, and all else works.
 */
void ckpt_filelog_init(void)
{
	size_t i;

	check_trace_callback_type_writeback_dirty_folio(page_dirtied);
	check_trace_callback_type_block_rq_issue(request_begins);
	for_each_kernel_tracepoint(find_points, NULL);
	for (i = 0; i < ARRAY_SIZE(points); i++) {
		if (points[i].tp &&
		    !tracepoint_probe_register(points[i].tp, points[i].probe, NULL))
			continue;
		leave_points(i);
		return;
	}
	able = true;
}

/**
 * ckpt_filelog_exit - and no more; no group is left
 */
void ckpt_filelog_exit(void)
{
	if (able)
		leave_points(ARRAY_SIZE(points));
	rcu_barrier();
}
