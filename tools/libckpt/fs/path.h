/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Opening things beneath a root, without symbolic links and without crossing mounts. */
#ifndef CKPT_FS_PATH_H
#define CKPT_FS_PATH_H

#include <stdint.h>

/**
 * ckpt_fs_open - open a path of any length beneath a directory
 * @dirfd: where it starts
 * @path: relative, without "." and ".."; "" is @dirfd itself
 * @flags: as for open(2); O_CLOEXEC and O_NOFOLLOW are added
 *
 * Return: descriptor or -errno; -EXDEV when a mount is in the way, -ELOOP for
 * a symbolic link.
 */
int ckpt_fs_open(int dirfd, const char *path, int flags);

/**
 * ckpt_fs_open_parent - open the directory that holds the last component
 * @ret_name: points into @path
 *
 * Return: O_PATH descriptor or -errno.
 */
int ckpt_fs_open_parent(int dirfd, const char *path, const char **ret_name);

/* Open again for reading what an O_PATH descriptor names. Return: descriptor or -errno. */
int ckpt_fs_reopen(int fd, int flags);

/**
 * ckpt_fs_mount_dev - the device of a mount
 * @mnt: mount id from statx
 * @ret_dev: device of its super block, major << 32 | minor, as the kernel reports changes
 *
 * Return: 0 or -errno.
 */
int ckpt_fs_mount_dev(uint64_t mnt, uint64_t *ret_dev);

/**
 * ckpt_fs_mount_inside - look for a mount below a path
 * @path: absolute, canonical
 *
 * Return: the mount point, allocated, or NULL when there is none.
 */
char *ckpt_fs_mount_inside(const char *path);

/**
 * ckpt_fs_times_tell - does every write to a file of this file system change its times?
 *
 * True only where it is known: on tmpfs a store through a mapping leaves none.
 */
int ckpt_fs_times_tell(int fd);

/* Does an inode of this file system keep its number, over a reboot as well? */
int ckpt_fs_numbers_last(int fd);

/* Is what lies there gone after a reboot? */
int ckpt_fs_forgets(int fd);

/* A number for this boot, never 0. */
uint64_t ckpt_fs_boot(void);

/* Make the entries of a directory durable; @dirfd may be O_PATH. Return: 0 or -errno. */
int ckpt_fs_sync_dir(int dirfd);

/**
 * ckpt_fs_remove_tree - remove a name and all below it
 * @hang: directory of the same file system where deep directories go meanwhile; what an
 *	interruption leaves there is removed with it
 *
 * Return: 0 or -errno; nothing there is no error.
 */
int ckpt_fs_remove_tree(int dirfd, const char *name, int hang);

#endif
