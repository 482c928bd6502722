// SPDX-License-Identifier: GPL-2.0-or-later
/* The private directory of a group. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "flow/private.h"

/* Nobody else may put anything in the place of what we make in it. */
static int check_dir(const char *path, const struct stat *st, bool own, struct ckpt_err *err)
{
	bool ours = st->st_uid == geteuid() || (!own && !st->st_uid);
	bool shared = st->st_mode & 022 && (own || !(st->st_mode & S_ISVTX));

	if (!S_ISDIR(st->st_mode))
		return ckpt_fail(err, CKPT_REFUSED, 0, "%s is no directory", path);
	if (!ours || shared)
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "%s belongs to others or can be written by them; name another "
				 "private directory", path);
	return 0;
}

/* Make or take a directory that is ours alone. @ret: opened. */
static int own_dir(int at, const char *name, const char *path, int *ret, struct ckpt_err *err)
{
	cleanup_close int fd = -1;
	struct stat st;

	if (mkdirat(at, name, 0700) && errno != EEXIST)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot make %s", path);
	fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && (errno == ELOOP || errno == ENOTDIR))
		return ckpt_fail(err, CKPT_REFUSED, 0, "%s is no directory", path);
	if (fd < 0 || fstat(fd, &st))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot open %s", path);
	if (check_dir(path, &st, true, err))
		return -1;
	*ret = take_fd(fd);
	return 0;
}

int ckpt_private_make(const char *top, const char *name, char **ret, int *ret_fd,
		      struct ckpt_err *err)
{
	cleanup_close int at = -1, dir = -1, tmp = -1;
	cleanup_free char *path = NULL;
	struct stat st;

	if (asprintf(&path, "%s/%s", top, name) < 0)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a path");
	if (mkdir(top, 0711) && errno != EEXIST)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot make %s", top);
	at = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (at < 0 || fstat(at, &st))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot open %s", top);
	if (check_dir(top, &st, false, err) || own_dir(at, name, path, &dir, err) ||
	    own_dir(dir, "tmp", path, &tmp, err))
		return -1;
	*ret = realpath(path, NULL);
	if (!*ret)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot use %s", path);
	*ret_fd = take_fd(dir);
	return 0;
}

int ckpt_private_log(int dir, const char *path, struct ckpt_err *err)
{
	cleanup_close int fd = openat(dir, "log", O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW |
				      O_CLOEXEC, 0600);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot open %s/log", path);
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_nlink != 1)
		return ckpt_fail(err, CKPT_REFUSED, 0, "%s/log is no file of our own; remove it",
				 path);
	return take_fd(fd);
}
