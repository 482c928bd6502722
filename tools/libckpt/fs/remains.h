/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Remains: what is left of a directory whose removal was interrupted
 *
 * Where a directory cannot be renamed out of the way it is removed in its place, after a
 * list of all that is in it was written.  What is there later and not in the list, as it
 * was, is newer work.
 */
#ifndef CKPT_FS_REMAINS_H
#define CKPT_FS_REMAINS_H

/**
 * ckpt_fs_remains_list - write, durably, what is in a directory
 * @dirfd, @name: the directory
 * @stage, @list: where the list goes
 *
 * Return: 0 or -errno.
 */
int ckpt_fs_remains_list(int dirfd, const char *name, int stage, const char *list);

/**
 * ckpt_fs_remains_check - compare what is there with the list
 * @ret_path: what is not in the list, relative to the directory and allocated, "" the
 *	directory itself; NULL when there is nothing of the kind
 *
 * Other times of a directory do not count, for the removal has changed them, nor does the
 * change time of a file that had several names.
 *
 * Return: 1 when something is there, 0 when nothing is, -errno.
 */
int ckpt_fs_remains_check(int dirfd, const char *name, int stage, const char *list,
			  char **ret_path);

#endif
