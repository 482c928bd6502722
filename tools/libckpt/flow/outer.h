/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Outer files: what the tree uses and no root holds
 *
 * Writable ones, deleted ones and those that have a lease for writing are captured with their
 * content.  Those that
 * are only read (libraries, executables) must be the same at restore; their
 * hash is kept.
 */
#ifndef CKPT_FLOW_OUTER_H
#define CKPT_FLOW_OUTER_H

#include "base/pages.h"
#include "fs/extern.h"
#include "fs/loose.h"
#include "fs/table.h"
#include "proc/image.h"

/**
 * struct ckpt_outer - all of them
 * @read: files that are only read
 * @written: files that somebody can write
 * @stopped_ns: ckpt_fs_now_ns() when the tree stood still and its files were not yet looked at
 * @read.quiet: what must not be opened as it is
 */
struct ckpt_outer {
	struct ckpt_fs_externs read;
	struct ckpt_fs_loose *written;
	size_t n_written;
	int64_t stopped_ns;
};

void ckpt_outer_done(struct ckpt_outer *outer);

/**
 * ckpt_outer_capture - content that cannot be had after the release
 * @image: the stopped tree; size and space of each captured file are filled in
 * @table: the roots, whose files are left to them
 */
int ckpt_outer_capture(struct ckpt_outer *outer, struct ckpt_image *image,
		       const struct ckpt_fs_table *table, const struct ckpt_sink *sink,
		       struct ckpt_fs_stats *stats, struct ckpt_err *err);

/* Spaces that the parent's image has for such files, which this one does not share. */
int ckpt_outer_drop(const struct ckpt_image *parent, const struct ckpt_sink *sink,
		    struct ckpt_err *err);

/**
 * ckpt_outer_hash - after the release: hash what is only read
 * @outer: with stopped_ns set
 * @image: says what each file was inside the stop
 * @parent: saves reading again
 *
 * Refused when a file is not what it was then, or may have changed without a trace.
 */
int ckpt_outer_hash(struct ckpt_outer *outer, const struct ckpt_image *image,
		    const struct ckpt_fs_table *table, const struct ckpt_outer *parent,
		    struct ckpt_err *err);

int ckpt_outer_encode(const struct ckpt_outer *outer, struct ckpt_buf *ret, struct ckpt_err *err);
int ckpt_outer_decode(const void *data, size_t len, struct ckpt_outer *ret, struct ckpt_err *err);

/* Before a restore: refuse when a file that is only read is another one now. */
int ckpt_outer_check(const struct ckpt_outer *outer, struct ckpt_err *err);

#endif
