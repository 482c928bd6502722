// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The file of a Unix socket: where it is, which its name does not say
 *
 * A name may be relative, and its file renamed or removed since.  The kernel opens it for us,
 * as a path alone.  One that was accepted has the name of the one that listened, and no file.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/unix-read.h"

#ifndef SIOCUNIXFILE
#define SIOCUNIXFILE (SIOCPROTOPRIVATE + 0)
#endif

static bool is_accepted(const struct ckpt_socket *s, const struct ckpt_unix *u)
{
	return s->type != SOCK_DGRAM && u->state == CKPT_UNIX_CONNECTED;
}

/* Attributes but those that the system gives to every file. */
static bool has_attributes(const char *link)
{
	char names[1024];
	ssize_t n = listxattr(link, names, sizeof(names));

	for (ssize_t i = 0; i < n; i += strlen(names + i) + 1) {
		if (strcmp(names + i, "security.selinux"))
			return true;
	}
	return n < 0 && errno == ERANGE;
}

static int check_file(const struct ckpt_reader *r, const struct ckpt_file *f, const char *link,
		      const char *path, const struct stat *st, struct ckpt_err *err)
{
	if (st->st_nlink > 1)
		return ckpt_unix_refuse(r, f, err, "whose file has several names");
	if (path[0] != '/')
		return ckpt_unix_refuse(r, f, err, "whose file cannot be reached");
	if (has_attributes(link))
		return ckpt_unix_refuse(r, f, err, "whose file has extended attributes or an ACL");
	return 0;
}

int ckpt_read_unix_path(struct ckpt_reader *r, const struct ckpt_file *f, int own,
			struct ckpt_unix *u, struct ckpt_err *err)
{
	cleanup_close int file = -1;
	char link[64], path[PATH_MAX];
	struct stat st;
	ssize_t n;

	if (!u->name_len || !u->name[0] || is_accepted(&r->image->sockets[f->object], u))
		return 0;
	file = ioctl(own, SIOCUNIXFILE);
	if (file < 0)
		return ckpt_fail(err, errno == EPERM ? CKPT_REFUSED : CKPT_FAILED, errno,
			"cannot see the file of Unix socket %d of pid %d", f->capture_fd,
			f->capture_pid);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", file);
	n = readlink(link, path, sizeof(path) - 1);
	if (n < 0 || fstat(file, &st))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot see the file of a Unix socket");
	path[n] = 0;
	if (!st.st_nlink)
		return 0;
	if (check_file(r, f, link, path, &st, err))
		return -1;
	u->path = strdup(path);
	if (!u->path)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a path");
	u->path_uid = st.st_uid;
	u->path_gid = st.st_gid;
	u->path_mode = st.st_mode & 07777;
	u->path_mtime_ns = st.st_mtim.tv_sec * 1000000000ll + st.st_mtim.tv_nsec;
	return 0;
}
