// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * files_shapes_test.c: ranges that come, go and are shared, and files of a lower layer
 *
 * debug: slow
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/changes.h"
#include "lib/disks.h"
#include "lib/world.h"

#define MUST(call) do { if ((call) < 0) die("%s", #call); } while (0)
#define NR 16
#define LEN (NR * PAGE)

static struct changes c;
static char root[64];

static const char *at(const char *name)
{
	static char path[4][160];
	static int next;

	next = (next + 1) % 4;
	snprintf(path[next], sizeof(path[next]), "%s/%s", root, name);
	return path[next];
}

static void fill(const char *path, int value)
{
	static char data[LEN];
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	memset(data, value, sizeof(data));
	if (fd < 0 || write(fd, data, sizeof(data)) != sizeof(data) || fsync(fd) || close(fd))
		die("fill %s", path);
}

/* --- ways that not every file system has --- */

static int clone_whole(int fd, int from)
{
	return ioctl(fd, FICLONE, from);
}

static int clone_range(int fd, int from)
{
	struct file_clone_range range = {
		.src_fd = from, .src_offset = PAGE, .src_length = 2 * PAGE, .dest_offset = 4 * PAGE,
	};

	return ioctl(fd, FICLONERANGE, &range);
}

static int copy(int fd, int from)
{
	loff_t in = PAGE, out = 3 * PAGE;

	return copy_file_range(from, &in, fd, &out, PAGE, 0) == PAGE ? 0 : -1;
}

static const struct way {
	const char *name;
	int mode;		/* of fallocate, if there is no @go */
	int (*go)(int fd, int from);
	const char *may_lack;	/* file systems on which EOPNOTSUPP is allowed */
} ways[] = {
	{ "allocate behind the end", 0, NULL, "" },
	{ "punch a hole", FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, NULL, "" },
	{ "zero a range", FALLOC_FL_ZERO_RANGE, NULL, "tmpfs" },
	{ "collapse a range", FALLOC_FL_COLLAPSE_RANGE, NULL, "tmpfs btrfs" },
	{ "insert a range", FALLOC_FL_INSERT_RANGE, NULL, "tmpfs btrfs" },
	{ "clone", 0, clone_whole, "ext4 tmpfs overlay" },
	{ "clone a range", 0, clone_range, "ext4 tmpfs overlay" },
	{ "copy_file_range", 0, copy, "" },
};

static int go(const struct way *way)
{
	int fd = open(at("f"), O_RDWR | O_CLOEXEC);
	int from = open(at("other"), O_RDONLY | O_CLOEXEC), ret;

	MUST(fd);
	MUST(from);
	if (way->go)
		ret = way->go(fd, from);
	else
		ret = fallocate(fd, way->mode, way->mode ? 4 * PAGE : LEN, 2 * PAGE);
	if (ret)
		ret = errno;
	close(fd);
	close(from);
	return ret;
}

static void shapes(const char *type)
{
	struct stat f, other;
	size_t i;
	int err;

	for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		fill(at("f"), 1);
		fill(at("other"), 2);
		changes_settle(&c);
		changes_settle(&c);
		f = changes_id(at("f"));
		other = changes_id(at("other"));
		err = go(&ways[i]);
		if (err) {
			check(err == EOPNOTSUPP && strstr(ways[i].may_lack, type),
			      "%s: not here (%s)", ways[i].name, strerror(err));
			continue;
		}
		changes_take(&c);
		changes_want(&c, &f, CKPT_INODE_DATA, ways[i].name);
		changes_want(&c, &other, 0, "and nothing is said of the other file");
		changes_commit(&c);
	}
	check(!c.round.lost, "nothing is lost");
}

/* --- files that are below until they are written --- */

static void changed(const char *name, uint32_t mask, const char *what)
{
	struct stat st = changes_id(at(name));

	changes_take(&c);
	check((changes_mask(&c, &st) & mask) == mask, "a file of the lower layer: %s (mask %#x)",
	      what, changes_mask(&c, &st));
	changes_commit(&c);
	changes_settle(&c);
}

static void store(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	char *map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (fd < 0 || map == MAP_FAILED)
		die("map %s", path);
	map[5] = 'm';
	munmap(map, PAGE);
	close(fd);
}

static void copied_up(void)
{
	static const char *const names[] = {
		"written", "appended", "cut", "mode", "mapped", "renamed", "linked", "attribute",
		"gone",
	};
	char path[128];
	struct stat st;
	size_t i;
	int fd;

	shell("rm -rf /scratch/up && mkdir -p /scratch/up/lower /scratch/up/upper /scratch/up/work "
	      "/mnt/up");
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "/scratch/up/lower/%s", names[i]);
		fill(path, 1);
	}
	shell("cd /scratch/up && mount -t overlay none -o lowerdir=lower,upperdir=upper,"
	      "workdir=work /mnt/up");
	snprintf(root, sizeof(root), "/mnt/up");
	changes_open(&c, "files-shapes");
	changes_root(&c, root);
	changes_settle(&c);
	MUST(fd = open(at("written"), O_WRONLY | O_CLOEXEC));
	MUST(pwrite(fd, "W", 1, 0));
	close(fd);
	changed("written", CKPT_INODE_DATA, "written");
	append(at("appended"), "more");
	changed("appended", CKPT_INODE_DATA, "appended to");
	MUST(truncate(at("cut"), 5));
	changed("cut", CKPT_INODE_DATA, "cut");
	MUST(chmod(at("mode"), 0600));
	changed("mode", CKPT_INODE_META, "chmod");
	store(at("mapped"));
	changed("mapped", CKPT_INODE_SUSPECT, "a store to a map");
	MUST(rename(at("renamed"), at("renamed.new")));
	changed("renamed.new", CKPT_INODE_MOVED, "renamed");
	MUST(link(at("linked"), at("linked.too")));
	changed("linked", CKPT_INODE_CREATED | CKPT_INODE_META, "linked");
	shell("setfattr -n user.ckpt -v x %s", at("attribute"));
	changed("attribute", CKPT_INODE_META, "an attribute");
	st = changes_id(at("gone"));
	MUST(unlink(at("gone")));
	changes_take(&c);
	check(changes_mask(&c, &st) & CKPT_INODE_DELETED, "a file of the lower layer: unlinked");
	changes_commit(&c);
	check(!c.round.lost, "nothing is lost");
	changes_close(&c);
	shell("umount /mnt/up && rm -rf /scratch/up");
}

int main(void)
{
	static const char *const types[] = { "ext4", "tmpfs", "xfs", "btrfs", "overlay" };
	size_t i;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		note("on %s", types[i]);
		snprintf(root, sizeof(root), "%s/shapes", disk_mount(types[i]));
		MUST(mkdir(root, 0755));
		changes_open(&c, "files-shapes");
		changes_root(&c, root);
		shapes(types[i]);
		changes_close(&c);
		disk_umount(types[i]);
	}
	copied_up();
	return finish();
}
