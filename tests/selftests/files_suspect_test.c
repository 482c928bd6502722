// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * files_suspect_test.c: what makes no event is suspect, and only as long as need be
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/changes.h"
#include "lib/disks.h"
#include "lib/world.h"

#define MUST(call) do { if ((call) < 0) die("%s", #call); } while (0)

enum {
	OPEN_WRITE,
	CLOSE,
	MAP,
	STORE,
	UNMAP,
	AIO,
	OPEN_READ,
	MAP_READ,
	OPEN_FANOTIFY,
	OPEN_LATE,
};

/* Descriptors, a few times as many as are looked at in one go. */
#define MANY 150

static struct changes c;
static char path[128];
static int fd = -1;
static char *map;

static void aio_write(void)
{
	struct iocb cb = {
		.aio_fildes = fd, .aio_lio_opcode = IOCB_CMD_PWRITE,
		.aio_buf = (uintptr_t)"aio!", .aio_nbytes = 4,
	};
	struct iocb *list = &cb;
	struct io_event event;
	aio_context_t ctx = 0;

	MUST(syscall(SYS_io_setup, 1, &ctx));
	MUST(syscall(SYS_io_submit, ctx, 1, &list));
	MUST(syscall(SYS_io_getevents, ctx, 1, 1, &event, NULL));
	MUST(syscall(SYS_io_destroy, ctx));
	if (event.res != 4)
		die("aio");
}

/* What fanotify hands out to who listens: opened without an event, and written so. */
static int fanotify_open(void)
{
	int fan = fanotify_init(FAN_CLASS_NOTIF | FAN_CLOEXEC, O_RDWR | O_CLOEXEC | O_LARGEFILE);
	struct fanotify_event_metadata event;

	MUST(fan);
	MUST(fanotify_mark(fan, FAN_MARK_ADD, FAN_OPEN, AT_FDCWD, path));
	close(open(path, O_RDONLY | O_CLOEXEC));
	if (read(fan, &event, sizeof(event)) != sizeof(event) || event.fd < 0)
		die("an event of fanotify");
	close(fan);
	return event.fd;
}

static void step(int n, uint64_t *shared)
{
	(void)shared;
	switch (n) {
	case OPEN_FANOTIFY:
		fd = fanotify_open();
		break;
	case OPEN_LATE:
		for (int i = 0; i < MANY; i++)
			dup(0);
		fd = open(path, O_RDWR | O_CLOEXEC);
		break;
	case OPEN_WRITE:
		fd = open(path, O_RDWR | O_CLOEXEC);
		break;
	case OPEN_READ:
		fd = open(path, O_RDONLY | O_CLOEXEC);
		break;
	case CLOSE:
		close(fd);
		break;
	case MAP:
	case MAP_READ:
		map = mmap(NULL, PAGE, n == MAP ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED,
			   fd, 0);
		if (map == MAP_FAILED)
			die("mmap");
		break;
	case STORE:
		map[100]++;
		break;
	case UNMAP:
		munmap(map, PAGE);
		break;
	case AIO:
		aio_write();
		break;
	}
}

/* Two cases: the next take says so of @path, with these flags among F_OPEN and F_MAPPED. */
static void want(bool suspect, uint32_t flags, const char *what)
{
	struct stat st = changes_id(path);

	changes_take(&c);
	check(!!(changes_mask(&c, &st) & CKPT_INODE_SUSPECT) == suspect, "%s: %s", what,
	      suspect ? "suspect" : "not suspect");
	check((changes_flags(&c, &st) & (CKPT_INODE_F_OPEN | CKPT_INODE_F_MAPPED)) == flags,
	      "%s: flags %#x, wanted %#x", what, changes_flags(&c, &st), flags);
	changes_commit(&c);
}

/* After the last writer: once at the take that finds none, once more, no more. */
static void want_end(const char *what)
{
	want(true, 0, what);
	want(true, 0, "once more");
	want(false, 0, "and no more");
}

