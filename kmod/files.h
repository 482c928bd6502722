/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The file side of a group: its roots and its change sets
 *
 * group.c and epoch.c know files through these calls alone; behind them are
 * fswatch.c (fsnotify), suspect.c (what events cannot show) and changeset.c
 * (the pure sets).
 *
 * LOCKING
 * epoch calls (take, commit, abort, dump) and root calls run under the
 * group's mutex; fsnotify events come at any time, under the set's spinlock.
 */
#ifndef _CKPT_FILES_H
#define _CKPT_FILES_H

#include <linux/types.h>

struct ckpt_group;
struct ckpt_files;
struct ckpt_pageset;
struct netlink_ext_ack;

/**
 * struct ckpt_change - what is told of one inode
 * @dev: major << 32 | minor of the super block
 * @ino: inode number
 * @generation: i_generation
 * @mask: CKPT_INODE_*
 * @flags: CKPT_INODE_F_*
 */
struct ckpt_change {
	u64 dev;
	u64 ino;
	u32 generation;
	u32 mask;
	u32 flags;
};

int ckpt_files_module_init(void);
void ckpt_files_module_exit(void);

/* One per group; create may sleep. */
struct ckpt_files *ckpt_files_create(struct ckpt_group *group);
void ckpt_files_destroy(struct ckpt_files *files);

int ckpt_files_root_add(struct ckpt_files *files, const char *path, struct netlink_ext_ack *extack);
int ckpt_files_root_del(struct ckpt_files *files, const char *path, struct netlink_ext_ack *extack);
/* The path of root @index as it was given, or NULL past the end. */
const char *ckpt_files_root(struct ckpt_files *files, unsigned int index);

/* The live set becomes the set of this round and joins the taken set. */
void ckpt_files_take(struct ckpt_files *files, bool final);
void ckpt_files_commit(struct ckpt_files *files);
/* Taken is taken once more by the next round. */
void ckpt_files_retake(struct ckpt_files *files);
/* Taken joins live again. */
void ckpt_files_abort(struct ckpt_files *files);
/*
 * Change @index of the last round in a stable order, and the pages of it, valid while the lock
 * is held; NULL without F_RANGES.  Return: 0, or -ENOENT past the end.
 */
int ckpt_files_round_get(struct ckpt_files *files, unsigned long index, struct ckpt_change *ret,
			 const struct ckpt_pageset **ret_pages);

/* Count something that changed and cannot be named. */
void ckpt_files_lose(struct ckpt_files *files);

u64 ckpt_files_changed(struct ckpt_files *files);	/* live */
u64 ckpt_files_round_count(struct ckpt_files *files);
u64 ckpt_files_lost(struct ckpt_files *files);		/* since the last commit */

#endif
