/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Plan of a restore: what its steps share. */
#ifndef CKPT_FS_PLAN_H
#define CKPT_FS_PLAN_H

#include <sys/resource.h>

#include "fs/journal.h"
#include "fs/restore.h"
#include "fs/stage.h"

/**
 * struct ckpt_fs_plan - what is to be done to one root, or to a file outside the roots
 * @stage: the root and its stage; stage.fd -1: nothing differs
 * @ops: records of the operations
 * @next: number of the next staged entry
 * @count: entries of the root that differ
 * @differs, @was: of a file: that it must be put back, and what is at its path
 * @dir_dev, @dir_ino: of a file: its directory
 */
struct ckpt_fs_plan {
	struct ckpt_fs_stage stage;
	struct ckpt_buf ops;
	uint64_t next;
	size_t count;
	bool differs;
	struct ckpt_fs_was was;
	uint64_t dir_dev, dir_ino;
};

/**
 * struct ckpt_fs_restore - a restore under way
 * @plans: of the roots, then of the files outside them
 * @first: the plan that decides for all: where a reboot leaves it alone, if there is such a one
 * @limit: of open files, as it was; each file that differs holds some until the end
 * @teller: the root that names the files; NULL when no file differs, or no root takes a stage
 */
struct ckpt_fs_restore {
	struct ckpt_fs_table *image;
	const struct ckpt_fs_loose *loose;
	struct ckpt_fs_plan *plans;
	struct ckpt_fs_plan *first, *teller;
	size_t n_loose, n_plans;
	struct rlimit limit;
	bool committed;
};

int ckpt_fs_plan_make_stage(struct ckpt_fs_plan *p, struct ckpt_err *err);
/* Choose the root that decides; the roots are compared. */
void ckpt_fs_plan_choose(struct ckpt_fs_restore *r);
/* Append a root or a file to a journal. */
void ckpt_fs_plan_name(struct ckpt_buf *b, const struct ckpt_fs_plan *p);

/*
 * Which files outside the roots differ is seen when the roots were compared.  When some do,
 * a root gets a stage that names them, and each gets one with what shall be there.  Where no
 * root can have one that lasts, a file decides.
 */
int ckpt_fs_plan_loose(struct ckpt_fs_restore *r, const struct ckpt_source *source,
		       struct ckpt_fs_stats *stats, struct ckpt_err *err);

#endif
