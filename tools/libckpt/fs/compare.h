/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Comparison of live roots with those of a checkpoint. */
#ifndef CKPT_FS_COMPARE_H
#define CKPT_FS_COMPARE_H

#include "fs/journal.h"
#include "fs/table.h"

enum ckpt_fs_finding_kind {
	CKPT_FS_EXTRA,		/* on the disk alone */
	CKPT_FS_MISSING,	/* in the image alone, with all below it */
	CKPT_FS_REPLACE,	/* another type, content or link structure */
	CKPT_FS_META,		/* other metadata on the right content */
};

/**
 * struct ckpt_fs_finding - one difference
 * @kind: enum ckpt_fs_finding_kind
 * @inode: of the image; NULL for CKPT_FS_EXTRA
 * @path: relative to the root, owned; "" the root itself
 * @what: what differs, in words
 * @live_dir: it is a directory on the disk
 * @was: what is on the disk
 */
struct ckpt_fs_finding {
	enum ckpt_fs_finding_kind kind;
	struct ckpt_fs_inode *inode;
	char *path;
	const char *what;
	bool live_dir;
	struct ckpt_fs_was was;
};

/**
 * struct ckpt_fs_compare - a comparison of all roots of a table
 * @image: the table of the checkpoint; its inodes learn their keepers
 * @source: content
 * @live: inodes on the disk that are taken already
 * @found, @n, @cap: the differences in the root compared last
 */
struct ckpt_fs_compare {
	struct ckpt_fs_table *image;
	const struct ckpt_source *source;
	struct ckpt_fs_table *live;
	struct ckpt_fs_finding *found;
	size_t n, cap;
	struct ckpt_fs_stats *stats;
};

int ckpt_fs_compare_start(struct ckpt_fs_compare *c, struct ckpt_fs_table *image,
			  const struct ckpt_source *source, struct ckpt_fs_stats *stats,
			  struct ckpt_err *err);
void ckpt_fs_compare_done(struct ckpt_fs_compare *c);

/**
 * ckpt_fs_compare_root - find all differences of one root
 * @root: with root->fd open, or -1 when there is nothing or no directory at its path
 * @other: something that is no directory is in its place
 *
 * Keepers last over all roots, so that hard links between roots are found.
 */
int ckpt_fs_compare_root(struct ckpt_fs_compare *c, struct ckpt_fs_root *root, bool other,
			 struct ckpt_err *err);

#endif
