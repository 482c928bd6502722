/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stage directory of a root: where a restore gets its changes ready. */
#ifndef CKPT_FS_STAGE_H
#define CKPT_FS_STAGE_H

#include <stdbool.h>

#include "base/err.h"
#include "fs/meta.h"

/**
 * struct ckpt_fs_stage - a root and its stage
 * @path: of the root
 * @name: last component of @path
 * @parent: O_PATH descriptor of the directory that holds the root
 * @root: O_PATH descriptor of the root, -1 when no directory is there
 * @other: something else is there
 * @inside: the root is a mount point, so the stage is inside it
 * @fd: the stage, locked; -1 while there is none
 */
struct ckpt_fs_stage {
	char *path;
	const char *name;
	int parent, root, fd;
	bool other, inside;
};

#define CKPT_FS_STAGE_INIT { .parent = -1, .root = -1, .fd = -1 }

void ckpt_fs_stage_done(struct ckpt_fs_stage *s);
#define cleanup_stage __attribute__((cleanup(ckpt_fs_stage_done)))

/**
 * ckpt_fs_stage_locate - look at a root
 * @make_parent: create the directories above it when they are gone
 */
int ckpt_fs_stage_locate(struct ckpt_fs_stage *s, const char *path, bool make_parent,
			 struct ckpt_err *err);

/* Make the stage; one that is there already is refused. */
int ckpt_fs_stage_make(struct ckpt_fs_stage *s, struct ckpt_err *err);

/**
 * ckpt_fs_stage_open - open and lock a stage that was left; changes nothing
 *
 * Return: 1 with s->fd set, 0 when there is none, -1 error.
 */
int ckpt_fs_stage_open(struct ckpt_fs_stage *s, struct ckpt_err *err);

/* What the root's times shall be once the stage inside is gone. */
int ckpt_fs_stage_times(struct ckpt_fs_stage *s, int64_t atime_ns, int64_t mtime_ns,
			struct ckpt_err *err);

/**
 * ckpt_fs_stage_settle - put the times back that were noted, if any were
 *
 * For a root whose stage is gone.
 */
int ckpt_fs_stage_settle(struct ckpt_fs_stage *s, struct ckpt_err *err);

/* Remove the stage with all in it; the root's times stay, or become what was said. */
int ckpt_fs_stage_remove(struct ckpt_fs_stage *s, struct ckpt_err *err);

#endif
