// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * files_far_test.c: files of a root that are changed by a name outside of it
 *
 * What certainly has to do with no root is left out before anything else is asked, by the name
 * that it happened to and a hash of the numbers of the directories above.  So there are several
 * of each here: for one of 256 numbers a fault would not show.
 *
 * debug: slow
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/changes.h"
#include "lib/disks.h"
#include "lib/world.h"

#define MUST(call) do { if ((call) < 0) die("%s", #call); } while (0)
#define FILES 4
#define LOG_PAGES 64

static struct changes c;
static char top[64];

/* The path of file @n in the root, or of that in a directory of its own outside. */
static const char *in(int n)
{
	static char path[96];

	snprintf(path, sizeof(path), "%s/root/%d", top, n);
	return path;
}

static const char *out(int n)
{
	static char path[96];

	snprintf(path, sizeof(path), "%s/out%d/f", top, n);
	return path;
}

static void start(void)
{
	char root[80], dir[80];
	int n;

	snprintf(root, sizeof(root), "%s/root", top);
	shell("rm -rf %s && mkdir -p %s", top, root);
	for (n = 0; n < FILES; n++) {
		snprintf(dir, sizeof(dir), "%s/out%d", top, n);
		MUST(mkdir(dir, 0755));
		append(in(n), "content");
	}
	changes_open(&c, "files-far");
	changes_root(&c, root);
	changes_settle(&c);
}

static void stop(void)
{
	check(!c.round.lost, "nothing is lost");
	changes_close(&c);
	shell("rm -rf %s", top);
}

/* A descriptor tells by a name that is gone; the other one is in the root. */
static void gone_name(void)
{
	int fd[FILES], n;
	struct stat st;

	start();
	for (n = 0; n < FILES; n++) {
		MUST(link(in(n), out(n)));
		MUST(fd[n] = open(out(n), O_RDONLY | O_CLOEXEC));
		MUST(unlink(out(n)));
	}
	changes_settle(&c);
	changes_count(&c, 0, "after a while");
	for (n = 0; n < FILES; n++)
		MUST(fchmod(fd[n], 0600));
	changes_take(&c);
	for (n = 0; n < FILES; n++) {
		st = changes_id(in(n));
		changes_want(&c, &st, CKPT_INODE_META, "by a name outside that is gone");
		close(fd[n]);
	}
	changes_commit(&c);
	stop();
}

/*
 * While a name goes, a file looks for a moment as if it had no other one.  What is done to it by
 * this name just then is taken for nobody's.
 */
static void going_name(void)
{
	struct stat st;
	int n;

	start();
	for (n = 0; n < FILES; n++)
		MUST(link(in(n), out(n)));
	changes_settle(&c);
	MUST(unlink(out(0)));
	MUST(unlink(in(1)));
	changes_take(&c);
	st = changes_id(in(0));
	check(changes_mask(&c, &st) & CKPT_INODE_SUSPECT, "a name outside is gone: suspect");
	check(changes_mask(&c, &st) & CKPT_INODE_META, "and so are its attributes");
	st = changes_id(out(1));
	check(!(changes_mask(&c, &st) & CKPT_INODE_SUSPECT), "a name inside is gone: not suspect");
	changes_commit(&c);
	changes_settle(&c);
	changes_count(&c, 0, "after a while");
	stop();
}

/* It was in the root when this epoch began. */
static void moved_out(void)
{
	struct stat st;
	int n;

	start();
	for (n = 0; n < FILES; n++) {
		MUST(rename(in(n), out(n)));
		append(out(n), "more");
	}
	changes_take(&c);
	for (n = 0; n < FILES; n++) {
		st = changes_id(out(n));
		changes_want(&c, &st, CKPT_INODE_MOVED | CKPT_INODE_DATA,
			     "moved out of the root, then written");
	}
	changes_commit(&c);
	stop();
}

static bool has_ranges(const char *path)
{
	struct stat st = changes_id(path);
	size_t n;

	return changes_ranges(&c, &st, &n);
}

static void take(void)
{
	changes_take(&c);
	changes_commit(&c);
}

/* Its log is still there when it comes back by a link. */
static void log_outside(void)
{
	char data[LOG_PAGES * PAGE];
	int fd[FILES], n;

	start();
	memset(data, 1, sizeof(data));
	for (n = 0; n < FILES; n++) {
		MUST(fd[n] = open(in(n), O_WRONLY | O_CLOEXEC));
		MUST(pwrite(fd[n], data, sizeof(data), 0));
		MUST(pwrite(fd[n], data, 1, 0));
		MUST(fsync(fd[n]));
	}
	take();
	take();
	for (n = 0; n < FILES; n++)
		MUST(close(fd[n]));
	take();
	changes_take(&c);
	for (n = 0; n < FILES; n++)
		check(has_ranges(in(n)), "written no more: its pages are told");
	changes_commit(&c);
	changes_take(&c);
	changes_count(&c, 0, "after a while");
	changes_abort(&c);
	for (n = 0; n < FILES; n++)
		MUST(rename(in(n), out(n)));
	take();
	for (n = 0; n < FILES; n++) {
		MUST(fd[n] = open(out(n), O_WRONLY | O_CLOEXEC));
		MUST(fallocate(fd[n], FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4 * PAGE, PAGE));
		MUST(close(fd[n]));
		MUST(link(out(n), in(n)));
	}
	changes_take(&c);
	for (n = 0; n < FILES; n++)
		check(!has_ranges(in(n)), "a hole was made outside: its pages are not told");
	changes_commit(&c);
	stop();
}

static void on(const char *where)
{
	snprintf(top, sizeof(top), "%s/far", where);
	note("in %s", top);
	gone_name();
	going_name();
	moved_out();
}

int main(void)
{
	on("/scratch");
	log_outside();
	on(disk_mount("overlay"));
	disk_umount("overlay");
	on(disk_mount("tmpfs"));
	disk_umount("tmpfs");
	return finish();
}
