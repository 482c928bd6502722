// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pseudo terminals: settings, and whose controlling terminals they are
 *
 * One belongs to the tree when its master does.  Where only a slave is there, it leads
 * out of the tree.  A slave whose master is closed is hung up for good: the kernel
 * tells nothing about it any more, and it does nothing but end and fail.
 */
#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "proc/procfs.h"
#include "proc/pty.h"
#include "proc/read.h"

_Static_assert(sizeof(struct termios2) == CKPT_TERMIOS_LEN, "termios2 is stored as it is");

#define N_TTY 0

/**
 * struct pty_reader - the terminals being read
 * @dev: file system of /dev/pts
 * @masters: the file of each pty's master, by index of the pty; CKPT_NONE: hung up
 * @slaves: a file of its slave, likewise; CKPT_NONE: none
 * @refused: for a survey, of its master or slave something was, likewise
 */
struct pty_reader {
	struct ckpt_reader *r;
	uint64_t dev;
	uint32_t *masters, *slaves;
	bool *refused;
};

static void done(struct pty_reader *p)
{
	free(p->masters);
	free(p->slaves);
	free(p->refused);
}

static int refuse(struct pty_reader *p, const struct ckpt_file *f, struct ckpt_err *err,
		  const char *why)
{
	const struct ckpt_held_proc *proc = ckpt_tree_find(p->r->hold, f->capture_pid);

	return ckpt_fail(err, CKPT_REFUSED, 0,
			 "pid %d (%s) has the terminal %s as descriptor %d, %s, which this version "
			 "cannot restore", f->capture_pid, proc ? proc->comm : "?", f->path,
			 f->capture_fd, why);
}

static int fail(const struct ckpt_file *f, int os, struct ckpt_err *err)
{
	return ckpt_fail(err, CKPT_FAILED, os, "cannot look at terminal %d of pid %d",
			 f->capture_fd, f->capture_pid);
}

/* A new one, nothing known. Return: its index, or CKPT_NONE with @err. */
static uint32_t add(struct pty_reader *p, uint32_t master, uint32_t slave, struct ckpt_err *err)
{
	struct ckpt_image *image = p->r->image;
	size_t masters = image->n_ptys, slaves = image->n_ptys, refused = image->n_ptys;
	struct ckpt_pty *ptys = ckpt_grow(image->ptys, &image->n_ptys, sizeof(*ptys));
	uint32_t *m = ckpt_grow(p->masters, &masters, sizeof(*m));
	uint32_t *s = ckpt_grow(p->slaves, &slaves, sizeof(*s));
	bool *b = ckpt_grow(p->refused, &refused, sizeof(*b));

	image->ptys = ptys ? ptys : image->ptys;
	p->masters = m ? m : p->masters;
	p->slaves = s ? s : p->slaves;
	p->refused = b ? b : p->refused;
	if (!ptys || !m || !s || !b) {
		ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of terminals");
		return CKPT_NONE;
	}
	m[masters - 1] = master;
	s[slaves - 1] = slave;
	return image->n_ptys - 1;
}

/* The node of the slave, seen without opening it. */
static int read_node(struct pty_reader *p, const struct ckpt_file *f, int fd, struct ckpt_pty *pty,
		     struct ckpt_err *err)
{
	cleanup_close int node = ioctl(fd, TIOCGPTPEER, O_PATH | O_CLOEXEC);
	struct stat st;

	if (node < 0 || fstat(node, &st))
		return fail(f, errno, err);
	if (st.st_dev != p->dev)
		return refuse(p, f, err, "of another devpts than that at /dev/pts");
	pty->mode = st.st_mode & 07777;
	pty->uid = st.st_uid;
	pty->gid = st.st_gid;
	return 0;
}

static int read_settings(struct pty_reader *p, const struct ckpt_file *f, int fd,
			 struct ckpt_pty *pty, struct ckpt_err *err)
{
	int locked, packet, exclusive, discipline;
	struct termios kept, none = { 0 };
	struct winsize size;

