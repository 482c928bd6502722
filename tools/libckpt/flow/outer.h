/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Outer files: what the tree uses and no root holds
 *
 * Writable ones and deleted ones are captured with their content.  Those that
 * are only read (libraries, executables) must be the same at restore; their
 * hash is kept, and taken from the parent while inode and times are the same.
 */
#ifndef CKPT_FLOW_OUTER_H
#define CKPT_FLOW_OUTER_H

#include "base/pages.h"
#include "fs/table.h"
#include "proc/image.h"

/**
 * ckpt_outer_capture - content that cannot be had after the release
 * @image: the stopped tree; the space of each captured file is filled in
 * @table: the roots, whose files are left to them
 */
int ckpt_outer_capture(struct ckpt_image *image, const struct ckpt_fs_table *table,
		       const struct ckpt_sink *sink, struct ckpt_fs_stats *stats,
		       struct ckpt_err *err);

/* The record of the files that are only read; @old: the parent's, may be empty. */
int ckpt_outer_encode(const struct ckpt_image *image, const struct ckpt_fs_table *table,
		      const struct ckpt_buf *old, struct ckpt_buf *ret, struct ckpt_err *err);

/* Before a restore: refuse when one of them is another file now. */
int ckpt_outer_check(const void *data, size_t len, struct ckpt_err *err);

/* Put captured files outside the roots back, each by one rename. */
int ckpt_outer_restore(const struct ckpt_image *image, const struct ckpt_source *source,
		       struct ckpt_fs_stats *stats, struct ckpt_err *err);

#endif
