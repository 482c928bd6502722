// SPDX-License-Identifier: GPL-2.0-or-later
/* Loose files: captured one by one, and made ready to be put back. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "fs/loose.h"
#include "fs/path.h"

#define TRIES 3

static int no_memory(struct ckpt_err *err)
{
	return ckpt_fail(err, CKPT_FAILED, 0, "no memory for the content of a file");
}

static enum ckpt_fs_way way(const struct ckpt_fs_meta *m, bool shared)
{
	if (shared)
		return CKPT_FS_WAY_SHARED;
	return m->blocks * 512 >= m->size ? CKPT_FS_WAY_DENSE : CKPT_FS_WAY_SEEK;
}

static int copy_in(int fd, bool shared, const char *at, bool still, const struct ckpt_sink *sink,
		   uint32_t space, struct ckpt_fs_meta *m, struct ckpt_fs_stats *stats,
		   struct ckpt_err *err)
{
	cleanup_free void *buf = malloc(CKPT_FS_CHUNK);
	struct ckpt_fs_meta after;

	if (!buf)
		return no_memory(err);
	for (int tries = 0; tries < TRIES; tries++) {
		int rc;

		if (ckpt_fs_content_read(fd, m->size, way(m, shared), sink, space, buf,
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

	if (fd < 0)
		return ckpt_fail(err, CKPT_FAILED, errno, "open %s", at);
	return ckpt_fs_loose_read(fd, false, at, still, sink, space, ret, stats, err);
}

int ckpt_fs_loose_read(int fd, bool shared, const char *at, bool still,
		       const struct ckpt_sink *sink, uint32_t *space, struct ckpt_fs_meta *ret,
		       struct ckpt_fs_stats *stats, struct ckpt_err *err)
{
	cleanup_meta struct ckpt_fs_meta m = { 0 };
	uint32_t to = *space;
	int rc;

	rc = ckpt_fs_meta_stat(fd, "", &m);
	if (!rc && !S_ISREG(m.mode))
		return ckpt_fail(err, CKPT_REFUSED, 0, "%s is not a regular file", at);
	if (!rc && !to && sink->space_new(sink->self, &to, err))
		return -1;
	if (!rc && copy_in(fd, shared, at, still, sink, to, &m, stats, err))
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

int ckpt_fs_loose_open_dir(const char *path, const char **ret_name)
{
	struct open_how how = { .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
				.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };
	cleanup_free char *dir = strdup(path);
	char *slash = dir ? strrchr(dir, '/') : NULL;
	int fd;

	if (!slash)
		return -ENOMEM;
	*ret_name = path + (slash - dir) + 1;
	slash[slash == dir] = 0;
	fd = syscall(SYS_openat2, AT_FDCWD, dir, &how, sizeof(how));
	return fd < 0 ? -errno : fd;
}

int ckpt_fs_loose_fail_dir(const char *path, int error, struct ckpt_err *err)
{
	if (error == -ELOOP)
		return ckpt_fail(err, CKPT_REFUSED, 0, "a link leads to the directory of %s now, "
				 "which the checkpoint uses", path);
	if (error == -ENOENT || error == -ENOTDIR)
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "there is no directory for %s, which the checkpoint uses", path);
	return ckpt_fail(err, CKPT_FAILED, -error, "open the directory of %s", path);
}

int ckpt_fs_loose_dir(const char *path, const char **ret_name, struct ckpt_err *err)
{
	int fd = ckpt_fs_loose_open_dir(path, ret_name);

	return fd < 0 ? ckpt_fs_loose_fail_dir(path, fd, err) : fd;
}

/* Return: 1 when the file is as captured, 0 when not, -1 error. */
static int is_same(const struct ckpt_fs_stage *s, const struct ckpt_fs_loose *f,
		   const struct ckpt_source *source, struct ckpt_fs_stats *stats,
		   struct ckpt_err *err)
{
	cleanup_close int fd = openat(s->parent, s->name, O_RDONLY | O_NOATIME | O_NONBLOCK |
							  O_NOCTTY | O_NOFOLLOW | O_CLOEXEC);
	cleanup_meta struct ckpt_fs_meta live = { 0 };
	cleanup_free void *buf = malloc(CKPT_FS_CHUNK);
	bool replace;

