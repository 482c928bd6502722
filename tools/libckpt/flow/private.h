/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Private directory: TMPDIR of a group and what its first command writes
 *
 * TOP/NAME with tmp/ and log in it.  It may lie where others can write (/var/tmp), so
 * nothing that somebody else has put there is used, and no link is followed in it.
 */
#ifndef CKPT_FLOW_PRIVATE_H
#define CKPT_FLOW_PRIVATE_H

#include "base/err.h"

/**
 * ckpt_private_make - make a group's directory, or take the one that is there
 * @top: made when it is not there; its directory must be
 * @name: of the group
 * @ret: TOP/NAME without links, allocated
 * @ret_fd: the same, opened
 *
 * Refused when it, or @top, belongs to somebody else or can be changed by others.
 */
int ckpt_private_make(const char *top, const char *name, char **ret, int *ret_fd,
		      struct ckpt_err *err);

/**
 * ckpt_private_log - open the file that takes what the command writes
 * @dir: from ckpt_private_make
 * @path: of it, for messages
 *
 * Return: descriptor to append by, or -1.
 */
int ckpt_private_log(int dir, const char *path, struct ckpt_err *err);

#endif
