// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * files_version_test.c: a file that somebody outside of the group has mapped gets another
 * generation, as its owner may set one (chattr -v) where ext4 has no checksums
 *
 * Nothing else tells of the stores: the file must stay one that is looked at.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/changes.h"
#include "lib/paging.h"
#include "lib/world.h"

#define DISK "/scratch/disk"
#define FILE_AT DISK "/root/f"
#define EXT4_IOC_SETVERSION _IOW('f', 4, long)

static struct changes c;

static void set_generation(unsigned long generation)
{
	int fd = open(FILE_AT, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || ioctl(fd, EXT4_IOC_SETVERSION, &generation))
		die("set a generation");
	close(fd);
}

static volatile char *map(void)
{
	int fd = open(FILE_AT, O_RDWR | O_CLOEXEC);
	char *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		die("mmap");
	close(fd);
	return p;
}

static bool is_suspect(void)
{
	struct stat st = changes_id(FILE_AT);
	bool suspect;

	changes_take(&c);
	suspect = changes_mask(&c, &st) & CKPT_INODE_SUSPECT;
	changes_commit(&c);
	return suspect;
}

int main(void)
{
	volatile char *p;
	int i;

	shell("truncate -s 32M " DISK ".img && mkfs.ext4 -q -O ^metadata_csum " DISK ".img && "
	      "modprobe loop && mkdir -p " DISK " && mount -o loop " DISK ".img " DISK " && "
	      "mkdir " DISK "/root && truncate -s 4096 " FILE_AT);
	changes_open(&c, "files-version");
	changes_root(&c, DISK "/root");
	changes_settle(&c);
	p = map();
	check(is_suspect(), "a file is mapped outside of the group: suspect");
	for (i = 1; i <= 3; i++) {
		set_generation((unsigned int)i);
		is_suspect();
		is_suspect();
		*p = (char)i;
		check(is_suspect(), "it has generation %d, and is stored to: suspect", i);
	}
	munmap((void *)p, PAGE);
	is_suspect();
	is_suspect();
	is_suspect();
	check(!is_suspect(), "unmapped: not suspect any more");
	changes_close(&c);
	shell("umount " DISK " && rm -r " DISK " " DISK ".img");
	return finish();
}
