/* SPDX-License-Identifier: GPL-2.0 */
/*
 * File logs: which pages of a file were written since it was told last
 *
 * A big file with a writer gets a log.  The kernel's tracepoints fill it: a
 * page of the page cache that goes from clean to dirty adds itself, direct I/O
 * makes the log whole.  A page that is dirty already when it is written again is
 * silent, so a take carries the pages that are dirty then over into what comes
 * after it.  What is told to have changed a file in any other way than by a plain
 * write, or may have, makes the log whole: then no ranges are told.  A loop device
 * does what is never told: while one is attached the log is whole, and what one
 * discards or zeroes makes all logs whole.
 *
 * REFCNT
 * None: a log lives from ckpt_filelog_start to the commit that finds it unused,
 * or to the end of its group, and RCU keeps it for the tracepoints.
 *
 * LOCKING
 * group->lock: takes, commits, aborts, told ranges; only they free a log.
 * files->lock > table lock: a log comes.  log->lock is innermost and is taken
 * with interrupts off, under the lock of a mapping's pages.
 *
 * LIFETIME
 * No inode is referenced: a key names it.
 */
#ifndef _CKPT_FILELOG_H
#define _CKPT_FILELOG_H

#include <linux/types.h>

struct ckpt_change;
struct ckpt_files;
struct ckpt_pageset;
struct ckpt_sub;
struct inode;

void ckpt_filelog_init(void);
void ckpt_filelog_exit(void);
bool ckpt_filelog_able(void);

/* Events. */
void ckpt_filelog_start(struct ckpt_sub *sub, struct inode *inode);
void ckpt_filelog_modified(struct ckpt_sub *sub, const struct inode *inode, bool of_file);
void ckpt_filelog_closed(struct ckpt_sub *sub, const struct inode *inode);
bool ckpt_filelog_maybe(const struct inode *inode);
void ckpt_filelog_doubt(struct ckpt_sub *sub, const struct inode *inode);

/* Epochs; the change sets come first. */
void ckpt_filelog_take(struct ckpt_files *files);
void ckpt_filelog_commit(struct ckpt_files *files);
void ckpt_filelog_retake(struct ckpt_files *files);
void ckpt_filelog_free(struct ckpt_files *files);
const struct ckpt_pageset *ckpt_filelog_told(struct ckpt_files *files,
					     const struct ckpt_change *key);

#endif
