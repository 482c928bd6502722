// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Deleted files, directories, fifos and devices that are open
 *
 * Each gets a name beside where it was, for as long as it takes to fill it and to open it as it
 * was open; by name, because a link below /proc cannot be opened with O_NOFOLLOW, as shm_open does.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/build.h"

#define DELETED " (deleted)"

/* Write the content of @space into a file. */
static int fill(struct ckpt_restore *r, const struct ckpt_file *f, int fd, struct ckpt_err *err)
{
	uint8_t data[CKPT_PAGE_LEN];
	enum ckpt_page_kind kind;
	uint64_t page = 0, count, i;
	int more;

	if (!f->space)
		return f->size ? ckpt_fail(err, CKPT_DAMAGED, 0, "deleted file %s has no content",
					   f->path) : 0;
	for (; (more = r->source->next(r->source->self, f->space, &page, &count, &kind, err)) > 0;
	     page += count) {
		for (i = 0; i < count && kind == CKPT_PAGE_IS_DATA; i++) {
			if (r->source->get(r->source->self, f->space, page + i, data, &kind, err))
				return -1;
			if (pwrite(fd, data, sizeof(data), (page + i) * CKPT_PAGE_LEN) !=
			    sizeof(data))
				return ckpt_fail(err, CKPT_FAILED, errno, "cannot write %s",
						 f->path);
		}
	}
	return more;
}

static int dress(const struct ckpt_file *f, int fd, struct ckpt_err *err)
{
	const struct timespec times[2] = {
		{ .tv_nsec = UTIME_OMIT },
		{ .tv_sec = f->mtime_ns / 1000000000, .tv_nsec = f->mtime_ns % 1000000000 },
	};

	/* the owner before the mode, which a change of it cuts */
	if (ftruncate(fd, f->size) || fchown(fd, f->uid, f->gid) ||
	    fchmod(fd, f->mode & 07777) || futimens(fd, times))
		return ckpt_fail(err, CKPT_FAILED, errno,
				 "cannot set size, owner and times of %s", f->path);
	return 0;
}

bool ckpt_build_is_unnamed(const struct ckpt_file *f)
{
	return f->kind == CKPT_FILE_REG && f->deleted && (f->flags & O_TMPFILE) == O_TMPFILE;
}

static bool same_deleted(const struct ckpt_file *a, const struct ckpt_file *b)
{
	return a->deleted && b->deleted && a->kind == b->kind && a->dev == b->dev &&
	       a->ino == b->ino;
}

/*
 * The description of the same deleted file that is opened before this one, or
 * CKPT_NONE: the one that makes the file when there is one, else the first.
 */
static uint32_t earlier_link(const struct ckpt_image *image, size_t index)
{
	const struct ckpt_file *f = &image->files[index];
	uint32_t first = CKPT_NONE;
	size_t i;

	for (i = 0; i < image->n_files; i++) {
		const struct ckpt_file *o = &image->files[i];

		if (!same_deleted(o, f))
			continue;
		if (ckpt_build_is_unnamed(o))
			return i == index ? CKPT_NONE : i;
		if (first == CKPT_NONE && i < index)
			first = i;
	}
	return first;
}

/* A free name beside @path; the path itself when nobody has it now. */
static char *free_name(const struct ckpt_file *f, int try)
{
	size_t len = strlen(f->path);
	char *name;

	if (len > strlen(DELETED) && !strcmp(f->path + len - strlen(DELETED), DELETED))
		len -= strlen(DELETED);
	if (asprintf(&name, try ? "%.*s.ckpt%d" : "%.*s", (int)len, f->path, try) < 0)
		return NULL;
	return name;
}

static int call_path(struct ckpt_restore *r, long nr, const char *path, uint64_t a, uint64_t b,
		     int64_t *ret, struct ckpt_err *err)
{
	uint64_t at = ckpt_site_put(&r->init_site, 0, path, strlen(path) + 1, err);

	return at ? ckpt_site_try(&r->init_site, err, ret, nr, ARGS(AT_FDCWD, at, a, b)) : -1;
}

