// SPDX-License-Identifier: GPL-2.0-or-later
/* Pseudo terminals at rest: who has one, and whether anything waits in it. */
#include <asm/termbits.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "proc/parse-field.h"
#include "proc/procfs.h"
#include "proc/pty.h"
#include "proc/read.h"

/* The group in the foreground may have ended a moment ago, and its shell not know yet. */
static bool is_lost(int master)
{
	pid_t group;

	return !ioctl(master, TIOCGPGRP, &group) && group > 0 && kill(-group, 0) &&
	       errno == ESRCH;
}

/* In canonical mode only lines with an end count as something to read. */
static int look_for_line(int fd, int program)
{
	struct termios2 t;
	int64_t n;

	if (ioctl(fd, TCGETS2, &t))
		return -1;
	if (!(t.c_lflag & ICANON) || t.c_lflag & EXTPROC)
		return CKPT_PTY_QUIET;
	n = ckpt_pty_line_count(program, fd);
	return n < 0 ? CKPT_PTY_UNKNOWN : n ? CKPT_PTY_BEGUN : CKPT_PTY_QUIET;
}

int ckpt_pty_look(int fd, bool master, int program)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLPRI | POLLOUT };
	int n;

	/* it brings in what is on its way, so it comes first */
	if (poll(&p, 1, 0) < 0 || ioctl(fd, FIONREAD, &n))
		return -1;
	if (p.revents & POLLPRI)
		return CKPT_PTY_EVENTS;
	/* an end of file is no byte, and less than VMIN bytes are no event */
	if (n || p.revents & POLLIN)
		return CKPT_PTY_WAITING;
	if (!(p.revents & POLLOUT))
		return CKPT_PTY_HELD;
	if (!master)
		return look_for_line(fd, program);
	return is_lost(fd) ? CKPT_PTY_LOST : CKPT_PTY_QUIET;
}

void ckpt_pty_line_ready(struct ckpt_hold *hold)
{
	if (!hold->line_tried && !ckpt_fault("keeper.line"))
		hold->line = ckpt_pty_line_open();
	hold->line_tried = true;
}

int ckpt_pty_remember(struct ckpt_hold *hold, const struct ckpt_held_proc *p, int fd,
		      const struct stat *st)
{
	struct ckpt_held_tty t = {
		.pid = p->pid,
		.start_time = p->start_time,
		.fd = fd,
		.master = ckpt_is_ptmx(st->st_mode, st->st_rdev),
		.dev = st->st_dev,
		.number = minor(st->st_rdev),
	};
	struct ckpt_held_tty *list;
	char name[32];

	if (!t.master && (!ckpt_is_pts(st->st_mode, st->st_rdev) ||
			  major(st->st_rdev) != CKPT_PTS_MAJOR))
		return 0;
	snprintf(name, sizeof(name), "fdinfo/%d", fd);
	if (t.master && (ckpt_procfs_read(p->dir, name, &hold->scratch) ||
			 ckpt_field_u64((char *)hold->scratch.data, "tty-index", 10, &t.number)))
		return 0;
	/* one descriptor of each slave is enough */
	for (size_t i = 0; i < hold->n_ttys && !t.master; i++) {
		const struct ckpt_held_tty *o = &hold->ttys[i];

		if (!o->master && o->dev == t.dev && o->number == t.number)
			return 0;
	}
	if (t.master)
		ckpt_pty_line_ready(hold);
	list = ckpt_grow(hold->ttys, &hold->n_ttys, sizeof(*list));
	if (!list)
		return -1;
	hold->ttys = list;
	list[hold->n_ttys - 1] = t;
	return 0;
}

/* A slave whose master is elsewhere is not ours to wait for. */
static bool has_master(const struct ckpt_hold *hold, const struct ckpt_held_tty *t)
{
	for (size_t i = 0; i < hold->n_ttys; i++) {
		if (hold->ttys[i].master && hold->ttys[i].number == t->number)
			return true;
	}
	return false;
}

static bool is_busy(struct ckpt_hold *hold, const struct ckpt_held_tty *t)
{
	const struct ckpt_held_proc *p = ckpt_tree_find(hold, t->pid);
	const struct ckpt_file f = { .capture_pid = t->pid, .capture_fd = t->fd };
	struct ckpt_err ignored = CKPT_ERR_INIT;
	cleanup_close int fd = -1;
	struct stat st;
	int state;

	if (!p || p->zombie || p->start_time != t->start_time)
		return false;
	fd = ckpt_borrow_fd(&f, &ignored);
	/* it may be another file by now */
	if (fd < 0 || fstat(fd, &st) ||
	    !(t->master ? ckpt_is_ptmx(st.st_mode, st.st_rdev)
			: ckpt_is_pts(st.st_mode, st.st_rdev)))
		return false;
	state = ckpt_pty_look(fd, t->master, hold->line);
	return state == CKPT_PTY_WAITING || state == CKPT_PTY_EVENTS || state == CKPT_PTY_LOST ||
	       state == CKPT_PTY_BEGUN;
}

bool ckpt_pty_busy(struct ckpt_hold *hold)
{
	bool busy = false;

	for (int master = 0; master < 2; master++) {
		for (size_t i = 0; i < hold->n_ttys; i++) {
			const struct ckpt_held_tty *t = &hold->ttys[i];

			if (t->master == master && has_master(hold, t))
				busy |= is_busy(hold, t);
		}
	}
	return busy;
}