	if (ioctl(fd, TIOCGPTN, &pty->number) || ioctl(fd, TCGETS2, pty->termios) ||
	    ioctl(fd, TIOCGWINSZ, &size) || ioctl(fd, TIOCGPTLCK, &locked) ||
	    ioctl(fd, TIOCGPKT, &packet) || ioctl(fd, TIOCGEXCL, &exclusive) ||
	    ioctl(fd, TIOCGETD, &discipline) || ioctl(fd, TIOCGLCKTRMIOS, &kept))
		return fail(f, errno, err);
	memcpy(pty->winsize, &size, sizeof(pty->winsize));
	pty->flags = (locked ? CKPT_PTY_F_LOCKED : 0) | (packet ? CKPT_PTY_F_PACKET : 0) |
		     (exclusive ? CKPT_PTY_F_MASTER_EXCL : 0);
	if (discipline != N_TTY)
		return refuse(p, f, err, "with another line discipline than the usual one");
	/* ispeed and ospeed are no part of it */
	if (memcmp(&kept, &none, sizeof(kept)))
		return refuse(p, f, err, "with settings that are locked (TIOCSLCKTRMIOS)");
	return 0;
}

/* The group in its foreground, as the tree calls it; 0: not of that session. */
static int32_t group_in_tree(const struct ckpt_reader *r, pid_t session, pid_t group)
{
	for (size_t i = 0; i < r->image->n_tasks; i++) {
		const struct ckpt_proc_stat *s = &r->hold->procs[i].stat;

		if (s->session == session && s->pgrp == group)
			return r->image->tasks[i].pgid;
	}
	return 0;
}

/*
 * Whose controlling terminal it is.  Each process of the session has it or not on its own
 * account: one that is not the leader may have given it up.  Tasks are in the order of the
 * held tree yet.
 */
static int read_session(struct pty_reader *p, const struct ckpt_file *f, int fd, uint32_t index,
			struct ckpt_err *err)
{
	struct ckpt_image *image = p->r->image;
	uint64_t dev = makedev(CKPT_PTS_MAJOR, image->ptys[index].number);
	struct ckpt_task *leader = NULL;
	pid_t session, group;

	if (ioctl(fd, TIOCGSID, &session))
		return errno == ENOTTY ? 0 : fail(f, errno, err);
	if (ioctl(fd, TIOCGPGRP, &group))
		return fail(f, errno, err);
	for (size_t i = 0; i < image->n_tasks; i++) {
		const struct ckpt_held_proc *proc = &p->r->hold->procs[i];

		if (proc->zombie || proc->stat.session != session || proc->stat.tty != dev)
			continue;
		image->tasks[i].ctty = index + 1;
		if (proc->pid == session)
			leader = &image->tasks[i];
	}
	if (!leader)
		return refuse(p, f, err,
			      "the controlling terminal of a session led from outside the tree");
	leader->tpgid = group_in_tree(p->r, session, group);
	return leader->tpgid ? 0 :
	       refuse(p, f, err, "in whose foreground is a group without processes");
}

static int read_master(struct pty_reader *p, uint32_t file, struct ckpt_err *err)
{
	struct ckpt_file *f = &p->r->image->files[file];
	cleanup_close int fd = ckpt_borrow_fd(f, err);
	struct ckpt_pty *pty;
	uint32_t index;

	if (fd < 0)
		return -1;
	index = add(p, file, CKPT_NONE, err);
	if (index == CKPT_NONE)
		return -1;
	f->object = index;
	pty = &p->r->image->ptys[index];
	if (read_settings(p, f, fd, pty, err) || read_node(p, f, fd, pty, err) ||
	    read_session(p, f, fd, index, err))
		return -1;
	return 0;
}

/* The pty of @f by the number of its slave; /dev/tty is of no devpts itself. */
static uint32_t find(const struct pty_reader *p, const struct ckpt_file *f, uint32_t number)
{
	const struct ckpt_image *image = p->r->image;

	for (uint32_t i = 0; i < image->n_ptys; i++) {
		if (p->masters[i] != CKPT_NONE && image->ptys[i].number == number &&
		    (f->dev == p->dev || major(f->rdev) != CKPT_PTS_MAJOR))
			return i;
	}
	return CKPT_NONE;
}

/* Another description of the same slave, whose master is closed. */
static uint32_t find_hung_up(const struct pty_reader *p, const struct ckpt_file *f)
{
	const struct ckpt_image *image = p->r->image;

	for (uint32_t i = 0; i < image->n_ptys; i++) {
		const struct ckpt_file *o;

		if (p->masters[i] != CKPT_NONE)
			continue;
		o = &image->files[p->slaves[i]];
		if (o->dev == f->dev && o->ino == f->ino && o->rdev == f->rdev &&
		    major(f->rdev) == CKPT_PTS_MAJOR)
			return i;
	}
	return CKPT_NONE;
}

