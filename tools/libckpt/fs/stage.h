/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stage directory of a root: where a restore gets its changes ready
 *
 * A file outside the roots has one as well: for a stage it is a root that is a file.
 */
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
 * @file: it is a file outside the roots; @root is -1
 * @mount_len: length of the part of @path that is the mount point of @parent
 * @fd: the stage, locked; -1 while there is none
 * @undecided: the operations are looked at before the decision
 */
struct ckpt_fs_stage {
	char *path;
	const char *name;
	int parent, root, fd;
	bool other, inside, file, undecided;
	size_t mount_len;
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

/**
 * ckpt_fs_stage_locate_file - look at a file outside the roots
 * @path: no link is on the way: one that is there now leads elsewhere, and is refused
 *
 * s->parent is -1 when there is no directory for it.
 */
int ckpt_fs_stage_locate_file(struct ckpt_fs_stage *s, const char *path, struct ckpt_err *err);

/* For sentences. */
static inline const char *ckpt_fs_stage_noun(const struct ckpt_fs_stage *s)
{
	return s->file ? "file" : "root";
}

/*
 * Is an entry of a directory a stage?  One in a root is that of another restore, of a file
 * outside the roots of a group: it is no content, and nobody else takes it away.
 */
bool ckpt_fs_is_stage(const char *name, const struct ckpt_fs_meta *m);

/* Where the stage is or would be: allocated, for sentences. */
char *ckpt_fs_stage_place(const struct ckpt_fs_stage *s);

/* Does a reboot take the stage along? */
bool ckpt_fs_stage_forgets(const struct ckpt_fs_stage *s);

/* Make durable what is in the stage and what was put in place from it. */
int ckpt_fs_stage_sync(const struct ckpt_fs_stage *s, struct ckpt_err *err);

/* Make the stage; one that is there already is refused. */
int ckpt_fs_stage_make(struct ckpt_fs_stage *s, struct ckpt_err *err);

/**
 * ckpt_fs_stage_open - open and lock a stage that was left; changes nothing
 *
 * Return: 1 with s->fd set, 0 when there is none, -1 error.
 */
int ckpt_fs_stage_open(struct ckpt_fs_stage *s, struct ckpt_err *err);

/* Is something else by now where the root, or the directory of the file, was found? */
bool ckpt_fs_stage_moved(const struct ckpt_fs_stage *s);

/* Is something of that name in the stage? */
bool ckpt_fs_stage_has(const struct ckpt_fs_stage *s, const char *name);

/* What the root's times shall be once the stage inside is gone. */
int ckpt_fs_stage_times(struct ckpt_fs_stage *s, int64_t atime_ns, int64_t mtime_ns,
			struct ckpt_err *err);

/**
 * ckpt_fs_stage_settle - put the times back that were noted, if any were
 *
 * For a root whose stage is gone.
 */
int ckpt_fs_stage_settle(struct ckpt_fs_stage *s, struct ckpt_err *err);

/* Remove the stage with all in it, durably; the root's times stay, or become what was said. */
int ckpt_fs_stage_remove(struct ckpt_fs_stage *s, struct ckpt_err *err);

#endif
