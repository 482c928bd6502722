/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files of a checkpoint: the roots of a group over all rounds. */
#ifndef CKPT_FLOW_FILES_H
#define CKPT_FLOW_FILES_H

#include <stdbool.h>

#include "base/pages.h"
#include "flow/tagged.h"
#include "fs/capture.h"
#include "proc/image.h"
#include "track/take.h"

/**
 * struct ckpt_files - the roots while they are captured
 * @table: nodes of all roots, as the parent left them, brought up to date
 * @inodes_known: the tracker names what changed since the epoch began
 * @by_changes: rounds follow the tracker; else the next one is a scan
 * @ranges_known: what was written is told since the parent, which has all content: a scan
 *	leaves the content of files alone whose times are the parent's
 * @stats: what was read
 */
struct ckpt_files {
	struct ckpt_fs_table *table;
	bool inodes_known;
	bool by_changes;
	bool ranges_known;
	struct ckpt_fs_stats stats;
};

void ckpt_files_done(struct ckpt_files *files);

/**
 * ckpt_files_open - start from the parent's table, or from nothing
 * @group: its roots
 * @source, @blob, @len: the parent's table; @source NULL without a parent
 * @inodes_known: the tracker names every change since the epoch began
 * @trusted: and every change since the parent, whose inode numbers are those
 *	of the live roots
 */
int ckpt_files_open(struct ckpt_files *files, const struct ckpt_tagged *group,
		    const struct ckpt_source *source, const void *blob, size_t len,
		    bool inodes_known, bool trusted, struct ckpt_err *err);

/**
 * ckpt_files_round - capture what changed
 *
 * After one live scan that began when the epoch was open the table has the
 * live inode numbers, and the tracker's word is enough.
 *
 * @changes: the tracker's word; ignored when every round is a scan
 * @image: final round of a scan: files that a stopped task can write are
 *	compared by content; else NULL
 * @final: the group is stopped
 */
int ckpt_files_round(struct ckpt_files *files, const struct ckpt_inode_take *changes,
		     const struct ckpt_image *image, bool final, const struct ckpt_sink *sink,
		     struct ckpt_err *err);

/* As ckpt_stop_params.path_of, with struct ckpt_files as its argument: names in the roots. */
char *ckpt_files_path(const void *files, uint64_t ino, size_t nth);

#endif
