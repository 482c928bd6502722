// SPDX-License-Identifier: GPL-2.0-or-later
/* Pipes and fifos: who holds their ends, and what is in them. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/procfs.h"
#include "proc/read.h"

static bool is_pipe(const struct ckpt_file *f)
{
	return f->capture_fd >= 0 && (f->kind == CKPT_FILE_PIPE || f->kind == CKPT_FILE_FIFO) &&
	       !(f->flags & O_PATH);
}

/* Does the tree hold an end that reads (or writes) this pipe? */
static bool held(const struct ckpt_image *image, const struct ckpt_file *of, bool write)
{
	for (size_t i = 0; i < image->n_files; i++) {
		const struct ckpt_file *f = &image->files[i];
		uint32_t mode = f->flags & O_ACCMODE;

		if (is_pipe(f) && f->ino == of->ino && f->dev == of->dev &&
		    (mode == O_RDWR || mode == (write ? O_WRONLY : O_RDONLY)))
			return true;
	}
	return false;
}

/* Is the other side of this end held by somebody outside? */
static int leads_out(const struct ckpt_image *image, const struct ckpt_file *f,
		     struct ckpt_err *err)
{
	bool write = (f->flags & O_ACCMODE) == O_WRONLY;
	struct pollfd poll_end = { .events = 0 };
	cleanup_close int fd = -1;

	if (held(image, f, !write))
		return 0;
	fd = ckpt_borrow_fd(f, err);
	if (fd < 0)
		return -1;
	/* the kernel reports these without being asked: nobody is there */
	poll_end.fd = fd;
	if (poll(&poll_end, 1, 0) < 0)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot poll a pipe");
	return !(poll_end.revents & (write ? POLLERR : POLLHUP));
}

int ckpt_fd_beyond_standard(const struct ckpt_image *image, uint32_t index)
{
	for (size_t i = 0; i < image->n_fdtables; i++) {
		for (size_t j = 0; j < image->fdtables[i].n_fds; j++) {
			const struct ckpt_fd *fd = &image->fdtables[i].fds[j];

			if (fd->file == index && fd->fd > 2)
				return fd->fd;
		}
	}
	return -1;
}

/* Copy what is in the pipe behind @fd without taking it out. */
static int get_content(int fd, struct ckpt_pipe *pipe_, struct ckpt_err *err)
{
	cleanup_close int out = -1;
	cleanup_close int in = -1;
	size_t done = 0;
	int ends[2];
	int len;

	if (ioctl(fd, FIONREAD, &len))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot size the content of a pipe");
	if (!len)
		return 0;
	if (pipe2(ends, O_CLOEXEC))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot make a pipe");
	out = ends[0];
	in = ends[1];
	if (fcntl(in, F_SETPIPE_SZ, pipe_->capacity) < 0)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot make a pipe of %u bytes",
				 pipe_->capacity);
	if (tee(fd, in, len, SPLICE_F_NONBLOCK) != len)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot copy the content of a pipe");
	pipe_->data = malloc(len);
	if (!pipe_->data)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for the content of a pipe");
	while (done < (size_t)len) {
		ssize_t n = read(out, pipe_->data + done, len - done);

		if (n <= 0)
			return ckpt_fail(err, CKPT_FAILED, errno, "cannot read a copied pipe");
		done += n;
	}
	pipe_->len = len;
	return 0;
}

/*
 * What waits in a fifo that is open for writing alone is for who opens it next: it cannot be looked
 * at without doing so, on which somebody may wait.
 */
static int refuse_unread(const struct ckpt_file *f, int fd, struct ckpt_err *err)
{
	int len = 0;

	if (f->kind != CKPT_FILE_FIFO || ioctl(fd, FIONREAD, &len) || !len)
		return 0;
	return ckpt_fail(err, CKPT_REFUSED, 0,
		"pid %d has fifo %s open for writing on descriptor %d, in which %d bytes wait that "
		"nobody has it open to read, which this version cannot restore", f->capture_pid,
		f->path, f->capture_fd, len);
}

static int add_pipe(struct ckpt_image *image, struct ckpt_file *f, struct ckpt_err *err)
{
	struct ckpt_pipe *pipes = ckpt_grow(image->pipes, &image->n_pipes, sizeof(*pipes));
	struct stat st;
	cleanup_close int fd = -1;
	int size;

	if (!pipes)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of pipes");
	image->pipes = pipes;
	f->pipe = image->n_pipes - 1;
	pipes += f->pipe;
	fd = ckpt_borrow_fd(f, err);
	if (fd < 0)
		return -1;
	size = fcntl(fd, F_GETPIPE_SZ);
	if (size < 0 || fstat(fd, &st))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot look at a pipe of pid %d",
				 f->capture_pid);
	pipes->ino = f->ino;
	pipes->capacity = size;
	pipes->uid = st.st_uid;
	pipes->gid = st.st_gid;
	if ((f->flags & O_ACCMODE) == O_WRONLY)
		return refuse_unread(f, fd, err);
	return get_content(fd, pipes, err);
}

/* The pipe of an end: one that a file before it has, or a new one. */
static int assign(struct ckpt_image *image, size_t index, struct ckpt_err *err)
{
	struct ckpt_file *f = &image->files[index];

	for (size_t i = 0; i < image->n_files; i++) {
		const struct ckpt_file *o = &image->files[i];

		if (i != index && is_pipe(o) && o->pipe != CKPT_NONE && o->ino == f->ino &&
		    o->dev == f->dev) {
			f->pipe = o->pipe;
			return 0;
		}
	}
	return add_pipe(image, f, err);
}

static int refuse(const struct ckpt_file *f, int fd, struct ckpt_err *err)
{
	return ckpt_fail(err, CKPT_REFUSED, 0,
		"pid %d holds a pipe on descriptor %d whose other end is outside the tree, which "
		"this version cannot restore", f->capture_pid, fd);
}

int ckpt_read_pipes(struct ckpt_reader *r, struct ckpt_err *err)
{
	struct ckpt_image *image = r->image;

	for (size_t i = 0; i < image->n_files; i++) {
		struct ckpt_file *f = &image->files[i];
		int fd, out;

		if (!is_pipe(f))
			continue;
		out = leads_out(image, f, err);
		if (out < 0)
			return -1;
		if (!out)
			continue;
		fd = ckpt_fd_beyond_standard(image, i);
		if (fd >= 0 && ckpt_survey_pass(r->hold->survey, refuse(f, fd, err), err))
			return -1;
		f->kind = CKPT_FILE_OUTER;
	}
	/* ends that read first: they give the content */
	for (int write = 0; write < 2; write++) {
		for (size_t i = 0; i < image->n_files; i++) {
			struct ckpt_file *f = &image->files[i];

			if (is_pipe(f) && ((f->flags & O_ACCMODE) == O_WRONLY) == write &&
			    assign(image, i, err))
				return -1;
		}
	}
	return 0;
}
