/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Walk: all that is below a directory, without crossing mounts or following links. */
#ifndef CKPT_FS_WALK_H
#define CKPT_FS_WALK_H

#include "fs/meta.h"

/**
 * ckpt_fs_visit_fn - called for each entry
 * @path: relative to the directory
 * @m: without target and extended attributes
 *
 * Return: 0 to go on; anything else ends the walk.
 */
typedef int (*ckpt_fs_visit_fn)(void *arg, const char *path, const struct ckpt_fs_meta *m);

/**
 * ckpt_fs_walk - visit all that is below a directory, what holds an entry before the entry
 * @dirfd, @name: the directory; anything else holds nothing
 *
 * Return: 0, what a visit returned, or -errno.
 */
int ckpt_fs_walk(int dirfd, const char *name, ckpt_fs_visit_fn visit, void *arg);

#endif
