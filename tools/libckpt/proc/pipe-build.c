// SPDX-License-Identifier: GPL-2.0-or-later
/* Pipes: both ends, capacity and what was not read yet. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/build.h"
#include "proc/remote.h"

#define OPENED 0100000u	/* O_LARGEFILE as the kernel counts it */
#define SETTABLE ((uint32_t)(O_NONBLOCK | O_APPEND))

int ckpt_build_fill_pipe(int fd, const struct ckpt_pipe *p, struct ckpt_err *err)
{
	if (fcntl(fd, F_GETPIPE_SZ) != (int)p->capacity &&
	    fcntl(fd, F_SETPIPE_SZ, p->capacity) != (int)p->capacity)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot make a pipe of %u bytes",
				 p->capacity);
	if (p->len && write(fd, p->data, p->len) != (ssize_t)p->len)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot put %zu bytes into a pipe",
				 p->len);
	return 0;
}

static int load(struct ckpt_restore *r, const struct ckpt_pipe *p, int write_end,
		struct ckpt_err *err)
{
	cleanup_close int fd = ckpt_build_borrow(r, write_end, err);

	return fd < 0 ? -1 : ckpt_build_fill_pipe(fd, p, err);
}

/* What pipe2 made lacks the flag that open sets: the way to tell them apart. */
static int place_end(struct ckpt_restore *r, size_t index, int end, struct ckpt_err *err)
{
	const uint32_t flags = r->image->files[index].flags;
	char path[64];

	if (flags & OPENED) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", end);
		return ckpt_build_open(r, path, flags & (O_ACCMODE | SETTABLE), 0, index, err);
	}
	if (ckpt_site_call(&r->init_site, err, "place a pipe", SYS_dup3,
			   ARGS(end, r->fd_base + index, O_CLOEXEC)) < 0 ||
	    ckpt_site_call(&r->init_site, err, "set flags of a pipe", SYS_fcntl,
			   ARGS(end, F_SETFL, flags & SETTABLE)) < 0)
		return -1;
	return 0;
}

static int place_ends(struct ckpt_restore *r, size_t pipe, const int ends[2],
		      struct ckpt_err *err)
{
	const struct ckpt_file *f;
	size_t i;

	for (i = 0; i < r->image->n_files; i++) {
		f = &r->image->files[i];
		if (f->kind == CKPT_FILE_PIPE && f->pipe == pipe &&
		    place_end(r, i, ends[f->pipe_write], err))
			return -1;
	}
	return 0;
}

static int build_pipe(struct ckpt_restore *r, size_t pipe, struct ckpt_err *err)
{
	const struct ckpt_site *s = &r->init_site;
	const struct ckpt_pipe *p = &r->image->pipes[pipe];
	int ends[2], i;

	if (ckpt_site_call(s, err, "make a pipe", SYS_pipe2, ARGS(s->scratch, O_CLOEXEC)) < 0 ||
	    ckpt_remote_read(s->tid, s->scratch, ends, sizeof(ends), err) ||
	    load(r, p, ends[1], err) || place_ends(r, pipe, ends, err))
		return -1;
	for (i = 0; i < 2; i++) {
		if (ckpt_site_call(s, err, "close a pipe", SYS_close, ARGS(ends[i])) < 0)
			return -1;
	}
	return 0;
}

static bool is_fifo(const struct ckpt_image *image, size_t pipe)
{
	size_t i;

	for (i = 0; i < image->n_files; i++) {
		if (image->files[i].kind == CKPT_FILE_FIFO && image->files[i].pipe == pipe)
			return true;
	}
	return false;
}

int ckpt_build_pipes(struct ckpt_restore *r, struct ckpt_err *err)
{
	size_t i;

	for (i = 0; i < r->image->n_pipes; i++) {
		if (!is_fifo(r->image, i) && build_pipe(r, i, err))
			return -1;
	}
	return 0;
}
