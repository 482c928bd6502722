// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Operations on names and what is not content
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "audit.h"

#define AWAY_DIRS 2

/* What came of an operation: counted, or its error is for the log. */
static void result(struct hand *h, int err, enum change change)
{
	if (err)
		h->entry->b = (uint64_t)errno;
	else
		did(h, change);
}

static const char *directory(struct hand *h, char *buf)
{
	snprintf(buf, 64, ROOT "/d%d", (int)pick(h, FILE_DIRS));
	return buf;
}

static void op_rename(struct hand *h)
{
	char from[64], to[64];
	unsigned int flags = pick(h, 3) ? 0 : RENAME_EXCHANGE;
	ptrdiff_t dir;
	bool same;

	name(h, from);
	name(h, to);
	if (!strcmp(from, to))
		return;
	dir = strrchr(from, '/') - from;
	same = dir == strrchr(to, '/') - to && !strncmp(from, to, (size_t)dir);
	result(h, renameat2(AT_FDCWD, from, AT_FDCWD, to, flags),
	       flags ? CHANGE_EXCHANGE : same ? CHANGE_RENAME : CHANGE_ACROSS);
}

/* Out of the root, or into it from there: other files, or the same ones changed meanwhile. */
static void op_away(struct hand *h)
{
	char in[64], out[64];

	name(h, in);
	snprintf(out, sizeof(out), BESIDE "/l%d", (int)pick(h, NAMES));
	if (pick(h, 2))
		result(h, renameat2(AT_FDCWD, in, AT_FDCWD, out, 0), CHANGE_OUT);
	else
		result(h, renameat2(AT_FDCWD, out, AT_FDCWD, in, 0), CHANGE_IN);
}

static void op_rename_dir(struct hand *h)
{
	char from[64], to[64];

	directory(h, from);
	if (strcmp(from, directory(h, to)))
		result(h, renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_EXCHANGE),
		       CHANGE_RENAME_DIR);
}

/* What changes while it is away makes no event that names it as ours. */
static void change_away(struct hand *h, const char *dir)
{
	char path[80], other[80], c = (char)pick(h, 256);
	int fd;

	snprintf(path, sizeof(path), "%s/f%d", dir, (int)pick(h, NAMES));
	switch (pick(h, 4)) {
	case 0:
		unlink(path);
		break;
	case 1:
		chmod(path, (mode_t)pick(h, 512) | 0600);
		break;
	case 2:
		snprintf(other, sizeof(other), "%s/f%d", dir, (int)pick(h, NAMES));
		rename(path, other);
		break;
	default:
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW, 0644);
		if (pwrite(fd, &c, 1, (off_t)pick(h, FILE_SIZE)) < 0)
			h->entry->b = (uint64_t)errno;
		close(fd);
	}
}

/* To a free name, or in exchange for what is there. */
static void move_dir(struct hand *h, const char *from, const char *to, enum change change,
		     enum change back)
{
	if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE)) {
		if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_EXCHANGE)) {
			h->entry->b = (uint64_t)errno;
			return;
		}
		did(h, back);
	}
	did(h, change);
}

/* Whole directories leave the root, are changed, and come back as another one, now or later. */
static void op_away_dir(struct hand *h)
{
	char in[64], out[64];
	int i;

	snprintf(out, sizeof(out), BESIDE "/t%d", (int)pick(h, AWAY_DIRS));
	move_dir(h, directory(h, in), out, CHANGE_OUT_DIR, CHANGE_IN_DIR);
	for (i = (int)pick(h, 4); i; i--)
		change_away(h, out);
	if (pick(h, 4))
		move_dir(h, out, directory(h, in), CHANGE_IN_DIR, CHANGE_OUT_DIR);
}

static void op_directory(struct hand *h)
{
	char path[64];

	if (pick(h, 3))
		name(h, path);
	else
		directory(h, path);
	if (pick(h, 2) && !rmdir(path))
		did(h, CHANGE_RMDIR);
	else
		result(h, mkdir(path, 0755), CHANGE_MKDIR);
}

