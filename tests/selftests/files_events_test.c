// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * files_events_test.c: every kind of change names the right inodes, on each kind of file system
 *
 * debug: slow
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "lib/changes.h"
#include "lib/disks.h"
#include "lib/world.h"

#define MUST(call) do { if ((call) < 0) die("%s", #call); } while (0)

static struct changes c;
static char root[64];
static bool on_overlay;

/* A path below the root; four may be in use at once. */
static const char *at(const char *name)
{
	static char path[4][192];
	static int next;

	next = (next + 1) % 4;
	snprintf(path[next], sizeof(path[next]), "%s/%s", root, name);
	return path[next];
}

/* The kernel knows only those names any more that are looked up again. */
static void forget_names(void)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);

	MUST(fd);
	MUST(write(fd, "2", 1));
	close(fd);
}

static void fresh(void)
{
	MUST(mkdir(at("a"), 0755));
	MUST(mkdir(at("b"), 0755));
	append(at("a/f"), "first");
	append(at("b/g"), "second");
	changes_settle(&c);
}

static void contents(void)
{
	struct stat f = changes_id(at("a/f")), g = changes_id(at("b/g"));
	int fd = open(at("a/f"), O_WRONLY | O_CLOEXEC);

	MUST(pwrite(fd, "F", 1, 0));
	append(at("b/g"), "more");
	changes_take(&c);
	changes_want(&c, &f, CKPT_INODE_DATA, "write in place");
	changes_want(&c, &g, CKPT_INODE_DATA, "append");
	changes_count(&c, 2, "writes");
	MUST(ftruncate(fd, 3));
	MUST(truncate(at("b/g"), 4));
	changes_take(&c);
	changes_want(&c, &f, CKPT_INODE_DATA, "ftruncate, in the next round");
	changes_want(&c, &g, CKPT_INODE_DATA, "truncate");
	MUST(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 1));
	close(open(at("b/g"), O_WRONLY | O_TRUNC | O_CLOEXEC));
	changes_take(&c);
	changes_want(&c, &f, CKPT_INODE_DATA, "punch hole");
	changes_want(&c, &g, CKPT_INODE_DATA, "O_TRUNC");
	close(fd);
	changes_commit(&c);
	changes_settle(&c);
	fd = open(at("a/f"), O_RDONLY | O_CLOEXEC);
	close(fd);
	changes_take(&c);
	changes_count(&c, 0, "reading");
	check(!changes_mask(&c, &f), "a file that is read is not suspect");
	changes_commit(&c);
}

/* u::rw- u:7:r-- g::r-- m::r-- o::--- as acl(5) stores it */
static void acl_set(const char *path)
{
	static const unsigned char acl[] = {
		2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 4, 0, 7, 0, 0, 0, 4, 0, 4, 0,
		255, 255, 255, 255, 16, 0, 4, 0, 255, 255, 255, 255, 32, 0, 0, 0, 255, 255, 255, 255
	};

	MUST(setxattr(path, "system.posix_acl_access", acl, sizeof(acl), 0));
}

static void metadata(void)
{
	struct stat f = changes_id(at("a/f")), a = changes_id(at("a")), g = changes_id(at("b/g"));

	MUST(chmod(at("a/f"), 0600));
	changes_take(&c);
	changes_want(&c, &f, CKPT_INODE_META, "chmod");
	MUST(chown(at("a/f"), 1, 1));
	MUST(utimensat(AT_FDCWD, at("b/g"), NULL, 0));
	changes_take(&c);
	changes_want(&c, &f, CKPT_INODE_META, "chown");
	changes_want(&c, &g, CKPT_INODE_META, "utimensat");
	MUST(setxattr(at("a/f"), "trusted.ckpt", "x", 1, 0));
	MUST(chmod(at("a"), 0700));
	changes_take(&c);
	changes_want(&c, &f, CKPT_INODE_META, "setxattr");
	changes_want(&c, &a, CKPT_INODE_META, "chmod of a directory");
	acl_set(at("a/f"));
	changes_take(&c);
	changes_want(&c, &f, CKPT_INODE_META, "an ACL");
	MUST(removexattr(at("a/f"), "trusted.ckpt"));
	changes_take(&c);
	changes_want(&c, &f, CKPT_INODE_META, "removexattr");
	changes_count(&c, 1, "removexattr");
	changes_commit(&c);
}

