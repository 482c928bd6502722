// SPDX-License-Identifier: GPL-2.0-or-later
/* Whole files: read, replace, say what went wrong. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "store/inside.h"

int ckpt_store_fail(const char *path, int os, const char *what, struct ckpt_err *err)
{
	switch (os) {
	case ENOSPC:
	case EDQUOT:
		ckpt_fail(err, CKPT_FAILED, 0,
			  "store '%s' is full: cannot write %s; free space and run again", path,
			  what);
		break;
	case EROFS:
	case EACCES:
	case EPERM:
		ckpt_fail(err, CKPT_REFUSED, 0,
			  "store '%s' is not writable: cannot write %s: %s; "
			  "name another store or make it writable", path, what, strerror(os));
		break;
	default:
		ckpt_fail(err, CKPT_FAILED, os, "store '%s': cannot write %s", path, what);
	}
	if (err)
		err->os = os;
	return -1;
}

int ckpt_file_read(int dir, const char *name, size_t max, struct ckpt_buf *ret,
		   struct ckpt_err *err)
{
	cleanup_close int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	size_t at;

	if (fd < 0)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot open '%s'", name);
	if (fstat(fd, &st))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot stat '%s'", name);
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > max)
		return ckpt_fail(err, CKPT_DAMAGED, 0,
				 "'%s' is no regular file of at most %zu bytes",
				 name, max);
	at = ckpt_buf_put(ret, NULL, st.st_size);
	if (ret->failed)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory to read '%s'", name);
	for (size_t done = 0; done < (size_t)st.st_size;) {
		ssize_t n = pread(fd, ret->data + at + done, st.st_size - done, done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ckpt_fail(err, CKPT_DAMAGED, errno, "cannot read '%s'", name);
		if (!n)
			return ckpt_fail(err, CKPT_DAMAGED, 0,
					 "'%s' shrank while it was read", name);
		done += n;
	}
	return 0;
}

int ckpt_file_write(int fd, const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		p += n;
		len -= n;
	}
	return 0;
}

/* A named step that a test can make fail. */
static int step(const char *point, const char *name)
{
	char full[64];

	if (!point)
		return 0;
	snprintf(full, sizeof(full), "%s-%s", point, name);
	if (!ckpt_fault(full))
		return 0;
	errno = EIO;
	return -1;
}

static int write_tmp(const struct ckpt_place *at, const char *tmp, const void *data, size_t len)
{
	cleanup_close int fd = openat(at->tmp, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC |
				      O_NOFOLLOW, at->mode);

	if (fd < 0 || step(at->point, "write") || ckpt_file_write(fd, data, len))
		return -1;
	if (at->point && (step(at->point, "fsync") || fsync(fd)))
		return -1;
	return 0;
}

static const char *tmp_of(const struct ckpt_place *at, char ret[128])
{
	snprintf(ret, 128, "%s.tmp", at->name);
	return ret;
}

void ckpt_file_discard(const struct ckpt_place *at)
{
	char tmp[128];

	unlinkat(at->tmp, tmp_of(at, tmp), 0);
}

static int give_up(const struct ckpt_place *at, int os, struct ckpt_err *err)
{
	ckpt_file_discard(at);
	return ckpt_store_fail(at->store, os, at->what, err);
}

int ckpt_file_prepare(const struct ckpt_place *at, const void *data, size_t len,
		      struct ckpt_err *err)
{
	char tmp[128];

	return write_tmp(at, tmp_of(at, tmp), data, len) ? give_up(at, errno, err) : 0;
}

/* Not every file system knows the flags. */
static int move(const struct ckpt_place *at, unsigned int flags)
{
	char tmp[128];

	tmp_of(at, tmp);
	if (flags && !renameat2(at->tmp, tmp, at->dir, at->name, flags))
		return 0;
	return flags && errno != EINVAL ? -1 : renameat(at->tmp, tmp, at->dir, at->name);
}

int ckpt_file_move(const struct ckpt_place *at, unsigned int flags, struct ckpt_err *err)
{
	if (step(at->point, "rename") || move(at, flags))
		return give_up(at, errno, err);
	if (at->point && (step(at->point, "dirsync") || fsync(at->dir)))
		return ckpt_store_fail(at->store, errno, at->what, err);
	return 0;
}

int ckpt_file_replace(const struct ckpt_place *at, const void *data, size_t len,
		      struct ckpt_err *err)
{
	return ckpt_file_prepare(at, data, len, err) || ckpt_file_move(at, 0, err) ? -1 : 0;
}
