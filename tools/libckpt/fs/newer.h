/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Newer work: what has changed in a directory since a restore was planned. */
#ifndef CKPT_FS_NEWER_H
#define CKPT_FS_NEWER_H

#include <stdint.h>

/**
 * ckpt_fs_newer - look for something below a directory that has changed
 * @dirfd, @name: the directory; anything else holds nothing
 * @since_ns: time of its file system; a change in the same tick is not seen
 * @ret_path: relative to the directory, allocated; NULL when nothing has changed
 *
 * Of a file with several names only the content counts: what happens to
 * another name of it changes it here as well.
 *
 * Return: 0 or -errno.
 */
int ckpt_fs_newer(int dirfd, const char *name, int64_t since_ns, char **ret_path);

#endif