	if (!buf)
		return no_memory(err);
	if (fd < 0 || ckpt_fs_meta_stat(fd, "", &live) || ckpt_fs_meta_rest(fd, &live) ||
	    ckpt_fs_meta_diff(&f->meta, &live, &replace))
		return 0;
	return ckpt_fs_content_same(fd, f->meta.size, source, f->space, buf, f->path, stats, err);
}

/* Can something be put into the directory, and what is there be replaced? */
static int check_dir(const struct ckpt_fs_stage *s, struct ckpt_err *err)
{
	struct statx st;

	if (statx(s->parent, "", AT_EMPTY_PATH, STATX_TYPE, &st))
		return ckpt_fail(err, CKPT_FAILED, errno, "stat the directory of %s", s->path);
	if (st.stx_attributes & (STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND))
		return ckpt_fail(err, CKPT_REFUSED, 0, "%s cannot be replaced, which the "
				 "checkpoint does; run chattr -i -a on its directory", s->path);
	return 0;
}

/* Can a rename put something in the place of what is there? */
static int check_replaceable(const struct ckpt_fs_stage *s, struct ckpt_fs_was *ret,
			     struct ckpt_err *err)
{
	struct ckpt_fs_meta live;
	struct statx st;
	int rc = ckpt_fs_meta_stat(s->parent, s->name, &live);

	*ret = (struct ckpt_fs_was){ .kind = CKPT_FS_WAS_NOTHING };
	if (check_dir(s, err))
		return -1;
	if (rc == -ENOENT)
		return 0;
	if (!rc && statx(s->parent, s->name, AT_SYMLINK_NOFOLLOW, STATX_TYPE, &st))
		rc = -errno;
	if (rc)
		return ckpt_fail(err, CKPT_FAILED, -rc, "stat %s", s->path);
	if (S_ISDIR(live.mode) || live.mount_root)
		return ckpt_fail(err, CKPT_REFUSED, 0, "%s is %s now, and the checkpoint puts a "
				 "file there; %s", s->path, live.mount_root ? "a mount point" :
				 "a directory", live.mount_root ? "unmount it" : "move it away");
	if (st.stx_attributes & (STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND))
		return ckpt_fail(err, CKPT_REFUSED, 0, "%s cannot be replaced, which the "
				 "checkpoint does; run chattr -i -a on it", s->path);
	if (live.nlink > 1)
		return ckpt_fail(err, CKPT_REFUSED, 0, "%s has other names (hard links), which the "
				 "restore would leave with what they hold; take it or them away",
				 s->path);
	*ret = ckpt_fs_was_of(&live);
	return 0;
}

int ckpt_fs_loose_locate(const struct ckpt_fs_loose *f, struct ckpt_fs_stage *s,
			 struct ckpt_err *err)
{
	if (ckpt_fs_stage_locate_file(s, f->path, err))
		return -1;
	return s->parent < 0 ? ckpt_fs_loose_fail_dir(f->path, -ENOENT, err) : 0;
}

int ckpt_fs_loose_differs(const struct ckpt_fs_loose *f, const struct ckpt_source *source,
			  struct ckpt_fs_stage *s, struct ckpt_fs_was *ret_was,
			  struct ckpt_fs_stats *stats, struct ckpt_err *err)
{
	int same;

	same = is_same(s, f, source, stats, err);
	if (same)
		return same < 0 ? -1 : 0;
	return check_replaceable(s, ret_was, err) ? -1 : 1;
}

int ckpt_fs_loose_is_back(const struct ckpt_fs_loose *f, const struct ckpt_source *source,
			  struct ckpt_fs_stats *stats, struct ckpt_err *err)
{
	cleanup_stage struct ckpt_fs_stage s = CKPT_FS_STAGE_INIT;

	return ckpt_fs_loose_locate(f, &s, err) ? -1 : is_same(&s, f, source, stats, err);
}

int ckpt_fs_loose_stage(const struct ckpt_fs_loose *f, const struct ckpt_source *source,
			struct ckpt_fs_stage *s, struct ckpt_fs_stats *stats,
			struct ckpt_err *err)
{
	cleanup_close int fd = -1;

	if (ckpt_fs_stage_make(s, err))
		return -1;
	fd = openat(s->fd, "new/0", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return ckpt_fail(err, CKPT_FAILED, errno, "make a copy beside %s", f->path);
	if (ckpt_fs_loose_fill(fd, &f->meta, source, f->space, f->path, stats, err))
		return -1;
	return fsync(fd) ? ckpt_fail(err, CKPT_FAILED, errno, "write a copy beside %s", f->path) :
			   0;
}