static void renames(void)
{
	struct stat f = changes_id(at("a/f")), g = changes_id(at("b/g"));
	struct stat a = changes_id(at("a")), b = changes_id(at("b")), h;

	MUST(rename(at("a/f"), at("a/f2")));
	changes_take(&c);
	changes_want(&c, &a, CKPT_INODE_ENTRIES, "rename: its directory");
	changes_want(&c, &f, CKPT_INODE_MOVED, "rename: the file");
	changes_count(&c, 2, "rename");
	MUST(rename(at("a/f2"), at("b/f")));
	changes_take(&c);
	changes_want(&c, &a, CKPT_INODE_ENTRIES, "rename across: the old directory");
	changes_want(&c, &b, CKPT_INODE_ENTRIES, "rename across: the new directory");
	changes_want(&c, &f, CKPT_INODE_MOVED, "rename across: the file");
	append(at("a/h"), "x");
	h = changes_id(at("a/h"));
	changes_take(&c);
	MUST(syscall(SYS_renameat2, AT_FDCWD, at("a/h"), AT_FDCWD, at("b/g"), RENAME_EXCHANGE));
	changes_take(&c);
	changes_want(&c, &a, CKPT_INODE_ENTRIES, "exchange: one directory");
	changes_want(&c, &b, CKPT_INODE_ENTRIES, "exchange: the other");
	changes_want(&c, &g, CKPT_INODE_MOVED, "exchange: one file");
	changes_want(&c, &h, CKPT_INODE_MOVED, "exchange: the other file");
	changes_count(&c, 4, "exchange");
	MUST(rename(at("a/h"), at("b/f")));
	changes_take(&c);
	changes_want(&c, &g, CKPT_INODE_MOVED, "rename over a file: what moved");
	changes_want(&c, &b, CKPT_INODE_ENTRIES, "rename over a file: the directory");
	MUST(rename(at("b/f"), at("b/g")));
	append(at("a/f"), "again");
	changes_commit(&c);
	changes_settle(&c);
}

static void links(void)
{
	struct stat f = changes_id(at("a/f")), a = changes_id(at("a")), b = changes_id(at("b"));

	MUST(link(at("a/f"), at("b/l")));
	changes_take(&c);
	changes_want(&c, &f, CKPT_INODE_CREATED | CKPT_INODE_META, "link: the file");
	changes_want(&c, &b, CKPT_INODE_ENTRIES, "link: the directory");
	MUST(unlink(at("a/f")));
	changes_take(&c);
	changes_want(&c, &f, CKPT_INODE_DELETED | CKPT_INODE_META, "unlink of one of two names");
	changes_want(&c, &a, CKPT_INODE_ENTRIES, "unlink: the directory");
	MUST(unlink(at("b/l")));
	changes_take(&c);
	check(changes_mask(&c, &f) & CKPT_INODE_DELETED, "unlink of the last name");
	changes_want(&c, &b, CKPT_INODE_ENTRIES, "and its directory");
	append(at("a/f"), "third");
	changes_commit(&c);
	changes_settle(&c);
}

static void creation(void)
{
	struct stat top = changes_id(root), st;

	append(at("new"), "x");
	st = changes_id(at("new"));
	changes_take(&c);
	changes_want(&c, &st, CKPT_INODE_CREATED | CKPT_INODE_DATA, "a new file");
	changes_want(&c, &top, CKPT_INODE_ENTRIES, "in the root itself");
	MUST(mkdir(at("d"), 0755));
	MUST(symlink("new", at("s")));
	MUST(mkfifo(at("p"), 0600));
	MUST(mknod(at("n"), S_IFCHR | 0600, 0x103));
	MUST(mknod(at("k"), S_IFSOCK | 0600, 0));
	changes_take(&c);
	st = changes_id(at("d"));
	changes_want(&c, &st, CKPT_INODE_CREATED, "mkdir");
	st = changes_id(at("s"));
	changes_want(&c, &st, CKPT_INODE_CREATED, "symlink");
	st = changes_id(at("p"));
	changes_want(&c, &st, CKPT_INODE_CREATED, "fifo");
	st = changes_id(at("n"));
	changes_want(&c, &st, CKPT_INODE_CREATED, "device node");
	st = changes_id(at("k"));
	changes_want(&c, &st, CKPT_INODE_CREATED, "socket");
	changes_count(&c, 6, "creations");
	st = changes_id(at("d"));
	MUST(rmdir(at("d")));
	changes_take(&c);
	check(changes_mask(&c, &st) & CKPT_INODE_DELETED, "rmdir");
	changes_want(&c, &top, CKPT_INODE_ENTRIES, "rmdir: the parent");
	changes_commit(&c);
	changes_settle(&c);
}