static int add_hung_up(struct pty_reader *p, uint32_t file, struct ckpt_err *err)
{
	struct ckpt_file *f = &p->r->image->files[file];
	struct ckpt_pty *pty;

	f->deleted = false;	/* its node went with the master */
	f->object = find_hung_up(p, f);
	if (f->object != CKPT_NONE)
		return 0;
	f->object = add(p, CKPT_NONE, file, err);
	if (f->object == CKPT_NONE)
		return -1;
	pty = &p->r->image->ptys[f->object];
	pty->flags = CKPT_PTY_F_HUNG_UP;
	pty->number = major(f->rdev) == CKPT_PTS_MAJOR ? minor(f->rdev) : 0;
	return 0;
}

/* Its master is outside: among the standard descriptors, restore gives another one. */
static int lead_out(struct pty_reader *p, uint32_t file, struct ckpt_err *err)
{
	struct ckpt_file *f = &p->r->image->files[file];

	if (f->owner_pid || f->owner_sig)
		return ckpt_fail(err, CKPT_REFUSED, 0,
			"pid %d has set who gets the signals of descriptor %d (F_SETOWN, "
			"F_SETSIG), which leads out of the tree, which this version cannot "
			"restore",
			f->capture_pid, f->capture_fd);
	f->kind = CKPT_FILE_OUTER;
	f->object = 0;
	return ckpt_fd_beyond_standard(p->r->image, file) < 0 ? 0 :
	       refuse(p, f, err, "whose other end is outside the tree");
}

/*
 * Opened by TIOCGPTPEER with O_CLOEXEC, a file has this flag for good, and fdinfo shows it for
 * each descriptor, whether it is closed by an exec or not.
 */
static int check_cloexec(struct pty_reader *p, const struct ckpt_file *f, int fd,
			 struct ckpt_err *err)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return fail(f, errno, err);
	return flags & O_CLOEXEC ?
	       refuse(p, f, err, "opened by TIOCGPTPEER with O_CLOEXEC") : 0;
}

static int read_slave(struct pty_reader *p, uint32_t file, struct ckpt_err *err)
{
	struct ckpt_file *f = &p->r->image->files[file];
	cleanup_close int fd = ckpt_borrow_fd(f, err);
	unsigned int dev;
	int discipline;

	if (fd < 0 || check_cloexec(p, f, fd, err))
		return -1;
	if (ioctl(fd, TIOCGETD, &discipline))
		return errno == EIO ? add_hung_up(p, file, err) : fail(f, errno, err);
	if (ioctl(fd, TIOCGDEV, &dev))
		return fail(f, errno, err);
	f->object = (dev >> 8 & 0xfff) == CKPT_PTS_MAJOR ?
		    find(p, f, (dev & 0xff) | (dev >> 12 & 0xfff00)) : CKPT_NONE;
	if (f->object == CKPT_NONE)
		return lead_out(p, file, err);
	if (discipline != N_TTY)
		return refuse(p, f, err, "with another line discipline than the usual one");
	p->slaves[f->object] = file;
	return 0;
}

static int check_state(struct pty_reader *p, const struct ckpt_file *f, bool master, int state,
		       struct ckpt_err *err)
{
	if (state < 0)
		return fail(f, errno, err);
	return state == CKPT_PTY_QUIET ? 0 : refuse(p, f, err, ckpt_pty_says(state, master));
}

/* What waits at either end: @own of the slave, which @slave is or would be, @fd of the master. */
static int read_content(struct pty_reader *p, uint32_t index, const struct ckpt_file *slave,
			int own, int fd, struct ckpt_err *err)
{
	const struct ckpt_file *master = &p->r->image->files[p->masters[index]];
	struct ckpt_pty *pty = &p->r->image->ptys[index];
	struct ckpt_pty_end in, out;
	int state = ckpt_pty_look(own, false, &p->r->hold->peek, &in);

	/* its output may be full, which looks as if it were held to who cannot tell */
	if (check_state(p, master, true, ckpt_pty_look(fd, true, &p->r->hold->peek, &out), err) ||
	    check_state(p, slave, false, state, err))
		return -1;
	ckpt_fault("keeper.pty");
	if (ckpt_pty_put_input(pty, &in) || ckpt_pty_put_output(pty, &out))
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for what waits in a terminal");
	return 0;
}

