// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * files_ranges_test.c: which pages of a file are told, and when none are
 *
 * debug: slow
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/changes.h"
#include "lib/disks.h"
#include "lib/ways.h"
#include "lib/world.h"

#define MUST(call) do { if ((call) < 0) die("%s", #call); } while (0)
#define LOG_PAGES 2048		/* 8 MiB */
#define UNTOLD SIZE_MAX		/* the file is named, its pages are not told */
#define UNNAMED (SIZE_MAX - 1)	/* nothing is said of it: wanted nowhere */

enum {
	WAY,	/* + enum way */
	OPEN = WAY + WAYS,
	CLOSE,
	SYNC,
	WRITE_PAGE,	/* number in shared[1] */
	MAP,
	STORE,
	UNMAP,
	ATTACH,
	DETACH,
	ZERO_TOO_MUCH,
};

static struct changes c;
static struct child child;
static char path[128], other[128];
static int fd = -1, loop = -1;
static char *map;

static void write_page(uint64_t page)
{
	static int value;
	char data[PAGE];

	memset(data, ++value, sizeof(data));
	if (pwrite(fd, data, PAGE, page * PAGE) != PAGE)
		die("write");
}

static void step(int n, uint64_t *shared)
{
	switch (n) {
	case OPEN:
		MUST(fd = open(path, O_RDWR | O_CLOEXEC));
		break;
	case CLOSE:
		MUST(close(fd));
		break;
	case SYNC:
		MUST(fsync(fd));
		break;
	case WRITE_PAGE:
		write_page(shared[1]);
		break;
	case MAP:
		map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (map == MAP_FAILED)
			die("mmap");
		break;
	case STORE:
		map[100]++;
		break;
	case UNMAP:
		MUST(munmap(map, PAGE));
		break;
	case ATTACH:
		loop = loop_attach(path);
		break;
	case DETACH:
		loop_detach(loop);
		break;
	case ZERO_TOO_MUCH:
		shared[0] = fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 0,
				      1L << 42) ? (uint64_t)errno : 0;
		break;
	default:
		shared[0] = (uint64_t)way_go(n - WAY, path, other, &shared[2]);
	}
}

/* How many pages does the last round tell? */
static size_t told(void)
{
	struct stat st = changes_id(path);
	size_t n, i, pages = 0;
	const struct ckpt_extent *ranges = changes_ranges(&c, &st, &n);

	if (!(changes_mask(&c, &st) & (CKPT_INODE_DATA | CKPT_INODE_SUSPECT)))
		return UNNAMED;
	if (!ranges)
		return UNTOLD;
	for (i = 0; i < n; i++)
		pages += ranges[i].pages;
	return pages;
}

static bool tells(uint64_t page)
{
	struct stat st = changes_id(path);
	size_t n = 0, i;
	const struct ckpt_extent *ranges = changes_ranges(&c, &st, &n);

	for (i = 0; i < n; i++)
		if (page >= ranges[i].first && page - ranges[i].first < ranges[i].pages)
			return true;
	return false;
}

static void dirty(uint64_t page)
{
	child.shared[1] = page;
	child_step(&child, WRITE_PAGE);
}

/* Clean, committed, and told by ranges from here on. */
static void settle(void)
{
	int i;

	for (i = 0; i < 4; i++) {
		child_step(&child, SYNC);
		changes_take(&c);
		changes_commit(&c);
	}
}

static void take_told(size_t pages, const char *what)
{
	changes_take(&c);
	check(told() == pages, "%s (%zd pages, wanted %zd)", what, (ssize_t)told(),
	      (ssize_t)pages);
}

static void few_pages(void)
{
	uint64_t i;

	settle();
	take_told(0, "an open file that nobody writes: no pages");
	changes_commit(&c);
	for (i = 0; i < 20; i++)
		dirty(i * 71 + 5);
	take_told(20, "20 pages here and there: those");
	for (i = 0; i < 20; i++)
		check(tells(i * 71 + 5), "page %d is told", (int)i * 71 + 5);
	changes_commit(&c);
	child_step(&child, SYNC);
	take_told(20, "that were dirty at the last take: once more");
	changes_commit(&c);
	take_told(0, "and no more");
	changes_commit(&c);
	for (i = 0; i < 40; i++)
		child_step(&child, WAY + WAY_APPEND);
	changes_take(&c);
	check(told() <= 41 * 4, "40 times appended: few pages (%zu)", told());
	changes_commit(&c);
}