static void descriptor(const struct child *child)
{
	child_step(child, OPEN_WRITE);
	want(true, CKPT_INODE_F_OPEN, "open for writing");
	want(true, CKPT_INODE_F_OPEN, "still open");
	child_step(child, AIO);
	want(true, CKPT_INODE_F_OPEN, "asynchronous write");
	child_step(child, CLOSE);
	want_end("closed");
	child_step(child, OPEN_WRITE);
	child_step(child, AIO);
	child_step(child, CLOSE);
	want_end("opened, written asynchronously and closed between two takes");
	child_step(child, OPEN_LATE);
	want(true, CKPT_INODE_F_OPEN, "open behind many others");
	want(true, CKPT_INODE_F_OPEN, "still open");
	child_step(child, CLOSE);
	want_end("closed there");
	child_step(child, OPEN_FANOTIFY);
	want(true, CKPT_INODE_F_OPEN, "open in the group by fanotify");
	want(true, CKPT_INODE_F_OPEN, "still open");
	child_step(child, CLOSE);
	want_end("closed, without an event");
}

static void mapping(const struct child *child)
{
	child_step(child, OPEN_WRITE);
	child_step(child, MAP);
	child_step(child, CLOSE);
	want(true, CKPT_INODE_F_MAPPED, "mapped, its descriptor closed");
	changes_settle(&c);
	child_step(child, STORE);
	want(true, CKPT_INODE_F_MAPPED, "store after a few takes");
	child_step(child, STORE);
	child_step(child, UNMAP);
	want_end("unmapped");
	child_step(child, OPEN_READ);
	child_step(child, MAP_READ);
	want(false, 0, "mapped for reading");
	child_step(child, UNMAP);
	child_step(child, CLOSE);
}

/* A later round of an epoch names what is still busy, not what was found idle. */
static void rounds(const struct child *child)
{
	struct stat st = changes_id(path);

	child_step(child, OPEN_WRITE);
	changes_take(&c);
	changes_take(&c);
	check(changes_mask(&c, &st) == CKPT_INODE_SUSPECT, "busy: suspect in every round");
	child_step(child, CLOSE);
	changes_take(&c);
	check(changes_mask(&c, &st) == CKPT_INODE_SUSPECT, "closed since: suspect");
	changes_commit(&c);
	changes_take(&c);
	check(changes_mask(&c, &st) == CKPT_INODE_SUSPECT, "found idle: suspect");
	changes_take(&c);
	check(!changes_mask(&c, &st), "not again in the next round");
	changes_abort(&c);
	changes_take(&c);
	check(changes_mask(&c, &st) == CKPT_INODE_SUSPECT, "but after an abort");
	changes_commit(&c);
	changes_settle(&c);
}

/* A process outside the group that mapped the file before there was a root. */
static void stranger(const char *root)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	struct stat st = changes_id(path);

	MUST(ckpt_nl_root_del(c.nl, c.group, root, &err));
	changes_settle(&c);
	step(OPEN_WRITE, NULL);
	step(MAP, NULL);
	step(CLOSE, NULL);
	changes_root(&c, root);
	changes_take(&c);
	changes_commit(&c);
	step(STORE, NULL);
	changes_take(&c);
	check(changes_mask(&c, &st) & CKPT_INODE_SUSPECT,
	      "mapped outside the group before the root was added");
	changes_commit(&c);
	step(UNMAP, NULL);
	want_end("unmapped outside the group");
}

/* A new file at @path, beside a root, that a stranger has mapped. */
static void map_beside(const char *root)
{
	append(path, "content");
	MUST(truncate(path, PAGE));
	changes_open(&c, "files-suspect");
	changes_root(&c, root);
	changes_settle(&c);
	step(OPEN_WRITE, NULL);
	step(MAP, NULL);
	step(CLOSE, NULL);
}

/* A directory that comes into the root with a file that a stranger has mapped. */
static void moved_in(const char *base)
{
	char root[64], from[64], to[96], quiet[128];
	struct stat st;

	snprintf(root, sizeof(root), "%s/in", base);
	snprintf(from, sizeof(from), "%s/out", base);
	snprintf(to, sizeof(to), "%s/in/deep", base);
	MUST(mkdir(root, 0755));
	MUST(mkdir(from, 0755));
	snprintf(path, sizeof(path), "%s/quiet", from);
	append(path, "nobody writes it");
	snprintf(path, sizeof(path), "%s/f", from);
	map_beside(root);
	want(false, 0, "mapped outside of the root");
	MUST(rename(from, to));
	snprintf(path, sizeof(path), "%s/f", to);
	snprintf(quiet, sizeof(quiet), "%s/quiet", to);
	want(true, CKPT_INODE_F_MAPPED, "its directory was moved into the root");
	step(STORE, NULL);
	changes_take(&c);
	st = changes_id(path);
	check(changes_mask(&c, &st) == CKPT_INODE_SUSPECT, "a store after that: suspect");
	st = changes_id(quiet);
	check(!changes_mask(&c, &st), "the file beside it is not");
	changes_commit(&c);
	step(UNMAP, NULL);
	want_end("unmapped");
	changes_close(&c);
}

