/* SPDX-License-Identifier: GPL-2.0 */
/*
 * File logs: what their parts share
 */
#ifndef _CKPT_FILELOG_PARTS_H
#define _CKPT_FILELOG_PARTS_H

#include <linux/exportfs.h>
#include <linux/list.h>
#include <linux/rcupdate.h>
#include <linux/spinlock.h>

#include "filelog.h"
#include "pageset.h"

struct ckpt_watch;
struct gendisk;

/**
 * struct ckpt_filelog - the log of one inode for one group
 * @hash: in the table of all logs
 * @link: in files->logs
 * @rcu: delays the end
 * @files: the group's file side
 * @dev: with @ino and @generation the key, as in struct ckpt_change
 * @ino: inode number
 * @generation: i_generation
 * @disk: of its file system, or NULL; compared only
 * @lock: guards the content of @live and @next, and which sets they are
 * @live: written or dirty since the log was taken last
 * @next: during a take: what @live will be
 * @told: what the last take found [group->lock]
 * @taken: what was taken since the last commit [group->lock]
 * @is_told: @told is of the last round and complete [group->lock]
 * @used: taken since the last commit [group->lock]
 * @idle: epochs in a row in which it was not [group->lock]
 * @size: of the file when the log was taken last [group->lock]
 * @handle: finds the inode where numbers do not, of type @handle_type
 */
struct ckpt_filelog {
	struct hlist_node hash;
	struct list_head link;
	struct rcu_head rcu;
	struct ckpt_files *files;
	u64 dev;
	u64 ino;
	u32 generation;
	const struct gendisk *disk;
	raw_spinlock_t lock;
	struct ckpt_pageset *live, *next;
	struct ckpt_pageset *told, *taken;
	bool is_told;
	bool used;
	u8 idle;
	loff_t size;
	u32 handle[8];
	int handle_words;
	int handle_type;
};

/* filelog.c */
struct ckpt_filelog *ckpt_filelog_find(struct ckpt_files *files, const struct ckpt_change *key);
void ckpt_filelog_destroy(struct ckpt_filelog *log);
void ckpt_filelog_drop(struct ckpt_filelog *log);

/* filelog-take.c */
bool ckpt_filelog_fits(struct ckpt_watch *watch, const struct inode *inode);
bool ckpt_filelog_pages_tell(struct ckpt_watch *watch, const struct inode *inode);

#endif
