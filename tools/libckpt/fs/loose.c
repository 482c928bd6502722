// SPDX-License-Identifier: GPL-2.0-or-later
/* Loose files: captured and put back one by one. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "fs/loose.h"
#include "fs/path.h"

#define TRIES 3

static int no_memory(struct ckpt_err *err)
{
	return ckpt_fail(err, CKPT_FAILED, 0, "no memory for the content of a file");
}

static int copy_in(int fd, const char *at, bool still, const struct ckpt_sink *sink,
		   uint32_t space, struct ckpt_fs_meta *m, struct ckpt_fs_stats *stats,
		   struct ckpt_err *err)
{
	cleanup_free void *buf = malloc(CKPT_FS_CHUNK);
	struct ckpt_fs_meta after;

	if (!buf)
		return no_memory(err);
	for (int tries = 0; tries < TRIES; tries++) {
		int rc;

		if (ckpt_fs_content_read(fd, m->size, m->blocks * 512 >= m->size, sink, space, buf,
					 at, stats, err))
			return -1;
		if (!still)
			return 0;
		rc = ckpt_fs_meta_stat(fd, "", &after);
		if (rc)
			return ckpt_fail(err, CKPT_FAILED, -rc, "stat %s", at);
		if (ckpt_fs_meta_same_times(m, &after))
			return 0;
		*m = after;
	}
	return ckpt_fail(err, CKPT_FAILED, 0,
			 "%s is being written while the tree stands still; stop its writer", at);
}

int ckpt_fs_loose_capture(const char *at, bool still, const struct ckpt_sink *sink,
			  uint32_t *space, struct ckpt_fs_meta *ret,
			  struct ckpt_fs_stats *stats, struct ckpt_err *err)
{
	cleanup_close int fd = open(at, O_RDONLY | O_NOATIME | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	cleanup_meta struct ckpt_fs_meta m = { 0 };
	uint32_t to = *space;
	int rc;

	if (fd < 0)
		return ckpt_fail(err, CKPT_FAILED, errno, "open %s", at);
	rc = ckpt_fs_meta_stat(fd, "", &m);
	if (!rc && !S_ISREG(m.mode))
		return ckpt_fail(err, CKPT_REFUSED, 0, "%s is not a regular file", at);
	if (!rc && !to && sink->space_new(sink->self, &to, err))
		return -1;
	if (!rc && copy_in(fd, at, still, sink, to, &m, stats, err))
		return -1;
	if (!rc)
		rc = ckpt_fs_meta_rest(fd, &m);
	if (rc)
		return ckpt_fail(err, CKPT_FAILED, -rc, "read the metadata of %s", at);
	*space = to;
	*ret = m;
	m = (struct ckpt_fs_meta){ 0 };
	return 0;
}

int ckpt_fs_loose_fill(int fd, const struct ckpt_fs_meta *m, const struct ckpt_source *source,
		       uint32_t space, const char *what, struct ckpt_fs_stats *stats,
		       struct ckpt_err *err)
{
	cleanup_free void *buf = malloc(CKPT_FS_CHUNK);

	if (!buf)
		return no_memory(err);
	if (ftruncate(fd, 0))
		return ckpt_fail(err, CKPT_FAILED, errno, "empty %s", what);
	if (ckpt_fs_content_write(fd, m->size, source, space, buf, what, stats, err))
		return -1;
	return ckpt_fs_meta_apply(fd, m, what, err);
}

int ckpt_fs_loose_dir(const char *path, const char **ret_name, struct ckpt_err *err)
{
	struct open_how how = { .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
				.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };
	cleanup_free char *dir = strdup(path);
	char *slash = dir ? strrchr(dir, '/') : NULL;
	int fd;

	if (!slash)
		return no_memory(err);
	*ret_name = path + (slash - dir) + 1;
	slash[slash == dir] = 0;
	fd = syscall(SYS_openat2, AT_FDCWD, dir, &how, sizeof(how));
	if (fd >= 0)
		return fd;
	if (errno == ELOOP)
		return ckpt_fail(err, CKPT_REFUSED, 0, "a link leads to the directory of %s now, "
				 "which the checkpoint uses", path);
	if (errno == ENOENT || errno == ENOTDIR)
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "there is no directory for %s, which the checkpoint uses", path);
	return ckpt_fail(err, CKPT_FAILED, errno, "open the directory of %s", path);
}

/* Return: 1 when the file @name is as captured, 0 when not, -1 error. */
static int is_same(int dir, const char *name, const char *path, const struct ckpt_fs_meta *m,
		   const struct ckpt_source *source, uint32_t space, struct ckpt_fs_stats *stats,
		   struct ckpt_err *err)
{
	cleanup_close int fd = openat(dir, name, O_RDONLY | O_NOATIME | O_NONBLOCK | O_NOCTTY |
						 O_NOFOLLOW | O_CLOEXEC);
	cleanup_meta struct ckpt_fs_meta live = { 0 };
	cleanup_free void *buf = malloc(CKPT_FS_CHUNK);
	bool replace;

	if (!buf)
		return no_memory(err);
	if (fd < 0 || ckpt_fs_meta_stat(fd, "", &live) || ckpt_fs_meta_rest(fd, &live) ||
	    ckpt_fs_meta_diff(m, &live, &replace))
		return 0;
	return ckpt_fs_content_same(fd, m->size, source, space, buf, path, stats, err);
}

static int make_durable(int dir, const char *path, struct ckpt_err *err)
{
	cleanup_close int fd = ckpt_fs_reopen(dir, O_RDONLY | O_DIRECTORY);

	if (fd < 0 || fsync(fd))
		return ckpt_fail(err, CKPT_FAILED, fd < 0 ? -fd : errno,
				 "write the directory of %s", path);
	return 0;
}

int ckpt_fs_loose_restore(const char *path, const struct ckpt_fs_meta *m,
			  const struct ckpt_source *source, uint32_t space,
			  struct ckpt_fs_stats *stats, struct ckpt_err *err)
{
	const char *name;
	cleanup_close int dir = ckpt_fs_loose_dir(path, &name, err), fd = -1;
	cleanup_free char *temp = NULL;
	int rc;

	if (dir < 0)
		return -1;
	if (asprintf(&temp, "%s.ckpt-restore", name) < 0) {
		temp = NULL;
		return no_memory(err);
	}
	rc = is_same(dir, name, path, m, source, space, stats, err);
	if (rc)
		return rc < 0 ? -1 : 0;
	/* always the same name: what a killed restore has left goes with the next one */
	unlinkat(dir, temp, 0);
	fd = openat(dir, temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return ckpt_fail(err, CKPT_FAILED, errno, "make a copy beside %s", path);
	rc = ckpt_fs_loose_fill(fd, m, source, space, path, stats, err);
	if (!rc && fsync(fd))
		rc = ckpt_fail(err, CKPT_FAILED, errno, "write %s", path);
	if (!rc && ckpt_fault("fs.loose"))
		rc = ckpt_fail(err, CKPT_FAILED, 0, "fault point fs.loose");
	if (!rc && renameat(dir, temp, dir, name))
		rc = ckpt_fail(err, CKPT_FAILED, errno, "put %s in place", path);
	if (rc)
		unlinkat(dir, temp, 0);
	else
		rc = make_durable(dir, path, err);
	return rc;
}