/* A file without a name, or -1: overlays have none before Linux 6.3. */
static int nameless(const char *dir)
{
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0644);

	if (fd < 0 && !(errno == EOPNOTSUPP && on_overlay && !kernel_from(6, 3)))
		die("O_TMPFILE in %s", dir);
	return fd;
}

static void a_name_for_the_nameless(void)
{
	int fd = nameless(root);
	struct stat st;

	if (fd < 0)
		return;
	MUST(write(fd, "x", 1));
	MUST(linkat(fd, "", AT_FDCWD, at("t"), AT_EMPTY_PATH));
	st = changes_id(at("t"));
	changes_take(&c);
	check((changes_mask(&c, &st) & (CKPT_INODE_CREATED | CKPT_INODE_DATA)) ==
	      (CKPT_INODE_CREATED | CKPT_INODE_DATA), "O_TMPFILE and linkat");
	close(fd);
	changes_commit(&c);
	changes_settle(&c);
}

/* A descriptor that was opened outside, of what has a name inside now. */
static void a_nameless_comes_in(const char *dir)
{
	int fd = nameless(dir);
	struct stat st;

	if (fd < 0)
		return;
	MUST(linkat(fd, "", AT_FDCWD, at("t2"), AT_EMPTY_PATH));
	changes_take(&c);
	changes_commit(&c);
	changes_settle(&c);
	MUST(write(fd, "z", 1));
	st = changes_id(at("t2"));
	changes_take(&c);
	check(changes_mask(&c, &st) & CKPT_INODE_DATA,
	      "a write through a descriptor opened outside");
	close(fd);
	changes_commit(&c);
}

/* It came with a tree, changed meanwhile, and is not below that tree any more. */
static void moves_on(const char *away, const char *leaf_away)
{
	struct stat st = changes_id(at("tree/leaf"));

	changes_settle(&c);
	MUST(rename(at("tree"), away));
	append(leaf_away, "5");
	MUST(rename(away, at("tree")));
	changes_take(&c);
	MUST(rename(at("tree/leaf"), at("leaf")));
	changes_take(&c);
	check(changes_mask(&c, &st) & CKPT_INODE_CREATED, "what came along moves on");
	changes_commit(&c);
	changes_settle(&c);
	MUST(rename(at("leaf"), at("tree/leaf")));
	changes_take(&c);
	changes_want(&c, &st, CKPT_INODE_MOVED, "in the next epoch it moves, no more");
	changes_commit(&c);
}

