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

#define N_TTY 0

/* The group in the foreground may have ended a moment ago, and its shell not know yet. */
static bool is_lost(int master)
{
	pid_t group;

	return !ioctl(master, TIOCGPGRP, &group) && group > 0 && kill(-group, 0) &&
	       errno == ESRCH;
}

/* Without its content: in canonical mode only lines with an end count as something to read. */
static int look_blind(int fd, bool master, short events, const struct termios2 *t)
{
	int n;

	if (ioctl(fd, FIONREAD, &n))
		return -1;
	/* an end of file is no byte, and less than VMIN bytes are no event */
	if (n || events & POLLIN)
		return CKPT_PTY_WAITING;
	if (!(events & POLLOUT))
		return CKPT_PTY_HELD;
	return !master && t->c_lflag & ICANON && !(t->c_lflag & EXTPROC) ? CKPT_PTY_UNKNOWN :
	       CKPT_PTY_QUIET;
}

/* The line discipline of a master is raw, whatever that of the slave is. */
static int look_into(bool master, const struct termios2 *t, const struct ckpt_pty_end *e)
{
	const struct termios2 raw = { 0 };

	if (master && e->stopped)
		return CKPT_PTY_HELD;
	return ckpt_pty_end_state(master ? &raw : t, e);
}

/* All but what is in the arrays, which nothing is then. */
static void forget(struct ckpt_pty_end *e)
{
	e->len = e->taken = 0;
	e->quoted = e->echo = e->stopped = e->tco_stopped = false;
}

int ckpt_pty_look(int fd, bool master, const struct ckpt_pty_peek *peek, struct ckpt_pty_end *ret)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLPRI | POLLOUT };
	int discipline, known = -1, state;
	struct termios2 t;

	forget(ret);
	/* it brings in what is on its way, so it comes first */
	if (poll(&p, 1, 0) < 0 || ioctl(fd, TIOCGETD, &discipline) || ioctl(fd, TCGETS2, &t))
		return -1;
	if (p.revents & POLLPRI)
		return CKPT_PTY_EVENTS;
	if (peek->program >= 0 && discipline == N_TTY)
		known = ckpt_pty_peek(peek, fd, ret);
	if (known > 0)
		return CKPT_PTY_MOVING;
	/* what a peek that failed has left is no word on anything */
	if (known)
		forget(ret);
	state = known ? look_blind(fd, master, p.revents, &t) : look_into(master, &t, ret);
	return master && state == CKPT_PTY_QUIET && is_lost(fd) ? CKPT_PTY_LOST : state;
}

const char *ckpt_pty_says(enum ckpt_pty_state state, bool master)
{
	switch (state) {
	case CKPT_PTY_WAITING:
		return master ? "where output waits that nobody reads" :
		       "where input waits that nobody reads";
	case CKPT_PTY_EVENTS:
		return "with packet-mode events that nobody reads";
	case CKPT_PTY_HELD:
		return "which is held (^S, tcflow)";
	case CKPT_PTY_LOST:
		return "in whose foreground is a group without processes";
	case CKPT_PTY_MOVING:
		return "where something is on its way all the time";
	case CKPT_PTY_ECHO:
		return "whose echo waits for room in its output";
	case CKPT_PTY_STRANGE:
		return "where input waits in a way that cannot be made again";
	default:
		return "of which this kernel does not tell whether a line waits for its end "
		       "(CONFIG_DEBUG_INFO_BTF, CONFIG_BPF_SYSCALL)";
	}
}

void ckpt_pty_peek_ready(struct ckpt_hold *hold)
{
	if (!hold->peek_tried && !ckpt_fault("keeper.line"))
		(void)ckpt_pty_peek_open(&hold->peek);
	hold->peek_tried = true;
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
		ckpt_pty_peek_ready(hold);
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
	struct ckpt_pty_end end;
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
	state = ckpt_pty_look(fd, t->master, &hold->peek, &end);
	return state > CKPT_PTY_QUIET && state != CKPT_PTY_HELD && state != CKPT_PTY_UNKNOWN;
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
