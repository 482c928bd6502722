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

int ckpt_build_reopen(struct ckpt_restore *r, uint32_t fd, uint32_t flags, size_t index,
		  struct ckpt_err *err)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%u", fd);
	return ckpt_build_open(r, path, flags, 0, index, err);
}

bool ckpt_build_has_fd(const struct ckpt_image *image, size_t index)
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

uint32_t ckpt_build_file_flags(const struct ckpt_image *image, size_t index)
{
	const struct ckpt_file *f = &image->files[index];

	if (ckpt_build_has_fd(image, index))
		return ckpt_build_open_flags(f);
	if (f->kind == CKPT_FILE_DIR)
		return O_PATH | O_DIRECTORY;
	return f->writable ? O_RDWR : O_RDONLY;
}

static int set_mtime(int fd, const struct ckpt_file *f, struct ckpt_err *err)
{
	const struct timespec times[2] = {
		{ .tv_nsec = UTIME_OMIT },
		{ .tv_sec = f->mtime_ns / 1000000000, .tv_nsec = f->mtime_ns % 1000000000 },
	};

	return futimens(fd, times) ? ckpt_fail(err, CKPT_FAILED, errno, "cannot set its time") : 0;
}

/* A named fifo: held open both ways meanwhile, so that no open waits. */
static int open_fifo(struct ckpt_restore *r, const char *path, size_t index, struct ckpt_err *err)
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
	if (ckpt_build_open(r, path, O_RDWR | O_NONBLOCK, 0, hold, err) ||
	    ckpt_build_open(r, path, ckpt_build_file_flags(r->image, index), 0, index, err))
		return -1;
	if (p && first) {
		fd = ckpt_build_borrow(r, r->fd_base + hold, err);
		if (fd < 0)
			return -1;
		/* which changes its time */
		if (ckpt_build_fill_pipe(fd, p, err) || set_mtime(fd, f, err))
			return ckpt_fail_at(err, "cannot fill fifo %s", f->path);
	}
	if (ckpt_site_call(&r->init_site, err, "close a fifo", SYS_close,
			   ARGS(r->fd_base + hold)) < 0)
		return -1;
	return 0;
}

int ckpt_build_named(struct ckpt_restore *r, const char *path, size_t index, struct ckpt_err *err)
{
	if (r->image->files[index].kind == CKPT_FILE_FIFO)
		return open_fifo(r, path, index, err);
	return ckpt_build_open(r, path, ckpt_build_file_flags(r->image, index), 0, index, err);
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
	    (ckpt_build_file_flags(image, index) & ~(uint32_t)SETTABLE) != O_RDWR)
		return false;
	/* a mapping has neither a position nor flags */
	for (o = image->files; ckpt_build_has_fd(image, index) && o < f; o++) {
		if (o->kind == CKPT_FILE_SHM && o->object == f->object &&
		    ckpt_build_has_fd(image, o - image->files) &&
		    is_original(image, o - image->files))
			return false;
	}
	return true;
}

/* A segment is attached by its id. */
static int open_shm(struct ckpt_restore *r, size_t index, struct ckpt_err *err)
{
	const uint32_t object = r->image->files[index].object, slot = ckpt_shm_slot(r, object);
	const uint32_t flags = ckpt_build_file_flags(r->image, index);

	if (r->image->shms[object].kind == CKPT_SHM_SYSV)
		return 0;
	if (!is_original(r->image, index))
		return ckpt_build_reopen(r, slot, flags, index, err);
	if (ckpt_site_call(&r->init_site, err, "place a memfd", SYS_dup3,
			   ARGS(slot, r->fd_base + index, O_CLOEXEC)) < 0)
		return -1;
	return ckpt_build_has_fd(r->image, index) &&
	       ckpt_site_call(&r->init_site, err, "set flags of a memfd", SYS_fcntl,
			      ARGS(slot, F_SETFL, flags)) < 0 ? -1 : 0;
}

static int build_file(struct ckpt_restore *r, size_t index, struct ckpt_err *err)
{
	const struct ckpt_file *f = &r->image->files[index];

	switch (f->kind) {
	case CKPT_FILE_PIPE:
	case CKPT_FILE_PIDFD:	/* when there are processes */
	case CKPT_FILE_PROC:
	case CKPT_FILE_PTM:
	case CKPT_FILE_PTS:
	case CKPT_FILE_URING:
	case CKPT_FILE_SOCKET:
		return 0;
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
	return f->deleted ? ckpt_build_deleted(r, index, err) :
			    ckpt_build_named(r, f->path, index, err);
}

static int set_position(struct ckpt_restore *r, size_t index, struct ckpt_err *err)
{
	const struct ckpt_file *f = &r->image->files[index];

	if (!f->pos || f->flags & O_PATH || !ckpt_build_has_fd(r->image, index) ||
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
			if (ckpt_build_is_unnamed(&r->image->files[i]) == !pass &&
			    (build_file(r, i, err) || set_position(r, i, err)))
				return -1;
		}
	}
	return ckpt_build_pipes(r, err) || ckpt_build_ptys(r, err) ||
	       ckpt_build_sockets(r, err) ? -1 : 0;
}
