// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * files_subvolumes_test.c: subvolumes and snapshots of btrfs in a root, and as one
 *
 * They have a device of their own for stat, and numbers that begin anew, while their super block is
 * that of all: an inode of a snapshot is told by the same name as the one it was taken of.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/changes.h"
#include "lib/disks.h"
#include "lib/world.h"

#define MUST(call) do { if ((call) < 0) die("%s", #call); } while (0)
#define MNT "/mnt/btrfs"
#define ROOT MNT "/root"

static struct changes c;

static void btrfs(const char *what)
{
	shell("cd " MNT " && btrfs subvolume %s >/dev/null", what);
}

static void want(const char *path, uint32_t mask, const char *what)
{
	struct stat st = changes_id(path);

	check((changes_mask(&c, &st) & mask) == mask, "%s (mask %#x, wanted %#x)", what,
	      changes_mask(&c, &st), mask);
}

static void take(void)
{
	if (c.open)
		changes_commit(&c);
	changes_take(&c);
}

static void settle(void)
{
	if (c.open)
		changes_commit(&c);
	changes_settle(&c);
	changes_settle(&c);
}

static void made_inside(void)
{
	btrfs("create root/sub");
	take();
	want(ROOT, CKPT_INODE_ENTRIES, "a new subvolume: the directory");
	want(ROOT "/sub", CKPT_INODE_CREATED, "and its top, to be walked");
	append(ROOT "/sub/f", "first");
	take();
	want(ROOT "/sub/f", CKPT_INODE_CREATED | CKPT_INODE_DATA, "a new file in it");
	want(ROOT "/sub", CKPT_INODE_ENTRIES, "its directory");
	settle();
	append(ROOT "/sub/f", "more");
	take();
	want(ROOT "/sub/f", CKPT_INODE_DATA, "written");
	settle();
}

static void snapshot(void)
{
	int fd;

	btrfs("snapshot root/sub root/snap");
	take();
	want(ROOT, CKPT_INODE_ENTRIES, "a snapshot: the directory");
	want(ROOT "/snap", CKPT_INODE_CREATED, "and its top, to be walked");
	settle();
	append(ROOT "/snap/f", "in the snapshot");
	take();
	want(ROOT "/snap/f", CKPT_INODE_DATA, "a file of the snapshot is written");
	settle();
	append(ROOT "/sub/f", "in the other");
	take();
	want(ROOT "/sub/f", CKPT_INODE_DATA, "the one it was taken of is written");
	settle();
	MUST(fd = open(ROOT "/snap/f", O_WRONLY | O_CLOEXEC));
	settle();
	take();
	want(ROOT "/snap/f", CKPT_INODE_SUSPECT, "open in the snapshot");
	close(fd);
	settle();
	MUST(unlink(ROOT "/snap/f"));
	take();
	want(ROOT "/snap", CKPT_INODE_ENTRIES, "unlinked in the snapshot");
	settle();
	append(ROOT "/sub/f", "once more");
	take();
	want(ROOT "/sub/f", CKPT_INODE_DATA, "then the other is written");
	settle();
	btrfs("delete root/snap");
	take();
	want(ROOT, CKPT_INODE_ENTRIES, "a snapshot is deleted: the directory");
	settle();
}

/* One that is there already comes in; and one that is the root. */
static void from_elsewhere(void)
{
	btrfs("create away");
	append(MNT "/away/f", "away");
	take();
	changes_count(&c, 0, "a subvolume beside the root");
	settle();
	MUST(rename(MNT "/away", ROOT "/away"));
	take();
	want(ROOT, CKPT_INODE_ENTRIES, "a subvolume moves in: the directory");
	want(ROOT "/away", CKPT_INODE_CREATED | CKPT_INODE_MOVED, "and its top, to be walked");
	settle();
	append(ROOT "/away/f", "in");
	take();
	want(ROOT "/away/f", CKPT_INODE_DATA, "written there");
	changes_commit(&c);
	check(!c.round.lost, "nothing is lost");
	changes_close(&c);
	changes_open(&c, "subvolumes");
	changes_root(&c, ROOT "/sub");
	changes_settle(&c);
	append(ROOT "/sub/f", "a root");
	take();
	want(ROOT "/sub/f", CKPT_INODE_DATA, "a root that is a subvolume: written");
	settle();
	append(ROOT "/away/f", "out");
	take();
	changes_count(&c, 0, "beside it");
	changes_commit(&c);
}

/* A snapshot has the number and the generation of what it was taken of. */
static void rolled_back(void)
{
	btrfs("snapshot root/sub keep");
	append(MNT "/keep/f", "other work");
	settle();
	btrfs("delete root/sub");
	btrfs("snapshot keep root/sub");
	take();
	check(c.round.lost, "the root is replaced by a snapshot of it: that is a loss");
	settle();
	append(ROOT "/sub/f", "after it");
	take();
	want(ROOT "/sub/f", CKPT_INODE_DATA, "and written afterwards");
	changes_commit(&c);
}

int main(void)
{
	disk_mount("btrfs");
	MUST(mkdir(ROOT, 0755));
	changes_open(&c, "subvolumes");
	changes_root(&c, ROOT);
	changes_settle(&c);
	made_inside();
	snapshot();
	from_elsewhere();
	rolled_back();
	changes_close(&c);
	disk_umount("btrfs");
	return finish();
}