/* A page that is dirty already is written again without a word of it. */
static void silent(void)
{
	int i;

	settle();
	dirty(9);
	for (i = 0; i < 4; i++) {
		take_told(1, "written while it is dirty");
		check(tells(9), "the page is told");
		if (i % 2)
			changes_commit(&c);
		dirty(9);
	}
	settle();
}

static void epochs(void)
{
	settle();
	dirty(20);
	child_step(&child, SYNC);
	take_told(1, "the first round tells page 20");
	dirty(30);
	child_step(&child, SYNC);
	changes_take(&c);
	check(tells(30), "the second page 30");
	changes_take(&c);
	check(told() <= 1 && !tells(20), "the third no longer page 20");
	changes_abort(&c);
	changes_take(&c);
	check(told() == 2 && tells(20) && tells(30), "after an abort both");
	changes_commit(&c);
	take_told(0, "after a commit none");
	child_step(&child, WAY + WAY_DIRECT);
	take_told(UNTOLD, "a direct write: not told");
	take_told(0, "the next round");
	changes_abort(&c);
	take_told(UNTOLD, "after an abort: not told");
	changes_commit(&c);
}

/* What this file system and kernel may not have: all else has to work. */
static bool may_lack(const char *type, enum way way, int err)
{
	return way == WAY_CLONE && !strcmp(type, "ext4") && err == EOPNOTSUPP;
}

static void every_way(const char *type)
{
	enum way way;
	int err;

	for (way = 0; way < WAYS; way++) {
		settle();
		child_step(&child, WAY + way);
		err = -(int)child.shared[0];
		if (err) {
			check(may_lack(type, way, err), "%s: what there is not is known (%s)",
			      way_name(way), strerror(err));
			continue;
		}
		changes_take(&c);
		if (way < WAYS_BY_PAGES)
			check(told() >= 1 && told() <= 5, "%s: few pages (%zd)", way_name(way),
			      (ssize_t)told());
		else if (way >= WAYS_UNSURE)
			check(told() == UNTOLD, "%s: not told", way_name(way));
		else
			check(told() != UNNAMED, "%s: told, by pages or not", way_name(way));
		changes_commit(&c);
		changes_take(&c);
		check(told() < UNNAMED, "%s: but after it", way_name(way));
		changes_commit(&c);
	}
}

static void mapped(void)
{
	settle();
	child_step(&child, MAP);
	take_told(UNTOLD, "mapped: not told");
	changes_commit(&c);
	child_step(&child, STORE);
	child_step(&child, UNMAP);
	take_told(UNTOLD, "mapped at the last take: not told");
	changes_commit(&c);
	settle();
	take_told(0, "mapped no more: told");
	changes_commit(&c);
}

/* It writes when it likes, and no task of the group does it. */
static void attached(void)
{
	settle();
	child_step(&child, ATTACH);
	take_told(UNTOLD, "attached to a loop device: not told");
	take_told(UNTOLD, "nor in the next round");
	changes_commit(&c);
	child_step(&child, DETACH);
	take_told(UNTOLD, "attached at the last take: not told");
	changes_commit(&c);
	take_told(0, "detached: told");
	changes_commit(&c);
}

static void others(void)
{
	uint64_t state = 5;

	settle();
	MUST(way_go(WAY_PWRITE, path, other, &state));
	take_told(UNTOLD, "written by a process outside: not told");
	changes_commit(&c);
	settle();
	MUST(fd = open(path, O_RDWR));
	MUST(close(fd));
	take_told(UNTOLD, "closed by one that could have written: not told");
	changes_commit(&c);
	settle();
	child_step(&child, CLOSE);
	child_step(&child, OPEN);
	take_told(0, "opened once more: told");
	changes_commit(&c);
}

