// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Files: every open file description of the image, and every mapped file
 *
 * All are opened in init, as descriptors that the tasks inherit: a description
 * shared by several tasks is then the same one without passing it around.
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
#include "proc/socket.h"
#include "proc/unix.h"

#define DELETED " (deleted)"
/* Flags that fcntl sets, and the one that all files have here. */
#define SETTABLE (O_APPEND | O_NONBLOCK | O_NOATIME | LARGE)
#define LARGE 0100000

int ckpt_build_borrow(struct ckpt_restore *r, int fd, struct ckpt_err *err)
{
	cleanup_close int pidfd = syscall(SYS_pidfd_open, r->init.pid, 0);
	int own = pidfd < 0 ? -1 : syscall(SYS_pidfd_getfd, pidfd, fd, 0);

	if (own < 0)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot reach descriptor %d of init", fd);
	return own;
}

int ckpt_build_place(struct ckpt_restore *r, int64_t fd, size_t index, struct ckpt_err *err)
{
	if (ckpt_site_call(&r->init_site, err, "place a descriptor", SYS_dup3,
			   ARGS(fd, r->fd_base + index, O_CLOEXEC)) < 0 ||
	    ckpt_site_call(&r->init_site, err, "close a descriptor", SYS_close, ARGS(fd)) < 0)
		return -1;
	return 0;
}

int ckpt_build_place_new(struct ckpt_restore *r, int64_t fd, size_t index, struct ckpt_err *err)
{
	const uint32_t flags = r->image->files[index].flags & (O_NONBLOCK | O_APPEND | O_NOATIME);

	if (ckpt_build_place(r, fd, index, err))
		return -1;
	return ckpt_site_call(&r->init_site, err, "set flags of a descriptor", SYS_fcntl,
			      ARGS(r->fd_base + index, F_SETFL, flags)) < 0 ? -1 : 0;
}

int ckpt_build_open(struct ckpt_restore *r, const char *path, uint32_t flags, uint32_t mode,
		    size_t index, struct ckpt_err *err)
{
	uint64_t at = ckpt_site_put(&r->init_site, 0, path, strlen(path) + 1, err);
	int64_t fd;

	if (!at || ckpt_site_try(&r->init_site, err, &fd, SYS_openat,
				 ARGS(AT_FDCWD, at, flags | O_CLOEXEC | O_NOCTTY, mode)))
		return -1;
	if (fd < 0)
		return ckpt_fail(err, CKPT_FAILED, -fd, "cannot open %s", path);
	return ckpt_build_place(r, fd, index, err);
}

/* Open what is behind another descriptor of init once more. */
static int reopen(struct ckpt_restore *r, uint32_t fd, uint32_t flags, size_t index,
		  struct ckpt_err *err)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%u", fd);
	return ckpt_build_open(r, path, flags, 0, index, err);
}

/* Is it open, or on its way to who reads a message? Else it is only mapped or named. */
static bool has_fd(const struct ckpt_image *image, size_t index)
{
	size_t i, j;

	for (i = 0; i < image->n_fdtables; i++) {
		for (j = 0; j < image->fdtables[i].n_fds; j++) {
			if (image->fdtables[i].fds[j].file == index)
				return true;
		}
	}
	return ckpt_unix_brought(image, index);
}

static uint32_t open_flags(const struct ckpt_image *image, size_t index)
{
	const struct ckpt_file *f = &image->files[index];

	if (has_fd(image, index))
		return ckpt_build_open_flags(f);
	if (f->kind == CKPT_FILE_DIR)
		return O_PATH | O_DIRECTORY;
	return f->writable ? O_RDWR : O_RDONLY;
}

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

/* Was this description made together with its file, which never had a name? */
static bool is_unnamed(const struct ckpt_file *f)
{
	return f->kind == CKPT_FILE_REG && f->deleted && (f->flags & O_TMPFILE) == O_TMPFILE;
}