/**
 * struct above - directories that were made for a deleted file, because its own are gone
 * @path: of the file
 * @from: behind the last one that is there
 */
struct above {
	char *path;
	size_t from;
};

static void above_done(struct above *above)
{
	free(above->path);
}

/* The next '/' behind @at, or NULL. */
static char *next_slash(struct above *above, size_t at)
{
	return strchr(above->path + at, '/');
}

static int make_above(struct ckpt_restore *r, const char *path, struct above *ret,
		      struct ckpt_err *err)
{
	int64_t value;
	char *slash;

	*ret = (struct above){ .path = strdup(path), .from = SIZE_MAX };
	if (!ret->path)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a path");
	for (slash = next_slash(ret, 1); slash; slash = next_slash(ret, slash - ret->path + 1)) {
		int failed;

		*slash = 0;
		failed = call_path(r, SYS_mkdirat, ret->path, 0700, 0, &value, err);
		if (!failed && value && value != -EEXIST)
			failed = ckpt_fail(err, CKPT_FAILED, -value, "cannot make directory %s "
					   "for a while", ret->path);
		*slash = '/';
		if (failed)
			return -1;
		if (!value && ret->from == SIZE_MAX)
			ret->from = slash - ret->path;
	}
	return 0;
}

/* The deepest first. */
static int remove_above(struct ckpt_restore *r, struct above *above, struct ckpt_err *err)
{
	int64_t value;
	char *slash;

	while ((slash = strrchr(above->path, '/')) && above->from != SIZE_MAX &&
	       (size_t)(slash - above->path) >= above->from) {
		*slash = 0;
		if (call_path(r, SYS_unlinkat, above->path, AT_REMOVEDIR, 0, &value, err))
			return -1;
		if (value)
			return ckpt_fail(err, CKPT_FAILED, -value, "cannot remove directory %s",
					 above->path);
	}
	return 0;
}

/* Make it anew under a name. Return: 0, 1 when the name is taken, -1. */
static int make_node(struct ckpt_restore *r, size_t index, const char *name, struct ckpt_err *err)
{
	const struct ckpt_file *f = &r->image->files[index];
	int64_t value;

	if (f->kind == CKPT_FILE_REG) {
		ckpt_err_clear(err);
		if (!ckpt_build_open(r, name, O_RDWR | O_CREAT | O_EXCL, 0600, index, err))
			return 0;
		return err && err->os == EEXIST ? 1 : -1;
	}
	if (f->kind == CKPT_FILE_DIR ?
	    call_path(r, SYS_mkdirat, name, 0700, 0, &value, err) :
	    call_path(r, SYS_mknodat, name, (f->mode & S_IFMT) | 0600, f->rdev, &value, err))
		return -1;
	if (value && value != -EEXIST)
		return ckpt_fail(err, CKPT_FAILED, -value, "cannot make %s, which was deleted",
				 name);
	return !!value;
}

/* Make it anew under a free name. @ret_name: allocated. */
static int create_deleted(struct ckpt_restore *r, size_t index, char **ret_name,
			  struct ckpt_err *err)
{
	for (int try = 0; try < 100; try++) {
		cleanup_free char *name = free_name(&r->image->files[index], try);
		int taken = name ? make_node(r, index, name, err) :
				   ckpt_fail(err, CKPT_FAILED, 0, "no memory for a path");

		if (taken < 0)
			return -1;
		if (!taken) {
			*ret_name = take_ptr(name);
			return 0;
		}
	}
	return ckpt_fail(err, CKPT_FAILED, EEXIST, "cannot make %s, which was deleted",
			 r->image->files[index].path);
}

/* Owner, mode and time of what is no regular file, by a descriptor for nothing else. */
static int dress_node(struct ckpt_restore *r, size_t index, const char *name,
		      struct ckpt_err *err)
{
	const struct ckpt_file *f = &r->image->files[index];
	const struct timespec times[2] = {
		{ .tv_nsec = UTIME_OMIT },
		{ .tv_sec = f->mtime_ns / 1000000000, .tv_nsec = f->mtime_ns % 1000000000 },
	};
	cleanup_close int fd = -1;
	char path[32];

