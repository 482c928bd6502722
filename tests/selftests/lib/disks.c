// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * File systems of their own, for tests
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "lib/disks.h"
#include "lib/world.h"

#define IMAGE_MIB 320	/* mkfs.xfs makes none below 300 */

const char *disk_mount(const char *type)
{
	static char at[64];

	snprintf(at, sizeof(at), "/mnt/%s", type);
	shell("mkdir -p %s", at);
	if (!strcmp(type, "tmpfs"))
		shell("mount -t tmpfs none %s", at);
	else if (!strcmp(type, "overlay"))
		shell("cd /scratch && rm -rf layers && mkdir -p layers/lower layers/upper "
		      "layers/work && mount -t overlay none -o lowerdir=layers/lower,"
		      "upperdir=layers/upper,workdir=layers/work %s", at);
	else
		shell("cd /scratch && rm -f %s.img && truncate -s %dM %s.img && "
		      "mkfs.%s -q %s.img >/dev/null && modprobe loop && "
		      "mount -o loop %s.img %s", type, IMAGE_MIB, type, type, type, type, at);
	return at;
}

void disk_umount(const char *type)
{
	shell("umount /mnt/%s && rm -rf /scratch/%s.img", type, type);
	if (!strcmp(type, "overlay"))
		shell("rm -rf /scratch/layers");
}

dev_t disk_of(const char *path)
{
	unsigned int major_nr, minor_nr;
	unsigned long long id;
	struct statx stx;
	char line[1024];
	dev_t dev = 0;
	FILE *f;

	if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_MNT_ID, &stx))
		die("statx %s", path);
	f = fopen("/proc/self/mountinfo", "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%llu %*d %u:%u", &id, &major_nr, &minor_nr) == 3 &&
		    id == stx.stx_mnt_id)
			dev = makedev(major_nr, minor_nr);
	if (!dev)
		die("the mount of %s is not listed", path);
	fclose(f);
	return dev;
}
