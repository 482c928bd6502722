// SPDX-License-Identifier: GPL-2.0-or-later
/* Outer files that carry content: captured while stopped, put back by rename. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "flow/outer.h"

static bool needs_content(const struct ckpt_file *f, const struct ckpt_fs_table *table)
{
	if (f->kind != CKPT_FILE_REG)
		return false;
	return f->deleted || (f->writable && !ckpt_fs_table_root_of(table, f->path));
}

/* Open the file itself through the task, whatever its path leads to by now. */
static int open_captured(const struct ckpt_file *f, struct ckpt_err *err)
{
	char path[96];
	int fd;

	if (f->capture_fd >= 0)
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", f->capture_pid, f->capture_fd);
	else
		snprintf(path, sizeof(path), "/proc/%d/map_files/%" PRIx64 "-%" PRIx64,
			 f->capture_pid, f->capture_start, f->capture_end);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOATIME);
	if (fd < 0)
		ckpt_fail(err, CKPT_FAILED, errno, "cannot open %s (%s)", path, f->path);
	return fd;
}

static int capture_one(struct ckpt_file *f, void *buf, const struct ckpt_sink *sink,
		       struct ckpt_fs_stats *stats, struct ckpt_err *err)
{
	cleanup_close int fd = open_captured(f, err);
	struct stat st;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot stat %s", f->path);
	f->size = st.st_size;
	if (sink->space_new(sink->self, &f->space, err))
		return -1;
	return ckpt_fs_content_read(fd, st.st_size, false, sink, f->space, buf, f->path, stats, err);
}

int ckpt_outer_capture(struct ckpt_image *image, const struct ckpt_fs_table *table,
		       const struct ckpt_sink *sink, struct ckpt_fs_stats *stats,
		       struct ckpt_err *err)
{
	cleanup_free void *buf = malloc(CKPT_FS_CHUNK);

	if (!buf)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for the files outside the roots");
	for (size_t i = 0; i < image->n_files; i++)
		if (needs_content(&image->files[i], table) &&
		    capture_one(&image->files[i], buf, sink, stats, err))
			return -1;
	return 0;
}

static int restore_one(const struct ckpt_file *f, void *buf, const struct ckpt_source *source,
		       struct ckpt_fs_stats *stats, struct ckpt_err *err)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT },
				     { f->mtime_ns / 1000000000, f->mtime_ns % 1000000000 } };
	cleanup_free char *tmp = NULL;
	cleanup_close int fd = -1;
	struct stat old;

	if (asprintf(&tmp, "%s.ckpt-XXXXXX", f->path) < 0)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a path");
	fd = mkostemp(tmp, O_CLOEXEC);
	if (fd < 0)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot make %s", tmp);
	if (ckpt_fs_content_write(fd, f->size, source, f->space, buf, f->path, stats, err))
		goto undo;
	/* Its owner is not in the image: whoever owns the path keeps it. */
	if ((!stat(f->path, &old) && fchown(fd, old.st_uid, old.st_gid)) ||
	    fchmod(fd, f->mode & 07777) || futimens(fd, times) || fsync(fd) ||
	    rename(tmp, f->path)) {
		ckpt_fail(err, CKPT_FAILED, errno, "cannot put %s back", f->path);
		goto undo;
	}
	return 0;
undo:
	unlink(tmp);
	return -1;
}

int ckpt_outer_restore(const struct ckpt_image *image, const struct ckpt_source *source,
		       struct ckpt_fs_stats *stats, struct ckpt_err *err)
{
	cleanup_free void *buf = malloc(CKPT_FS_CHUNK);

	if (!buf)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for the files outside the roots");
	for (size_t i = 0; i < image->n_files; i++) {
		const struct ckpt_file *f = &image->files[i];

		if (f->kind == CKPT_FILE_REG && f->space && !f->deleted &&
		    restore_one(f, buf, source, stats, err))
			return -1;
	}
	return 0;
}
