/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Restore of the roots: make the trees equal to those of a checkpoint
 *
 * Prepare compares, gets everything that differs ready in a stage beside each
 * root and writes the journals; the roots are as they were.  The files outside the
 * roots are restored with them, each as if it were a root.  Commit decides for
 * all roots with one rename and then puts things in place; from there it can
 * only go forward.  Whatever happens in between, ckpt_fs_recover makes the roots
 * old (before the decision) or new (after it), all of them.
 *
 * Only what differs is touched.  Replaced files get new inode numbers and new
 * change times; a file with a hard link outside the roots is replaced inside
 * alone.  Nobody may work in the roots meanwhile.
 */
#ifndef CKPT_FS_RESTORE_H
#define CKPT_FS_RESTORE_H

#include "fs/loose.h"
#include "fs/table.h"

struct ckpt_fs_restore;

/**
 * ckpt_fs_restore_prepare - get ready all that differs
 * @image: table of the checkpoint, kept until ckpt_fs_restore_free
 * @loose, @n_loose: files outside the roots
 * @source: its pages
 * @ret: to be committed or rolled back, then freed
 *
 * On failure everything staged is removed again.
 */
int ckpt_fs_restore_prepare(struct ckpt_fs_table *image, const struct ckpt_fs_loose *loose,
			    size_t n_loose, const struct ckpt_source *source,
			    struct ckpt_fs_restore **ret, struct ckpt_fs_stats *stats,
			    struct ckpt_err *err);

/* Put everything in place. After a failure: ckpt_fs_recover for every root. */
int ckpt_fs_restore_commit(struct ckpt_fs_restore *r, struct ckpt_err *err);

/* Before commit: remove what was staged; the roots are as they were. */
int ckpt_fs_restore_rollback(struct ckpt_fs_restore *r, struct ckpt_err *err);

/* How many entries of the roots, and files outside, will be, or were, put or changed. */
size_t ckpt_fs_restore_count(const struct ckpt_fs_restore *r);

void ckpt_fs_restore_free(struct ckpt_fs_restore *r);

/**
 * ckpt_fs_verify - compare the roots with a checkpoint
 * @ret_n: number of differences
 * @ret_list: one line for each, "PATH: what"
 *
 * Content is compared by bytes, except where inode and times prove that a file
 * was never touched since it was captured.
 *
 * Return: 0 when the comparison could be made.
 */
int ckpt_fs_verify(struct ckpt_fs_table *image, const struct ckpt_source *source, size_t *ret_n,
		   struct ckpt_buf *ret_list, struct ckpt_fs_stats *stats, struct ckpt_err *err);

enum ckpt_fs_recovered {
	CKPT_FS_NOTHING_LEFT,	/* no restore was interrupted */
	CKPT_FS_UNDONE,		/* the root is as it was before */
	CKPT_FS_FINISHED,	/* the root is as the checkpoint has it */
};

/**
 * ckpt_fs_recover - finish or undo a restore that was interrupted
 * @path: any root of it
 *
 * What was put where the restore still has something to do is newer work: then
 * nothing of it is touched, and the call is refused until it was moved away.
 */
int ckpt_fs_recover(const char *path, enum ckpt_fs_recovered *ret, struct ckpt_err *err);

/*
 * The same for a file outside the roots.  A restore that has roots is found through them,
 * one that has none only so.
 */
int ckpt_fs_recover_file(const char *path, enum ckpt_fs_recovered *ret, struct ckpt_err *err);

/* Whether an interrupted restore of the root was decided, so that it can only be finished. */
int ckpt_fs_pending(const char *path, bool *ret, struct ckpt_err *err);

#endif