/* Before anybody had the slave open, the master does not know a hang-up. */
static int read_left(struct pty_reader *p, uint32_t index, int fd, struct ckpt_err *err)
{
	const struct ckpt_file *f = &p->r->image->files[p->masters[index]];
	struct pollfd end = { .fd = fd };
	cleanup_close int peer = -1;

	if (poll(&end, 1, 0) < 0)
		return fail(f, errno, err);
	if (!(end.revents & POLLHUP))
		return refuse(p, f, err,
			      "whose slave was never opened, or is open outside the tree");
	if (p->r->image->ptys[index].flags & CKPT_PTY_F_LOCKED)
		return refuse(p, f, err, "whose slave was closed and cannot be opened");
	p->r->image->ptys[index].flags |= CKPT_PTY_F_LEFT;
	/* nobody has it: to open and close it leaves it as it was */
	peer = ioctl(fd, TIOCGPTPEER, O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	return peer < 0 ? fail(f, errno, err) : read_content(p, index, f, peer, fd, err);
}

/* What waits in either direction: slaves have been looked at once, and masters. */
static int read_rest(struct pty_reader *p, uint32_t index, struct ckpt_err *err)
{
	struct ckpt_image *image = p->r->image;
	const struct ckpt_file *master = &image->files[p->masters[index]];
	const struct ckpt_file *slave;
	cleanup_close int fd = ckpt_borrow_fd(master, err);
	cleanup_close int end = -1;
	int exclusive;

	if (fd < 0)
		return -1;
	ckpt_pty_peek_ready(p->r->hold);
	if (p->slaves[index] == CKPT_NONE)
		return read_left(p, index, fd, err);
	slave = &image->files[p->slaves[index]];
	end = ckpt_borrow_fd(slave, err);
	if (end < 0)
		return -1;
	if (read_content(p, index, slave, end, fd, err))
		return -1;
	if (ioctl(end, TIOCGEXCL, &exclusive))
		return fail(slave, errno, err);
	if (exclusive)
		image->ptys[index].flags |= CKPT_PTY_F_SLAVE_EXCL;
	return 0;
}

/* A look at terminal @index is over; CKPT_NONE: at one that is not known. */
static int pass(struct pty_reader *p, uint32_t index, int failed, struct ckpt_err *err)
{
	if (!failed)
		return 0;
	if (index != CKPT_NONE)
		p->refused[index] = true;
	return ckpt_survey_pass(p->r->hold->survey, failed, err);
}

/* The terminal that was added last, when it is that of this master. */
static uint32_t last_of(const struct pty_reader *p, uint32_t master)
{
	uint32_t last = p->r->image->n_ptys - 1;

	return p->r->image->n_ptys && p->masters[last] == master ? last : CKPT_NONE;
}

static int read_all(struct pty_reader *p, struct ckpt_err *err)
{
	struct ckpt_image *image = p->r->image;
	struct ckpt_file *f;

	for (uint32_t i = 0; i < image->n_files; i++) {
		f = &image->files[i];
		if (f->kind == CKPT_FILE_PTM && read_master(p, i, err) &&
		    pass(p, last_of(p, i), -1, err))
			return -1;
	}
	for (uint32_t i = 0; i < image->n_files; i++) {
		f = &image->files[i];
		if (f->kind == CKPT_FILE_PTS && read_slave(p, i, err) &&
		    pass(p, find(p, f, minor(f->rdev)), -1, err))
			return -1;
	}
	for (uint32_t i = 0; i < image->n_ptys; i++) {
		if (p->masters[i] != CKPT_NONE && !p->refused[i] &&
		    pass(p, i, read_rest(p, i, err), err))
			return -1;
	}
	return 0;
}

int ckpt_read_ptys(struct ckpt_reader *r, struct ckpt_err *err)
{
	cleanup_with(done) struct pty_reader p = { .r = r };
	struct stat st;

	if (!stat("/dev/pts", &st))
		p.dev = st.st_dev;
	return read_all(&p, err);
}
