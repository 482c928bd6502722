/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Capture of the roots: by a scan, or by a list of changed inodes
 *
 * A checkpoint loads the table of its parent (or starts with an empty one), runs
 * any number of live rounds, one final round while the tree stands still, and
 * stores the table after the release.  Content goes to the sink at once.
 *
 * In a live round files come and go while they are read: what was missed or
 * read torn must come up in a later round.  The final round reads a tree at
 * rest; a file that changes nevertheless (a writer outside the group) is an error.
 *
 * Changes may be used only while inode numbers in the table are those of the live
 * tree: the parent was captured from this very tree and no restore came between.
 * After a restore or a lost event, scan.
 */
#ifndef CKPT_FS_CAPTURE_H
#define CKPT_FS_CAPTURE_H

#include <linux/ckpt.h>

#include "fs/table.h"

#define CKPT_FS_FINAL (1u << 0)	/* the tree is stopped */
#define CKPT_FS_AUDIT (1u << 1)	/* trust no time stamp: read everything */

/**
 * struct ckpt_fs_change - one inode of a change set
 * @dev: super block, major << 32 | minor
 * @ino: inode number
 * @mask: CKPT_INODE_*
 * @flags: CKPT_INODE_F_*
 * @ranges: with CKPT_INODE_F_RANGES: the pages that may differ from what the file held when
 *	it was captured last; sorted, disjoint; not owned
 */
struct ckpt_fs_change {
	uint64_t dev, ino;
	uint32_t mask, flags;
	const struct ckpt_extent *ranges;
	size_t n_ranges;
};

/**
 * ckpt_fs_scan - walk all roots and capture what differs from the table
 * @flags: CKPT_FS_*
 * @suspects: inodes that may change without a trace (open for writing or
 *	mapped writable in the group): their content is compared, now and the
 *	next time; only @ino and @flags count, a false match costs a read
 *
 * Equal device, inode, size and times mean equal content only if the file was
 * not touched around the time it was read, was no suspect then, and is on a file
 * system whose times can be trusted; everything else is read again.
 */
int ckpt_fs_scan(struct ckpt_fs_table *t, const struct ckpt_sink *sink, unsigned int flags,
		 const struct ckpt_fs_change *suspects, size_t n_suspects,
		 struct ckpt_fs_stats *stats, struct ckpt_err *err);

/**
 * ckpt_fs_changes - capture what a change set names
 * @changes: any order, duplicates allowed; inodes outside the roots are ignored
 *
 * Work is proportional to the changes: no other directory is opened, except
 * where the table turns out not to match what is there.  Ranges are followed where the
 * table has the content that they are to be put upon; else all is read.
 */
int ckpt_fs_changes(struct ckpt_fs_table *t, const struct ckpt_sink *sink, unsigned int flags,
		    const struct ckpt_fs_change *changes, size_t n_changes,
		    struct ckpt_fs_stats *stats, struct ckpt_err *err);

#endif