	if (ckpt_build_open(r, name, O_PATH | O_NOFOLLOW, 0, index, err))
		return -1;
	fd = ckpt_build_borrow(r, r->fd_base + index, err);
	if (fd < 0)
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (fchownat(fd, "", f->uid, f->gid, AT_EMPTY_PATH) || chmod(path, f->mode & 07777) ||
	    utimensat(AT_FDCWD, path, times, 0))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot set owner and times of %s",
				 f->path);
	return 0;
}

static int fill_deleted(struct ckpt_restore *r, size_t index, const char *name,
			struct ckpt_err *err)
{
	const struct ckpt_file *f = &r->image->files[index];
	cleanup_close int fd = -1;

	if (f->kind != CKPT_FILE_REG)
		return dress_node(r, index, name, err);
	fd = ckpt_build_borrow(r, r->fd_base + index, err);
	return fd < 0 || fill(r, f, fd, err) || dress(f, fd, err) ? -1 : 0;
}

/* Every description of the deleted file that @index has made, while it has a name. */
static int open_twins(struct ckpt_restore *r, size_t index, const char *name, struct ckpt_err *err)
{
	for (size_t i = 0; i < r->image->n_files; i++) {
		if (same_deleted(&r->image->files[i], &r->image->files[index]) &&
		    ckpt_build_named(r, name, i, err))
			return -1;
	}
	return 0;
}

static int open_deleted(struct ckpt_restore *r, size_t index, struct ckpt_err *err)
{
	const struct ckpt_file *f = &r->image->files[index];
	cleanup_free char *name = NULL;
	int64_t value;
	int bad;

	if (create_deleted(r, index, &name, err))
		return -1;
	bad = fill_deleted(r, index, name, err) || open_twins(r, index, name, err);
	if (call_path(r, SYS_unlinkat, name, f->kind == CKPT_FILE_DIR ? AT_REMOVEDIR : 0, 0,
		      &value, err))
		return -1;
	if (value)
		return ckpt_fail(err, CKPT_FAILED, -value, "cannot remove %s, which was deleted",
				 name);
	return bad ? -1 : 0;
}

/*
 * O_TMPFILE stays among the flags of a description, and only an open that makes
 * the file gives it.  The content goes in through another one, which neither
 * appends nor lacks a permission.  Whether the file may be linked to a name
 * (without O_EXCL it may) cannot be seen: here it may.
 */
static int open_unnamed(struct ckpt_restore *r, size_t index, struct ckpt_err *err)
{
	const struct ckpt_file *f = &r->image->files[index];
	cleanup_free char *dir = strdup(f->path);
	cleanup_close int made = -1;
	cleanup_close int fd = -1;
	char path[64];

	if (!dir)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a path");
	*(strrchr(dir, '/') + (strrchr(dir, '/') == dir)) = 0;
	if (ckpt_build_open(r, dir, ckpt_build_file_flags(r->image, index), 0600, index, err))
		return ckpt_fail_at(err, "cannot make a file without a name");
	made = ckpt_build_borrow(r, r->fd_base + index, err);
	if (made < 0)
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", made);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot open a file in %s", dir);
	return fill(r, f, fd, err) || dress(f, fd, err) ? -1 : 0;
}

int ckpt_build_deleted(struct ckpt_restore *r, size_t index, struct ckpt_err *err)
{
	const struct ckpt_file *f = &r->image->files[index];
	cleanup_with(above_done) struct above above = { 0 };
	uint32_t twin = earlier_link(r->image, index);
	int bad;

	if (twin == CKPT_NONE) {
		if (make_above(r, f->path, &above, err))
			return -1;
		bad = ckpt_build_is_unnamed(f) ? open_unnamed(r, index, err) :
						 open_deleted(r, index, err);
		return bad ? -1 : remove_above(r, &above, err);
	}
	/* one that had a name was opened with the first */
	if (!ckpt_build_is_unnamed(&r->image->files[twin]))
		return 0;
	return ckpt_build_reopen(r, r->fd_base + twin, ckpt_build_file_flags(r->image, index),
				 index, err);
}
