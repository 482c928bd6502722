/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pseudo terminals: telling their ends, and whether they hold anything
 *
 * What waits at either end cannot be looked at without taking it out.  So a tree
 * is stopped when nothing waits, and let go and stopped again when something does.
 *
 * What the kernel does not tell at all is in which column of the screen it believes the
 * cursor, and whether the next character of a line is quoted (^V).
 */
#ifndef CKPT_PROC_PTY_H
#define CKPT_PROC_PTY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/types.h>

#define CKPT_PTS_MAJOR 136u	/* of slaves, the minor is their number */
#define CKPT_PTY_MAX (1u << 20)
#define CKPT_DEV_TTY "/dev/tty"

/* The master of some pseudo terminal, as it is opened. */
static inline bool ckpt_is_ptmx(uint32_t mode, uint64_t rdev)
{
	return S_ISCHR(mode) && rdev == makedev(5, 2);
}

/* A slave, or whichever is the controlling terminal of who opens it. */
static inline bool ckpt_is_pts(uint32_t mode, uint64_t rdev)
{
	return S_ISCHR(mode) && (major(rdev) == CKPT_PTS_MAJOR || rdev == makedev(5, 0));
}

enum ckpt_pty_state {
	CKPT_PTY_QUIET,
	CKPT_PTY_WAITING,	/* something can be read */
	CKPT_PTY_EVENTS,	/* a master in packet mode has something to tell */
	CKPT_PTY_HELD,		/* nothing may be written (^S, tcflow) */
	CKPT_PTY_LOST,		/* the group in its foreground has no process */
	CKPT_PTY_BEGUN,		/* a line has come in that has no end yet */
	CKPT_PTY_UNKNOWN,	/* quiet but for that, which this kernel does not tell */
};

/**
 * ckpt_pty_look - is anything at this end of a pseudo terminal?
 * @fd: of it, ours
 * @master: which end
 * @program: of ckpt_pty_line_open; for a slave
 *
 * What is on its way inside the kernel arrives by it, with what follows: echoes at
 * the other end, signals.  So slaves are to be looked at first, then masters.
 *
 * Return: enum ckpt_pty_state, or -1 with errno.
 */
int ckpt_pty_look(int fd, bool master, int program);

/*
 * pty-line.c: a program for the next; -1: this kernel, or our rights, do not let us.  Then, how
 * many bytes have come in at descriptor @fd of ours and were not read, those of a line without an
 * end included; -1 when nobody tells.
 */
int ckpt_pty_line_open(void);
int64_t ckpt_pty_line_count(int program, int fd);

struct ckpt_hold;
struct ckpt_held_proc;

/* A terminal of the running tree, by a descriptor. */
struct ckpt_held_tty {
	pid_t pid;
	uint64_t start_time;
	int fd;
	bool master;
	uint64_t dev, number;
};

/* It takes some time, so it is made before the stop when the tree has such a terminal by then. */
void ckpt_pty_line_ready(struct ckpt_hold *hold);
/* A descriptor of @p that the scan has met: remembered when it is a terminal. */
int ckpt_pty_remember(struct ckpt_hold *hold, const struct ckpt_held_proc *p, int fd,
		      const struct stat *st);
/* In the stop: does anything wait in a pseudo terminal of the tree? */
bool ckpt_pty_busy(struct ckpt_hold *hold);

#endif