static void op_link(struct hand *h)
{
	char from[64], to[64];

	name(h, from);
	if (pick(h, 3))
		name(h, to);
	else
		snprintf(to, sizeof(to), BESIDE "/l%d", (int)pick(h, NAMES));
	result(h, link(from, to), CHANGE_LINK);
	if (h->entry->b == EEXIST && pick(h, 2))
		unlink(to);
}

static void op_unlink(struct hand *h)
{
	char path[64];

	result(h, unlink(name(h, path)), CHANGE_UNLINK);
}

static void make_nameless(struct hand *h, const char *path)
{
	char text[64];
	int fd = open(ROOT, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0)
		return;
	snprintf(text, sizeof(text), "/proc/self/fd/%d", fd);
	if (write(fd, text, 14) == 14)
		result(h, linkat(AT_FDCWD, text, AT_FDCWD, path, AT_SYMLINK_FOLLOW),
		       CHANGE_TMPFILE);
	close(fd);
}

static void op_make(struct hand *h)
{
	char path[64], to[64];

	name(h, path);
	/* The names are taken, mostly. */
	if (pick(h, 2) && !unlink(path))
		did(h, CHANGE_UNLINK);
	switch (pick(h, 4)) {
	case 0:
		result(h, symlink(name(h, to), path), CHANGE_SYMLINK);
		break;
	case 1:
		result(h, mknod(path, S_IFIFO | 0644, 0), CHANGE_FIFO);
		break;
	case 2:
		result(h, mknod(path, S_IFCHR | 0644, makedev(1, 3)), CHANGE_DEVICE);
		break;
	case 3:
		make_nameless(h, path);
	}
}

static void op_meta(struct hand *h)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT },
				     { .tv_sec = (time_t)pick(h, 1000000) } };
	char path[64];

	if (pick(h, 8))
		name(h, path);
	else
		directory(h, path);
	switch (pick(h, 3)) {
	case 0:
		result(h, chmod(path, (mode_t)pick(h, 512) | 0700), CHANGE_CHMOD);
		break;
	case 1:
		result(h, lchown(path, (uid_t)pick(h, 4), (gid_t)pick(h, 4)), CHANGE_CHOWN);
		break;
	case 2:
		result(h, utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW), CHANGE_UTIMENS);
	}
}

static void op_xattr(struct hand *h)
{
	/* user::rw- user:N:r-- group::r-- mask::r-- other::r-- */
	uint32_t acl[] = { 2, 0x60001, ~0U, 0x40002, (uint32_t)pick(h, 4), 0x40004, ~0U,
			   0x40010, ~0U, 0x40020, ~0U };
	uint64_t value[2] = { rnd(&h->seed), rnd(&h->seed) };
	char path[64];
	int tries, err;

	name(h, path);
	switch (pick(h, 4)) {
	case 0:
		/* Not many have one. */
		for (tries = 8; (err = lremovexattr(path, "user.a")) && tries; tries--)
			name(h, path);
		result(h, err, CHANGE_NO_XATTR);
		break;
	case 1:
		result(h, lsetxattr(path, "system.posix_acl_access", acl, sizeof(acl), 0),
		       CHANGE_ACL);
		break;
	default:
		result(h, lsetxattr(path, "user.a", value, 1 + pick(h, 15), 0), CHANGE_XATTR);
	}
}

const struct op name_ops[] = {
	{ "f-rename", op_rename, 24, -1 },
	{ "f-away", op_away, 16, -1 },
	{ "f-rename-dir", op_rename_dir, 2, -1 },
	{ "f-away-dir", op_away_dir, 6, -1 },
	{ "f-directory", op_directory, 16, -1 },
	{ "f-link", op_link, 12, -1 },
	{ "f-unlink", op_unlink, 8, -1 },
	{ "f-make", op_make, 12, -1 },
	{ "f-meta", op_meta, 16, -1 },
	{ "f-xattr", op_xattr, 12, -1 },
	{ },
};