static void make(const char *name, size_t pages)
{
	char data[PAGE];
	size_t i;

	MUST(fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644));
	for (i = 0; i < pages; i++) {
		memset(data, (int)i, sizeof(data));
		if (write(fd, data, PAGE) != PAGE)
			die("fill %s", name);
	}
	MUST(close(fd));
}

static void start(const char *root, size_t pages)
{
	snprintf(path, sizeof(path), "%s/f", root);
	snprintf(other, sizeof(other), "%s/other", root);
	make(path, pages);
	make(other, 64);
	changes_open(&c, "files-ranges");
	changes_root(&c, root);
	child_start(&child, c.group, step);
	child.shared[2] = 11;
	child_step(&child, OPEN);
}

static void stop(void)
{
	child_step(&child, CLOSE);
	child_end(&child);
	changes_close(&c);
}

static void end(void)
{
	check(!c.round.lost, "nothing is lost");
	stop();
}

/* It fails for want of space, with no event, and has made zeros of what was there. */
static void zero_too_much(void)
{
	struct stat st;

	settle();
	child_step(&child, ZERO_TOO_MUCH);
	check(child.shared[0] == ENOSPC, "there is no room for so many zeros (%s)",
	      strerror((int)child.shared[0]));
	st = changes_id(path);
	changes_take(&c);
	check(told() == UNTOLD || told() >= (size_t)st.st_size / PAGE,
	      "but all of it is told (%zu pages)", told());
	changes_commit(&c);
}

static void on(const char *root, const char *type)
{
	note("on %s", type);
	start(root, LOG_PAGES);
	few_pages();
	silent();
	epochs();
	mapped();
	attached();
	others();
	every_way(type);
	if (!strcmp(type, "xfs"))
		zero_too_much();
	end();
}

/* A file whose data goes to the journal from now on. */
static void journalled(const char *root)
{
	long flags, old;

	start(root, 100);
	settle();
	take_told(0, "on ext4 without delayed allocation: told");
	changes_commit(&c);
	MUST(ioctl(fd = open(path, O_RDONLY), FS_IOC_GETFLAGS, &old));
	flags = old | FS_JOURNAL_DATA_FL;
	MUST(ioctl(fd, FS_IOC_SETFLAGS, &flags));
	dirty(3);
	take_told(UNTOLD, "whose data goes to the journal: not told");
	changes_commit(&c);
	MUST(ioctl(fd, FS_IOC_SETFLAGS, &old));
	MUST(close(fd));
	end();
}

/* Where pages say nothing, none are told. */
static void never_on(const char *root, size_t pages, const char *what)
{
	start(root, pages);
	settle();
	dirty(3);
	take_told(UNTOLD, what);
	changes_commit(&c);
	end();
}

/* Mount the disk of ext4 another way. */
static void remount(const char *options)
{
	char command[128];

	snprintf(command, sizeof(command), "umount /mnt/ext4 && mount -o loop,%s "
		 "/scratch/ext4.img /mnt/ext4", options);
	if (system(command))
		die("%s", command);
}

int main(void)
{
	on(disk_mount("ext4"), "ext4");
	never_on("/mnt/ext4", 15, "a small file: not told");
	remount("data=journal");
	never_on("/mnt/ext4", 100, "with a data journal: not told");
	remount("nodelalloc");
	journalled("/mnt/ext4");
	disk_umount("ext4");
	on(disk_mount("xfs"), "xfs");
	disk_umount("xfs");
	never_on(disk_mount("btrfs"), 100, "on btrfs: not told");
	disk_umount("btrfs");
	never_on(disk_mount("tmpfs"), 100, "on tmpfs: not told");
	disk_umount("tmpfs");
	never_on(disk_mount("overlay"), 100, "on an overlay: not told");
	start("/scratch/layers/upper", 100);
	settle();
	changes_take(&c);
	check(told() >= UNNAMED, "where changes are lost: not told");
	check(c.round.lost, "under an overlay they are");
	changes_commit(&c);
	stop();
	disk_umount("overlay");
	return finish();
}
