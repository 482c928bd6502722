// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * files_place_test.c: files of a directory that was in no root, and is in one now
 *
 * Each processor remembers the last directory that it found to be in no root, so all is done on
 * one processor, and each file is written just before what makes that untrue.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/changes.h"
#include "lib/disks.h"
#include "lib/world.h"

#define MUST(call) do { if ((call) < 0) die("%s", #call); } while (0)
/* Directories that are made anew until one gets a number again. */
#define TRIES 64
#define DISK "/scratch/disk"
#define EXT4_IOC_SETVERSION _IOW('f', 4, long)

static struct changes c;
static char top[64];

static const char *path_of(const char *name)
{
	static char path[2][96];
	static int turn;

	turn = !turn;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", top, name);
	return path[turn];
}

static void start(void)
{
	shell("rm -rf %s && mkdir -p %s/root %s/beside/deep", top, top, top);
	changes_open(&c, "files-place");
	changes_root(&c, path_of("root"));
	append(path_of("beside/deep/f"), "made");
	changes_settle(&c);
}

static void stop(void)
{
	check(!c.round.lost, "nothing is lost");
	changes_close(&c);
	shell("rm -rf %s", top);
}

/* It is in no root, and this processor knows. */
static void not_told(const char *name)
{
	append(path_of(name), "far");
	append(path_of(name), "far again");
	changes_take(&c);
	changes_count(&c, 0, "beside the root");
	changes_commit(&c);
	append(path_of(name), "once more");
}

static void told(const char *name, const char *what)
{
	struct stat st;

	append(path_of(name), "near");
	st = changes_id(path_of(name));
	changes_take(&c);
	changes_want(&c, &st, CKPT_INODE_DATA, what);
	changes_commit(&c);
}

static void root_comes(void)
{
	start();
	not_told("beside/deep/f");
	changes_root(&c, path_of("beside"));
	told("beside/deep/f", "a root has come above");
	stop();
}

static void moved_in(void)
{
	struct stat st;

	start();
	not_told("beside/deep/f");
	MUST(rename(path_of("beside"), path_of("root/beside")));
	append(path_of("root/beside/deep/f"), "x");
	st = changes_id(path_of("root/beside"));
	changes_take(&c);
	changes_want(&c, &st, CKPT_INODE_MOVED | CKPT_INODE_CREATED, "its directory has moved in");
	changes_commit(&c);
	told("root/beside/deep/f", "and was written there");
	stop();
}

static unsigned long generation_of(const char *dir)
{
	unsigned long generation = 0;
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || ioctl(fd, FS_IOC_GETVERSION, &generation))
		die("generation of %s", dir);
	close(fd);
	return (unsigned int)generation;
}

static void set_generation(const char *dir, unsigned long generation)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || ioctl(fd, EXT4_IOC_SETVERSION, &generation))
		die("set the generation of %s", dir);
	close(fd);
}

/* A directory of the root gets both numbers of one that was far, on a disk that lets it. */
static void number_again(void)
{
	unsigned long generation;
	struct stat far, near;
	char path[32];
	int i;

	shell("truncate -s 32M " DISK ".img && mkfs.ext4 -q -O ^metadata_csum " DISK ".img && "
	      "modprobe loop && mkdir -p " DISK " && mount -o loop " DISK ".img " DISK);
	strcpy(top, DISK "/place");
	start();
	far = changes_id(path_of("beside/deep"));
	generation = generation_of(path_of("beside/deep"));
	not_told("beside/deep/f");
	MUST(unlink(path_of("beside/deep/f")));
	MUST(rmdir(path_of("beside/deep")));
	for (i = 0; i < TRIES; i++) {
		snprintf(path, sizeof(path), "root/%d", i);
		MUST(mkdir(path_of(path), 0755));
		near = changes_id(path_of(path));
		if (near.st_ino == far.st_ino)
			break;
	}
	check(i < TRIES, "a directory has the number of another one");
	set_generation(path_of(path), generation);
	strcat(path, "/f");
	append(path_of(path), "made");
	changes_settle(&c);
	told(path, "it has the generation as well, and is in the root");
	stop();
	shell("umount " DISK " && rm -r " DISK " " DISK ".img");
}

static void on(const char *where)
{
	snprintf(top, sizeof(top), "%s/place", where);
	note("in %s", top);
	root_comes();
	moved_in();
}

int main(void)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	MUST(sched_setaffinity(0, sizeof(one), &one));
	on("/scratch");
	number_again();
	on(disk_mount("xfs"));
	disk_umount("xfs");
	on(disk_mount("tmpfs"));
	disk_umount("tmpfs");
	on(disk_mount("btrfs"));
	disk_umount("btrfs");
	on(disk_mount("overlay"));
	disk_umount("overlay");
	return finish();
}
