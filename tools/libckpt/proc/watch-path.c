// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Paths of watched inodes: by their file handles, through a mount of ours, or as known already
 *
 * Whoever opens a file makes an event that the very watch may be for; O_PATH makes none.  A mount
 * to start from may not be open in that way, but the working directory may be.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/procfs.h"
#include "proc/read.h"

#ifndef AT_HANDLE_FID
#define AT_HANDLE_FID 0x200	/* Linux 6.5 */
#endif

/**
 * struct ckpt_point - a mount
 * @id: as in mountinfo
 * @dev: of its file system, as the kernel numbers it
 * @path: where it is
 * @fd: O_PATH; -1: not opened yet, -2: something else is there
 */
struct ckpt_point {
	uint64_t id;
	uint32_t dev;
	char *path;
	int fd;
};

union handle {
	struct file_handle head;
	char room[sizeof(struct file_handle) + sizeof(((struct ckpt_proc_watch *)0)->handle)];
};

/* Undo the \\ooo of mountinfo. */
static void unescape(char *text)
{
	char *to = text;
	unsigned int c;

	for (const char *p = text; *p; to++) {
		if (*p == '\\' && sscanf(p + 1, "%3o", &c) == 1) {
			*to = (char)c;
			p += 4;
		} else {
			*to = *p++;
		}
	}
	*to = 0;
}

/* "ID PARENT MAJOR:MINOR ROOT PATH ..." */
static int add_point(struct ckpt_points *points, const char *line, struct ckpt_err *err)
{
	struct ckpt_point *p = ckpt_grow(points->list, &points->n, sizeof(*p));
	unsigned int ma, mi;

	if (!p)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of mounts");
	points->list = p;
	p += points->n - 1;
	p->fd = -1;
	if (sscanf(line, "%lu %*u %u:%u %*s %ms", &p->id, &ma, &mi, &p->path) != 4)
		return ckpt_fail(err, CKPT_FAILED, 0, "cannot understand mountinfo");
	p->dev = ma << 20 | mi;
	unescape(p->path);
	return 0;
}

static int load(struct ckpt_points *points, struct ckpt_err *err)
{
	cleanup_close int self = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_buf struct ckpt_buf text = CKPT_BUF_INIT;
	int e = self < 0 ? -errno : ckpt_procfs_read(self, "mountinfo", &text);
	char *save;

	if (e)
		return ckpt_fail(err, CKPT_FAILED, -e, "cannot read our own mounts");
	for (char *line = strtok_r((char *)text.data, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		if (add_point(points, line, err))
			return -1;
	}
	return 0;
}

/* Is this mount what its path leads to, not covered by another? */
static bool enter(struct ckpt_points *points, struct ckpt_point *p)
{
	struct statx st;

	if (points->at == p)
		return true;
	if (p->fd == -1) {
		p->fd = open(p->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		if (p->fd < 0 || statx(p->fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &st) ||
		    !(st.stx_mask & STATX_MNT_ID) || st.stx_mnt_id != p->id) {
			if (p->fd >= 0)
				close(p->fd);
			p->fd = -2;
		}
	}
	if (p->fd < 0 || fchdir(p->fd))
		return false;
	points->at = p;
	return true;
}

/* The path of what @fd has open, if that leads to it. */
static char *path_of(int fd, struct stat *ret)
{
	char link[32], path[PATH_MAX];
	struct stat other;
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n <= 0 || fstat(fd, ret))
		return NULL;
	path[n] = 0;
	if (path[0] != '/' || fstatat(AT_FDCWD, path, &other, AT_SYMLINK_NOFOLLOW) ||
	    other.st_dev != ret->st_dev || other.st_ino != ret->st_ino)
		return NULL;
	return strdup(path);
}

static char *try_point(struct ckpt_points *points, struct ckpt_point *p,
		       const struct ckpt_proc_watch *w, struct stat *ret)
{
	union handle handle = { .head = { w->handle_len, w->handle_type } };
	cleanup_close int fd = -1;

	if (p->dev != w->dev || !enter(points, p))
		return NULL;
	memcpy(handle.head.f_handle, w->handle, w->handle_len);
	fd = open_by_handle_at(AT_FDCWD, &handle.head, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? NULL : path_of(fd, ret);
}

/*
 * Is it the watched inode that @fd has open?  By its handle, even where that opens nothing, or
 * where there is none by its numbers.
 */
static bool is_watched(int fd, const struct ckpt_proc_watch *w, struct stat *ret)
{
	union handle h = { .head = { .handle_bytes = sizeof(w->handle) } };
	int mount;

	if (fstat(fd, ret))
		return false;
	if (!w->handle_len)
		return ret->st_ino == w->ino &&
		       ret->st_dev == makedev(w->dev >> 20, w->dev & 0xfffff);
	if (name_to_handle_at(fd, "", &h.head, &mount, AT_EMPTY_PATH) &&
	    name_to_handle_at(fd, "", &h.head, &mount, AT_EMPTY_PATH | AT_HANDLE_FID))
		return false;
	return h.head.handle_type == w->handle_type && h.head.handle_bytes == w->handle_len &&
	       !memcmp(h.head.f_handle, w->handle, w->handle_len);
}

/*
 * What the caller knows: overlayfs opens no handles unless it is to be exported, and who watches
 * a file keeps the inode, of which the kernel may forget the name.
 */
static char *try_known(const struct ckpt_hold *hold, const struct ckpt_proc_watch *w,
		       struct stat *ret)
{
	for (size_t nth = 0; hold->path_of; nth++) {
		cleanup_free char *path = hold->path_of(hold->path_arg, w->ino, nth);
		cleanup_close int fd = -1;

		if (!path)
			break;
		fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0 && is_watched(fd, w, ret))
			return take_ptr(path);
	}
	return NULL;
}

int ckpt_watch_path(struct ckpt_points *points, const struct ckpt_hold *hold,
		    const struct ckpt_proc_watch *w, char **ret_path, struct stat *ret,
		    struct ckpt_err *err)
{
	char *path = NULL;

	if (!points->list && load(points, err))
		return -1;
	if (points->at && w->handle_len)
		path = try_point(points, points->at, w, ret);
	for (size_t i = 0; i < points->n && w->handle_len && !path; i++)
		path = try_point(points, &points->list[i], w, ret);
	if (!path)
		path = try_known(hold, w, ret);
	if (!path)
		return 0;
	*ret_path = path;
	return 1;
}

void ckpt_points_done(struct ckpt_points *points)
{
	if (points->at && chdir("/"))
		errno = 0;
	for (size_t i = 0; i < points->n; i++) {
		if (points->list[i].fd >= 0)
			close(points->list[i].fd);
		free(points->list[i].path);
	}
	free(points->list);
	*points = (struct ckpt_points){ 0 };
}