/* The same of a file alone: of that no look at the whole file system is taken. */
static void file_moved_in(const char *base)
{
	char root[64], from[96];

	snprintf(root, sizeof(root), "%s/named", base);
	MUST(mkdir(root, 0755));
	snprintf(from, sizeof(from), "%s/nameless", base);
	snprintf(path, sizeof(path), "%s", from);
	map_beside(root);
	changes_settle(&c);
	snprintf(path, sizeof(path), "%s/f", root);
	MUST(rename(from, path));
	want(true, CKPT_INODE_F_MAPPED, "a mapped file was moved into the root");
	step(STORE, NULL);
	step(UNMAP, NULL);
	want_end("stored to and unmapped");
	changes_close(&c);
}

/* The loop device that has @path behind it; its node is in @dev. */
static void attach(char *dev, size_t len, const char *how)
{
	char command[192];
	FILE *f;

	snprintf(command, sizeof(command), "modprobe loop && losetup %s -f --show %s", how, path);
	f = popen(command, "r");
	if (!f || !fgets(dev, (int)len, f) || pclose(f))
		die("%s", command);
	dev[strcspn(dev, "\n")] = '\0';
}

static void write_device(const char *dev)
{
	static char block[PAGE];
	int to = open(dev, O_WRONLY | O_CLOEXEC);

	MUST(to);
	block[0]++;
	MUST(pwrite(to, block, sizeof(block), 0));
	MUST(fsync(to));
	close(to);
}

/*
 * Somebody outside of the group has a disk of it, which the kernel writes through a descriptor of
 * its own.  @how: with direct I/O there is no event of that.
 */
static void behind_a_device(const char *how)
{
	char dev[64];

	changes_settle(&c);
	attach(dev, sizeof(dev), how);
	want(true, 0, "behind a loop device");
	changes_settle(&c);
	want(true, 0, "nobody writes the device, after a few takes");
	write_device(dev);
	want(true, 0, "it is written");
	write_device(dev);
	shell("losetup -d %s", dev);
	want_end("written and detached");
	attach(dev, sizeof(dev), how);
	write_device(dev);
	shell("losetup -d %s", dev);
	want_end("attached, written and detached between two takes");
}

static void on(const char *where, const char *root)
{
	struct child child;

	note("on %s", where);
	snprintf(path, sizeof(path), "%s/f", root);
	changes_open(&c, "files-suspect");
	append(path, "content");
	MUST(truncate(path, PAGE));
	changes_root(&c, root);
	changes_settle(&c);
	child_start(&child, c.group, step);
	descriptor(&child);
	mapping(&child);
	rounds(&child);
	child_end(&child);
	behind_a_device("");
	/* tmpfs has none before Linux 6.6, and the overlay is on tmpfs */
	if (kernel_from(6, 6) || (strcmp(where, "tmpfs") && strcmp(where, "an overlay")))
		behind_a_device("--direct-io=on");
	stranger(root);
	check(!c.round.lost, "nothing is lost");
	changes_close(&c);
	moved_in(root);
	file_moved_in(root);
}

static void on_disk(const char *type)
{
	char root[80];

	snprintf(root, sizeof(root), "%s/suspect", disk_mount(type));
	MUST(mkdir(root, 0755));
	on(type, root);
	disk_umount(type);
}

int main(void)
{
	if (system("rm -rf /scratch/suspect /tmp/suspect && mkdir /scratch/suspect /tmp/suspect "
		   "/tmp/suspect/lower /tmp/suspect/upper /tmp/suspect/work /tmp/suspect/root "
		   "/tmp/suspect/plain"))
		die("folders");
	on("ext4", "/scratch/suspect");
	on("tmpfs", "/tmp/suspect/plain");
	on_disk("xfs");
	on_disk("btrfs");
	append("/tmp/suspect/lower/f", "lower");
	if (mount("none", "/tmp/suspect/root", "overlay", 0,
		  "lowerdir=/tmp/suspect/lower,upperdir=/tmp/suspect/upper,"
		  "workdir=/tmp/suspect/work"))
		die("mount an overlay");
	on("an overlay", "/tmp/suspect/root");
	MUST(umount("/tmp/suspect/root"));
	return finish();
}
