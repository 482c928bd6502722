/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * File systems of their own, for tests
 */
#ifndef TESTS_DISKS_H
#define TESTS_DISKS_H

#include <sys/types.h>

/*
 * disk_mount - a fresh file system at /mnt/TYPE
 * @type: xfs or btrfs (in a file on /scratch), tmpfs, or overlay (all layers on /scratch)
 *
 * Return: where it is, in a buffer used again by the next call.  Dies on errors.
 */
const char *disk_mount(const char *type);
/* Unmount it and remove what it was made of. */
void disk_umount(const char *type);

/* Device of the super block that a path is on, which stat does not tell on btrfs and overlays. */
dev_t disk_of(const char *path);

#endif