/* What happens beside the root concerns nobody; what reaches into it does. */
static void outside(void)
{
	char dir[80], path[96], link2[96];
	struct stat st, top = changes_id(root);

	snprintf(dir, sizeof(dir), "%s.out", root);
	snprintf(path, sizeof(path), "%s/x", dir);
	snprintf(link2, sizeof(link2), "%s/l", dir);
	MUST(mkdir(dir, 0755));
	append(path, "x");
	MUST(chmod(path, 0600));
	MUST(rename(path, link2));
	MUST(unlink(link2));
	changes_take(&c);
	changes_count(&c, 0, "changes beside the root");
	/* A name outside, written through: a package manager's way. */
	MUST(link(at("a/f"), link2));
	changes_commit(&c);
	changes_settle(&c);
	st = changes_id(link2);
	append(link2, "y");
	changes_take(&c);
	changes_want(&c, &st, CKPT_INODE_DATA, "a write through a link outside the root");
	/* It has one link less from now on, the one inside is the last. */
	changes_commit(&c);
	changes_settle(&c);
	forget_names();
	MUST(unlink(link2));
	changes_take(&c);
	check(changes_mask(&c, &st), "the last link outside the root is unlinked");
	MUST(link(at("a/f"), link2));
	changes_commit(&c);
	changes_settle(&c);
	append(path, "z");
	MUST(rename(path, link2));
	changes_take(&c);
	check(changes_mask(&c, &st) & CKPT_INODE_META,
	      "something is renamed over the link outside the root");
	MUST(unlink(link2));
	MUST(link(at("a/f"), link2));
	changes_commit(&c);
	a_nameless_comes_in(dir);
	/* A tree moves in: its top is named, and the events below it count from now on. */
	snprintf(path, sizeof(path), "%s/tree", dir);
	MUST(mkdir(path, 0755));
	append(strcat(strcpy(link2, path), "/leaf"), "1");
	MUST(rename(path, at("tree")));
	st = changes_id(at("tree"));
	changes_take(&c);
	changes_want(&c, &st, CKPT_INODE_MOVED | CKPT_INODE_CREATED, "a tree moves in: its top");
	changes_want(&c, &top, CKPT_INODE_ENTRIES, "a tree moves in: the directory");
	append(at("tree/leaf"), "2");
	st = changes_id(at("tree/leaf"));
	changes_take(&c);
	check(changes_mask(&c, &st) & CKPT_INODE_DATA, "then its files are followed");
	MUST(rename(at("tree"), path));
	changes_take(&c);
	changes_want(&c, &top, CKPT_INODE_ENTRIES, "a tree moves out: the directory");
	changes_commit(&c);
	changes_settle(&c);
	append(link2, "3");
	changes_take(&c);
	changes_count(&c, 0, "then its files concern nobody");
	changes_commit(&c);
	/* What happened to it there is told by its coming back. */
	MUST(rename(path, at("tree")));
	st = changes_id(at("tree"));
	changes_settle(&c);
	MUST(rename(at("tree"), path));
	append(link2, "4");
	MUST(rename(path, at("tree")));
	changes_take(&c);
	check(changes_mask(&c, &st) & CKPT_INODE_CREATED, "a tree moves out and in again");
	changes_commit(&c);
	moves_on(path, link2);
	/* The same of a file. */
	snprintf(path, sizeof(path), "%s/alone", dir);
	append(at("alone"), "1");
	st = changes_id(at("alone"));
	changes_settle(&c);
	MUST(rename(at("alone"), path));
	append(path, "2");
	MUST(rename(path, at("alone")));
	changes_take(&c);
	check(changes_mask(&c, &st) & CKPT_INODE_CREATED, "a file moves out and in again");
	changes_commit(&c);
}

static void inside_step(int n, uint64_t *shared)
{
	(void)n;
	append((const char *)shared, "in");
}

static void writers(void)
{
	struct stat f = changes_id(at("a/f")), g = changes_id(at("b/g"));
	struct child child;

	child_start(&child, c.group, inside_step);
	snprintf((char *)child.shared, PAGE, "%s", at("a/f"));
	child_step(&child, 1);
	append(at("b/g"), "out");
	changes_take(&c);
	check((changes_flags(&c, &f) & 6) == CKPT_INODE_F_INSIDE, "a writer in the group");
	check((changes_flags(&c, &g) & 6) == CKPT_INODE_F_OUTSIDE, "a writer outside of it");
	append(at("a/f"), "out");
	child_step(&child, 1);
	changes_take(&c);
	check((changes_flags(&c, &f) & 6) == (CKPT_INODE_F_INSIDE | CKPT_INODE_F_OUTSIDE),
	      "both");
	changes_commit(&c);
	child_end(&child);
}

static void on(const char *where)
{
	char command[256];

	snprintf(root, sizeof(root), "%s/files-events", where);
	snprintf(command, sizeof(command), "rm -rf %s %s.out && mkdir %s", root, root, root);
	if (system(command))
		die("%s", command);
	note("on %s", where);
	changes_open(&c, "files-events");
	changes_root(&c, root);
	fresh();
	contents();
	metadata();
	renames();
	links();
	creation();
	a_name_for_the_nameless();
	outside();
	writers();
	check(!c.round.lost, "nothing is lost");
	changes_close(&c);
}

int main(void)
{
	static const char *const types[] = { "xfs", "btrfs", "overlay" };

	on("/scratch");
	on("/tmp");
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		on_overlay = !strcmp(types[i], "overlay");
		on(disk_mount(types[i]));
		disk_umount(types[i]);
	}
	return finish();
}
