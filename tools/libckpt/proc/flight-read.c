// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Files in flight: descriptors that wait in a queue, and that perhaps nobody has open
 *
 * A look into the queue gives us descriptors of the same descriptions.  Those that no process of
 * the tree has, the keeper keeps open until the tree goes on: by them they are read as any other.
 * They are closed before, so that no end of a pipe or a connection lives on with us.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/procfs.h"
#include "proc/unix-read.h"

void ckpt_flight_done(struct ckpt_hold *hold)
{
	for (size_t i = 0; i < hold->n_flight; i++)
		close(hold->flight[i]);
	free(hold->flight);
	hold->flight = NULL;
	hold->n_flight = 0;
}

static uint32_t find_file(const struct ckpt_image *image, int own)
{
	struct stat st;

	if (fstat(own, &st))
		return CKPT_NONE;
	for (uint32_t i = 0; i < image->n_files; i++) {
		const struct ckpt_file *f = &image->files[i];

		if (f->capture_fd >= 0 && f->ino == st.st_ino && f->dev == st.st_dev &&
		    !syscall(SYS_kcmp, getpid(), f->capture_pid, KCMP_FILE, own, f->capture_fd))
			return i;
	}
	return CKPT_NONE;
}

/* What was noted of it before it was refused is forgotten. */
static int refuse(struct ckpt_reader *r, uint32_t socket, struct ckpt_err *err)
{
	const struct ckpt_file *f = &r->image->files[socket];
	const struct ckpt_held_proc *p = ckpt_tree_find(r->hold, f->capture_pid);
	const struct ckpt_err why = *err;

	if (why.status != CKPT_REFUSED)
		return -1;
	ckpt_err_clear(err);
	ckpt_fail(err, CKPT_REFUSED, 0,
		"pid %d (%s) holds a Unix socket on descriptor %d in which a descriptor waits that "
		"no process of the tree has open, and which this version cannot restore: %s",
		f->capture_pid, p ? p->comm : "?", f->capture_fd, why.text);
	return ckpt_fail_passing(err);
}

/* Descriptor @own of ours becomes a file of the image, and stays open. */
static int add_file(struct ckpt_reader *r, uint32_t socket, int own, uint32_t *ret,
		    struct ckpt_err *err)
{
	const struct ckpt_file *f = &r->image->files[socket];
	struct ckpt_held_proc *p = ckpt_tree_find(r->hold, f->capture_pid);
	struct ckpt_image before = *r->image;
	int *list = ckpt_grow(r->hold->flight, &r->hold->n_flight, sizeof(*list));

	if (!list)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of files");
	r->hold->flight = list;
	list[r->hold->n_flight - 1] = own;
	/* one that waits in a socket that itself waits: its process is any of the tree */
	if (!p)
		p = ckpt_first_held(r->hold);
	if (!ckpt_read_own_fd(r, p, own, ret, err))
		return 0;
	ckpt_image_cut(r->image, &before);
	return refuse(r, socket, err);
}

int ckpt_read_flight(struct ckpt_reader *r, uint32_t socket, struct ckpt_unix_peeked *m,
		     struct ckpt_err *err)
{
	if (!m->n_fds)
		return 0;
	m->files = calloc(m->n_fds, sizeof(*m->files));
	if (!m->files)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a message");
	for (size_t i = 0; i < m->n_fds; i++) {
		int own = m->fds[i];

		m->files[i] = find_file(r->image, own);
		m->fds[i] = -1;
		if (m->files[i] != CKPT_NONE)
			close(own);
		else if (add_file(r, socket, own, &m->files[i], err))
			return -1;
	}
	return 0;
}
