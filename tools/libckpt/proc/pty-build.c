// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pseudo terminals: made in init, with the numbers and settings that they had
 *
 * The kernel gives each new one the lowest number that is free.  So those below the wanted
 * one are taken by us for as long as it takes.  Packet mode comes last: it tells of changes.
 */
#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/build.h"
#include "proc/procfs.h"
#include "proc/pty.h"

#define PTMX "/dev/ptmx"
#define LARGE 0100000u	/* O_LARGEFILE: whatever is opened by a path has it */

/* Descriptors of ours. */
struct fds {
	int *fd;
	size_t n;
};

static void fds_done(struct fds *f)
{
	while (f->n)
		close(f->fd[--f->n]);
	free(f->fd);
}

/* Take the lowest number that is free. */
static int take_one(struct fds *f, uint32_t *ret_number, struct ckpt_err *err)
{
	int *bigger = ckpt_grow(f->fd, &f->n, sizeof(*bigger));

	if (!bigger)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of terminals");
	f->fd = bigger;
	bigger[f->n - 1] = open(PTMX, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (bigger[f->n - 1] < 0 || ioctl(bigger[f->n - 1], TIOCGPTN, ret_number))
		return ckpt_fail(err, CKPT_REFUSED, errno, "no pseudo terminal can be made");
	return 0;
}

static int in_use(uint32_t number, struct ckpt_err *err)
{
	return ckpt_fail(err, CKPT_REFUSED, 0,
			 "terminal /dev/pts/%u of the checkpoint is in use; end who has it first",
			 number);
}

static bool is_wanted(const struct ckpt_image *image, uint32_t number)
{
	for (size_t i = 0; i < image->n_ptys; i++) {
		if (image->ptys[i].number == number && !(image->ptys[i].flags & CKPT_PTY_F_HUNG_UP))
			return true;
	}
	return false;
}

/* Input is put there byte by byte, which some kernels since 6.2 can be told not to let us do. */
static int can_give(const struct ckpt_image *image, int master, struct ckpt_err *err)
{
	const int off = 0;
	cleanup_close int slave = -1;

	for (size_t i = 0; i < image->n_ptys; i++) {
		if (!image->ptys[i].taken)
			continue;
		if (!ioctl(master, TIOCSPTLCK, &off))
			slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
		return slave >= 0 && !ioctl(slave, TIOCSTI, "") ? 0 :
		       ckpt_fail(err, CKPT_REFUSED, errno, "what waits in terminal /dev/pts/%u of "
				 "the checkpoint cannot be put there (dev.tty.legacy_tiocsti)",
				 image->ptys[i].number);
	}
	return 0;
}

/* Take all numbers up to the highest that is wanted, for a moment. */
int ckpt_ptys_free(const struct ckpt_image *image, struct ckpt_err *err)
{
	cleanup_with(fds_done) struct fds taken = { 0 };
	uint32_t got, next = 0;
	size_t found = 0, wanted = 0;

	for (size_t i = 0; i < image->n_ptys; i++)
		wanted += !(image->ptys[i].flags & CKPT_PTY_F_HUNG_UP);
	while (found < wanted) {
		if (take_one(&taken, &got, err))
			return -1;
		for (; next < got; next++) {
			if (is_wanted(image, next))
				return in_use(next, err);
		}
		next = got + 1;
		found += is_wanted(image, got);
	}
	return wanted ? can_give(image, taken.fd[0], err) : 0;
}

/* The file of the master of pty @index, or of its slave at @from or behind it; CKPT_NONE. */
static uint32_t file_of(const struct ckpt_image *image, uint32_t kind, uint32_t index,
			uint32_t from)
{
	for (uint32_t i = from; i < image->n_files; i++) {
		if (image->files[i].kind == kind && image->files[i].object == index)
			return i;
	}
	return CKPT_NONE;
}

/* Open a master in init as fd_base + @at until it has the wanted number. */
static int open_master(struct ckpt_restore *r, uint32_t index, uint32_t at, struct ckpt_err *err)
{
	const struct ckpt_pty *p = &r->image->ptys[index];
	const struct ckpt_file *f = at < r->image->n_files ? &r->image->files[at] : NULL;
	cleanup_with(fds_done) struct fds below = { 0 };

	for (;;) {
		cleanup_close int own = -1;
		uint32_t got, ours;

		if (ckpt_build_open(r, f ? f->path : PTMX, f ? ckpt_build_open_flags(f) : O_RDWR, 0,
				    at, err))
			return -1;
		own = ckpt_build_borrow(r, r->fd_base + at, err);
		if (own < 0)
			return -1;
		if (ioctl(own, TIOCGPTN, &got))
			return ckpt_fail(err, CKPT_FAILED, errno, "%s makes no pseudo terminal",
					 f ? f->path : PTMX);
		if (!f || got == p->number)
			return 0;
		if (got > p->number)
			return in_use(p->number, err);
		close(take_fd(own));
		if (ckpt_site_call(&r->init_site, err, "close a terminal", SYS_close,
				   ARGS(r->fd_base + at)) < 0 || take_one(&below, &ours, err))
			return -1;
	}
}

static int set(int fd, unsigned long request, const void *value, const char *what,
	       struct ckpt_err *err)
{
	return ioctl(fd, request, value) ?
	       ckpt_fail(err, CKPT_FAILED, errno, "cannot set %s of a terminal", what) : 0;
}

static int set_node(const struct ckpt_pty *p, int own, struct ckpt_err *err)
{
	cleanup_close int node = ioctl(own, TIOCGPTPEER, O_PATH | O_CLOEXEC);
	struct stat st;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", node);
	if (node < 0 || fstat(node, &st) ||
	    ((st.st_uid != p->uid || st.st_gid != p->gid) &&
	     fchownat(node, "", p->uid, p->gid, AT_EMPTY_PATH)) || chmod(path, p->mode))
		return ckpt_fail(err, CKPT_FAILED, errno,
				 "cannot set owner and mode of a terminal");
	return 0;
}

/*
 * What is opened by a call of the master has the flags that it asks for and no others.  One of
 * them would be O_CLOEXEC, which belongs to a descriptor, and here would stay with the file.
 */
static int open_peer(struct ckpt_restore *r, uint32_t master, uint32_t flags, int64_t *ret_fd,
		     struct ckpt_err *err)
{
	*ret_fd = ckpt_site_call(&r->init_site, err, "open a terminal", SYS_ioctl,
				 ARGS(r->fd_base + master, TIOCGPTPEER,
				      flags | O_NOCTTY));
	return *ret_fd < 0 ? -1 : 0;
}

static int open_slave(struct ckpt_restore *r, uint32_t master, uint32_t index, uint32_t number,
		      struct ckpt_err *err)
{
	const struct ckpt_file *f = &r->image->files[index];
	char path[32];
	int64_t fd;

	if (!strcmp(f->path, CKPT_DEV_TTY))
		return ckpt_build_dev_tty(r, r->fd_base + master, index, err);
	if (!(f->flags & LARGE))
		return open_peer(r, master, ckpt_build_open_flags(f), &fd, err) ||
		       ckpt_build_place(r, fd, index, err) ? -1 : 0;
	snprintf(path, sizeof(path), "/dev/pts/%u", number);
	return ckpt_build_open(r, path, ckpt_build_open_flags(f), 0, index, err);
}

/* Every description of the slave; or that somebody had one. */
static int open_slaves(struct ckpt_restore *r, uint32_t index, uint32_t master, int own,
		       struct ckpt_err *err)
{
	uint32_t number, i = 0;
	int64_t fd;

	if (ioctl(own, TIOCGPTN, &number))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot look at a terminal");
	for (; (i = file_of(r->image, CKPT_FILE_PTS, index, i)) != CKPT_NONE; i++) {
		if (open_slave(r, master, i, number, err))
			return -1;
	}
	if (!(r->image->ptys[index].flags & CKPT_PTY_F_LEFT))
		return 0;
	return open_peer(r, master, O_RDWR, &fd, err) ||
	       ckpt_site_call(&r->init_site, err, "close a terminal", SYS_close, ARGS(fd)) < 0 ?
	       -1 : 0;
}

static int exclude(struct ckpt_restore *r, uint32_t index, int own, struct ckpt_err *err)
{
	const struct ckpt_pty *p = &r->image->ptys[index];
	uint32_t file = file_of(r->image, CKPT_FILE_PTS, index, 0);
	cleanup_close int slave = -1;

	if (p->flags & CKPT_PTY_F_MASTER_EXCL && set(own, TIOCEXCL, NULL, "exclusive mode", err))
		return -1;
	if (!(p->flags & CKPT_PTY_F_SLAVE_EXCL))
		return 0;
	slave = ckpt_build_borrow(r, r->fd_base + file, err);
	return slave < 0 ? -1 : set(slave, TIOCEXCL, NULL, "exclusive mode", err);
}

static int build_pty(struct ckpt_restore *r, uint32_t index, struct ckpt_err *err)
{
	const struct ckpt_pty *p = &r->image->ptys[index];
	bool hung_up = p->flags & CKPT_PTY_F_HUNG_UP;
	uint32_t at = hung_up ? (uint32_t)r->image->n_files :
		      file_of(r->image, CKPT_FILE_PTM, index, 0);
	const int locked = !!(p->flags & CKPT_PTY_F_LOCKED), on = 1, off = 0;
	cleanup_close int own = -1;

	if (open_master(r, index, at, err))
		return -1;
	own = ckpt_build_borrow(r, r->fd_base + at, err);
	if (own < 0 || set(own, TIOCSPTLCK, &off, "the lock", err) ||
	    open_slaves(r, index, at, own, err))
		return -1;
	if (hung_up)	/* by the end of its master, which is here and in init */
		return ckpt_site_call(&r->init_site, err, "close a terminal", SYS_close,
				      ARGS(r->fd_base + at)) < 0 ? -1 : 0;
	if (set(own, TCSETS2, p->termios, "the settings", err) ||
	    set(own, TIOCSWINSZ, p->winsize, "the size", err) || set_node(p, own, err) ||
	    ckpt_build_pty_fill(p, own, err) ||
	    exclude(r, index, own, err) || set(own, TIOCSPTLCK, &locked, "the lock", err))
		return -1;
	return p->flags & CKPT_PTY_F_PACKET ? set(own, TIOCPKT, &on, "packet mode", err) : 0;
}

/* Those without a number of their own take none that another one wants. */
int ckpt_build_ptys(struct ckpt_restore *r, struct ckpt_err *err)
{
	for (uint32_t hung_up = 0; hung_up < 2; hung_up++) {
		for (uint32_t i = 0; i < r->image->n_ptys; i++) {
			if (!!(r->image->ptys[i].flags & CKPT_PTY_F_HUNG_UP) == hung_up &&
			    build_pty(r, i, err))
				return -1;
		}
	}
	return 0;
}