static bool same_deleted(const struct ckpt_file *a, const struct ckpt_file *b)
{
	return a->deleted && b->deleted && a->kind == CKPT_FILE_REG && b->kind == CKPT_FILE_REG &&
	       a->dev == b->dev && a->ino == b->ino;
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
		if (is_unnamed(o))
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

/* Make the file anew under a free name. @ret_name: allocated. */
static int create_deleted(struct ckpt_restore *r, size_t index, char **ret_name,
			  struct ckpt_err *err)
{
	cleanup_free char *name = NULL;
	int try;

	for (try = 0; try < 100; try++) {
		free(name);
		name = free_name(&r->image->files[index], try);
		if (!name)
			return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a path");
		ckpt_err_clear(err);
		if (!ckpt_build_open(r, name, O_RDWR | O_CREAT | O_EXCL, 0600, index, err)) {
			*ret_name = take_ptr(name);
			return 0;
		}
		if (!err || err->os != EEXIST)
			return -1;
	}
	return -1;
}

/* Every description of the deleted file that @index has made, while it has a name. */
static int open_twins(struct ckpt_restore *r, size_t index, const char *name, struct ckpt_err *err)
{
	for (size_t i = 0; i < r->image->n_files; i++) {
		if (same_deleted(&r->image->files[i], &r->image->files[index]) &&
		    ckpt_build_open(r, name, open_flags(r->image, i), 0, i, err))
			return -1;
	}
	return 0;
}

/*
 * A deleted file gets a name for as long as it takes to fill it and to open it
 * as it was open; by name, because a link below /proc cannot be opened with
 * O_NOFOLLOW, as shm_open does.
 */
static int open_deleted(struct ckpt_restore *r, size_t index, struct ckpt_err *err)
{
	const struct ckpt_file *f = &r->image->files[index];
	cleanup_free char *name = NULL;
	cleanup_close int fd = -1;
	uint64_t at;
	int bad;

	if (create_deleted(r, index, &name, err))
		return -1;
	fd = ckpt_build_borrow(r, r->fd_base + index, err);
	bad = fd < 0 || fill(r, f, fd, err) || dress(f, fd, err) ||
	      open_twins(r, index, name, err);
	at = ckpt_site_put(&r->init_site, 0, name, strlen(name) + 1, err);
	if (!at || ckpt_site_call(&r->init_site, err, "unlink a deleted file", SYS_unlink,
				  ARGS(at)) < 0)
		return -1;
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
	if (ckpt_build_open(r, dir, open_flags(r->image, index), 0600, index, err))
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

/* A named fifo: held open both ways meanwhile, so that no open waits. */
static int open_fifo(struct ckpt_restore *r, size_t index, struct ckpt_err *err)
{
	const struct ckpt_file *f = &r->image->files[index];
	const struct ckpt_pipe *p = f->pipe == CKPT_NONE ? NULL : &r->image->pipes[f->pipe];
	uint32_t hold = r->image->n_files;
	cleanup_close int fd = -1;
	bool first = true;
	size_t i;

	for (i = 0; i < index; i++)
		first &= r->image->files[i].kind != CKPT_FILE_FIFO ||
			 r->image->files[i].pipe != f->pipe;
	if (ckpt_build_open(r, f->path, O_RDWR | O_NONBLOCK, 0, hold, err) ||
	    ckpt_build_open(r, f->path, open_flags(r->image, index), 0, index, err))
		return -1;
	if (p && first) {
		fd = ckpt_build_borrow(r, r->fd_base + hold, err);
		if (fd < 0)
			return -1;
		if (ckpt_build_fill_pipe(fd, p, err))
			return ckpt_fail_at(err, "cannot fill fifo %s", f->path);
	}
	if (ckpt_site_call(&r->init_site, err, "close a fifo", SYS_close,
			   ARGS(r->fd_base + hold)) < 0)
		return -1;
	return 0;
}

/* What leads outside keeps its place among 0 to 2. */
static int copy_outer(struct ckpt_restore *r, size_t index, struct ckpt_err *err)
{
	const struct ckpt_image *image = r->image;
	int32_t lowest = 3;
	size_t i, j;

	for (i = 0; i < image->n_fdtables; i++) {
		for (j = 0; j < image->fdtables[i].n_fds; j++) {
			const struct ckpt_fd *fd = &image->fdtables[i].fds[j];

			if (fd->file == index && fd->fd < lowest)
				lowest = fd->fd;
		}
	}
	if (lowest > 2)
		return ckpt_fail(err, CKPT_DAMAGED, 0, "what leads out of the tree is no standard "
				 "descriptor");
	if (ckpt_site_call(&r->init_site, err, "pass on its descriptors", SYS_dup3,
			   ARGS(lowest, r->fd_base + index, O_CLOEXEC)) < 0)
		return -1;
	return 0;
}

/*
 * Does this one become the description that memfd_create has made?  The kernel does not count it
 * among those that are open for writing, so that such a memfd can be executed; which one it was
 * nothing shows.
 */
static bool is_original(const struct ckpt_image *image, size_t index)
{
	const struct ckpt_file *f = &image->files[index], *o;

	if (image->shms[f->object].kind != CKPT_SHM_MEMFD ||
	    (open_flags(image, index) & ~(uint32_t)SETTABLE) != O_RDWR)
		return false;
	/* a mapping has neither a position nor flags */
	for (o = image->files; has_fd(image, index) && o < f; o++) {
		if (o->kind == CKPT_FILE_SHM && o->object == f->object &&
		    has_fd(image, o - image->files) && is_original(image, o - image->files))
			return false;
	}
	return true;
}

/* A segment is attached by its id. */
static int open_shm(struct ckpt_restore *r, size_t index, struct ckpt_err *err)
{
	uint32_t object = r->image->files[index].object, slot = ckpt_shm_slot(r, object);

	if (r->image->shms[object].kind == CKPT_SHM_SYSV)
		return 0;
	if (!is_original(r->image, index))
		return reopen(r, slot, open_flags(r->image, index), index, err);
	if (ckpt_site_call(&r->init_site, err, "place a memfd", SYS_dup3,
			   ARGS(slot, r->fd_base + index, O_CLOEXEC)) < 0)
		return -1;
	return has_fd(r->image, index) &&
	       ckpt_site_call(&r->init_site, err, "set flags of a memfd", SYS_fcntl,
			      ARGS(slot, F_SETFL, open_flags(r->image, index))) < 0 ? -1 : 0;
}

static int build_file(struct ckpt_restore *r, size_t index, struct ckpt_err *err)
{
	const struct ckpt_file *f = &r->image->files[index];
	uint32_t twin;

	switch (f->kind) {
	case CKPT_FILE_PIPE:
	case CKPT_FILE_PIDFD:	/* when there are processes */
	case CKPT_FILE_PROC:
	case CKPT_FILE_PTM:
	case CKPT_FILE_PTS:
	case CKPT_FILE_URING:
	case CKPT_FILE_SOCKET:
		return 0;
	case CKPT_FILE_FIFO:
		return open_fifo(r, index, err);
	case CKPT_FILE_OUTER:
		return copy_outer(r, index, err);
	case CKPT_FILE_EVENTFD:
		return ckpt_build_eventfd(r, index, err);
	case CKPT_FILE_TIMERFD:
		return ckpt_build_timerfd(r, index, err);
	case CKPT_FILE_SIGNALFD:
		return ckpt_build_signalfd(r, index, err);
	case CKPT_FILE_EPOLL:
		return ckpt_build_epoll(r, index, err);
	case CKPT_FILE_INOTIFY:
		return ckpt_build_inotify(r, index, err);
	case CKPT_FILE_SHM:
		return open_shm(r, index, err);
	}
	twin = f->deleted ? earlier_link(r->image, index) : CKPT_NONE;
	/* one that had a name was opened with the first */
	if (twin != CKPT_NONE)
		return !is_unnamed(&r->image->files[twin]) ? 0 :
		       reopen(r, r->fd_base + twin, open_flags(r->image, index), index, err);
	if (f->deleted)
		return is_unnamed(f) ? open_unnamed(r, index, err) : open_deleted(r, index, err);
	return ckpt_build_open(r, f->path, open_flags(r->image, index), 0, index, err);
}

static int set_position(struct ckpt_restore *r, size_t index, struct ckpt_err *err)
{
	const struct ckpt_file *f = &r->image->files[index];

	if (!f->pos || f->flags & O_PATH || !has_fd(r->image, index) ||
	    (f->kind != CKPT_FILE_REG && f->kind != CKPT_FILE_DIR && f->kind != CKPT_FILE_SHM))
		return 0;
	if (ckpt_site_call(&r->init_site, err, "set a file position", SYS_lseek,
			   ARGS(r->fd_base + index, f->pos, SEEK_SET)) < 0)
		return -1;
	return 0;
}

int ckpt_build_files(struct ckpt_restore *r, struct ckpt_err *err)
{
	size_t i;
	int pass;

	if (ckpt_build_shms(r, err))
		return -1;
	/* first those that make what others open once more */
	for (pass = 0; pass < 2; pass++) {
		for (i = 0; i < r->image->n_files; i++) {
			if (is_unnamed(&r->image->files[i]) == !pass &&
			    (build_file(r, i, err) || set_position(r, i, err)))
				return -1;
		}
	}
	return ckpt_build_pipes(r, err) || ckpt_build_ptys(r, err) ||
	       ckpt_build_sockets(r, err) ? -1 : 0;
}
