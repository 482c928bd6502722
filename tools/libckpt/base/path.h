/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Paths of what may not be there yet. */
#ifndef CKPT_BASE_PATH_H
#define CKPT_BASE_PATH_H

#include <stdbool.h>

/**
 * ckpt_path_resolve - a path without links
 * @path: of something, or of what is to be made
 * @ret_there: whether it is there; may be NULL
 *
 * Return: it, or where it is not there the nearest directory above it, allocated; NULL with
 * errno.
 */
char *ckpt_path_resolve(const char *path, bool *ret_there);

#endif
