// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * files_direct_test.c: writes that make no event of their own, on every file system: direct I/O,
 * asynchronous I/O and io_uring
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/changes.h"
#include "lib/disks.h"
#include "lib/ways.h"
#include "lib/world.h"

#define MUST(call) do { if ((call) < 0) die("%s", #call); } while (0)

static struct changes c;
static char path[128], other[128];

/* One write, on a descriptor that is closed again. */
static void step(int way, uint64_t *shared)
{
	shared[0] = (uint64_t)-way_go((enum way)way, path, other, &shared[1]);
}

/* Once at the take that finds no writer any more, once more, and no more. */
static void want_end(const char *what, bool inside)
{
	struct stat st = changes_id(path);
	uint32_t mask[3];
	int i;

	for (i = 0; i < 3; i++) {
		changes_take(&c);
		mask[i] = changes_mask(&c, &st);
		changes_commit(&c);
	}
	check((mask[0] & CKPT_INODE_SUSPECT) && (mask[1] & CKPT_INODE_SUSPECT) && !mask[2],
	      "%s%s: suspect, once more, and no more (%#x, %#x, %#x)", what,
	      inside ? "" : " by a process outside", mask[0], mask[1], mask[2]);
}

static void on(const char *where, const char *root, bool direct)
{
	static const enum way ways[] = { WAY_AIO, WAY_URING, WAY_DIRECT, WAY_AIO_DIRECT };
	uint64_t own[2] = { 0, 7 };
	struct child child;
	size_t i;

	note("on %s%s", where, direct ? "" : ", which has no direct I/O");
	snprintf(path, sizeof(path), "%s/file", root);
	snprintf(other, sizeof(other), "%s/other", root);
	append(path, "content");
	append(other, "content");
	MUST(truncate(path, WAY_SIZE));
	changes_open(&c, "files-direct");
	changes_root(&c, root);
	child_start(&child, c.group, step);
	child.shared[1] = 3;
	changes_settle(&c);
	for (i = 0; i < (direct ? 4 : 2); i++) {
		child_step(&child, (int)ways[i]);
		step((int)ways[i], own);
		check(!child.shared[0] && !own[0], "%s: done (%s, %s)", way_name(ways[i]),
		      strerror((int)child.shared[0]), strerror((int)own[0]));
		want_end(way_name(ways[i]), true);
		step((int)ways[i], own);
		want_end(way_name(ways[i]), false);
	}
	check(!c.round.lost, "nothing is lost");
	child_end(&child);
	changes_close(&c);
}

int main(void)
{
	static const char * const disks[] = { "xfs", "btrfs", "overlay" };
	char root[80];
	size_t i;

	shell("rm -rf /scratch/direct /tmp/direct && mkdir /scratch/direct /tmp/direct");
	on("ext4", "/scratch/direct", true);
	/* from Linux 6.6 on */
	on("tmpfs", "/tmp/direct", kernel_from(6, 6));
	shell("rm -r /scratch/direct /tmp/direct");
	for (i = 0; i < sizeof(disks) / sizeof(disks[0]); i++) {
		snprintf(root, sizeof(root), "%s/direct", disk_mount(disks[i]));
		MUST(mkdir(root, 0755));
		on(disks[i], root, true);
		disk_umount(disks[i]);
	}
	return finish();
}
