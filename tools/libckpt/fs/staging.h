/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Staging: nodes of a checkpoint made anew in a stage directory. */
#ifndef CKPT_FS_STAGING_H
#define CKPT_FS_STAGING_H

#include "fs/table.h"

/**
 * struct ckpt_fs_staged - where a copy of an inode with several names is
 * @stage: descriptor of the stage
 * @path: in it, owned
 */
struct ckpt_fs_staged {
	int stage;
	char *path;
};

/**
 * struct ckpt_fs_staging - the copies made so far, for all roots
 * @source: content
 * @buf: CKPT_FS_CHUNK bytes
 * @copies: inode->staged - 1 is an index
 */
struct ckpt_fs_staging {
	const struct ckpt_source *source;
	void *buf;
	struct ckpt_fs_staged *copies;
	size_t n;
	struct ckpt_fs_stats *stats;
};

void ckpt_fs_staging_start(struct ckpt_fs_staging *s, const struct ckpt_source *source, void *buf,
			   struct ckpt_fs_stats *stats);
void ckpt_fs_staging_done(struct ckpt_fs_staging *s);

/**
 * ckpt_fs_staging_put - make @inode, with all below it, as @path in a stage
 *
 * A hard link becomes a link to the inode's keeper in its root, or to the copy
 * made before.
 */
int ckpt_fs_staging_put(struct ckpt_fs_staging *s, int stage, const char *path,
			struct ckpt_fs_inode *inode, struct ckpt_err *err);

#endif
