/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pseudo terminals: telling their ends, and what is in them
 *
 * What waits at either end cannot be read without taking it out, so the kernel's memory is read
 * for it (pty-peek.c).  Where it does not let us, a tree is stopped when nothing waits, and let go
 * and stopped again when something does.
 *
 * What is not kept is in which column of the screen the kernel believes the cursor.
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
#define CKPT_PTY_RING 4096u		/* what a line discipline takes in at most */
#define CKPT_PTY_LEN_MAX (CKPT_PTY_RING + (32u << 10))	/* and what is behind it */

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

#define CKPT_PTY_MEMBERS 23

/**
 * struct ckpt_pty_peek - a program that reads what is in terminals, and changes nothing
 * @program: a descriptor, -1: this kernel, or our rights, do not let us
 * @offset: of what is read, in its structure
 */
struct ckpt_pty_peek {
	int program;
	uint32_t offset[CKPT_PTY_MEMBERS];
};

/**
 * struct ckpt_pty_end - what waits to be read at one end
 * @bytes, @len: all of it
 * @taken: how many of them the line discipline has taken in; the others are as they were written
 * @ends: with which of these a line ends, in canonical mode
 * @quoted: the next one is taken as it is (^V)
 * @echo: some of what was taken in is to be echoed yet
 * @stopped, @tco_stopped: nothing may be written here (^S, tcflow); by tcflow
 */
struct ckpt_pty_end {
	uint32_t len, taken;
	bool quoted, echo, stopped, tco_stopped;
	bool ends[CKPT_PTY_RING];
	uint8_t bytes[CKPT_PTY_LEN_MAX];
};

/* pty-peek.c. Return: 0, or -1; then @ret->program is -1. */
int ckpt_pty_peek_open(struct ckpt_pty_peek *ret);
void ckpt_pty_peek_close(struct ckpt_pty_peek *peek);
/*
 * At the end that descriptor @fd of ours is of, of the usual line discipline. Return: 0; 1 while
 * something is on its way there; -1 when it is not to be known.
 */
int ckpt_pty_peek(const struct ckpt_pty_peek *peek, int fd, struct ckpt_pty_end *ret);

enum ckpt_pty_state {
	CKPT_PTY_QUIET,		/* nothing there, or what can be put there again */
	CKPT_PTY_WAITING,	/* something can be read, and nobody tells what */
	CKPT_PTY_EVENTS,	/* a master in packet mode has something to tell */
	CKPT_PTY_HELD,		/* nothing may be written (^S, tcflow) */
	CKPT_PTY_LOST,		/* the group in its foreground has no process */
	CKPT_PTY_UNKNOWN,	/* there may be a line without an end, which nobody tells */
	CKPT_PTY_MOVING,	/* something is on its way there */
	CKPT_PTY_ECHO,		/* something is to be echoed, for which there is no room */
	CKPT_PTY_STRANGE,	/* something waits in a way that cannot be made again */
};

/**
 * ckpt_pty_look - is anything at this end of a pseudo terminal?
 * @fd: of it, ours
 * @master: which end
 * @peek: of no program: what waits cannot be told
 * @ret: what waits there, of no bytes without a program
 *
 * What is on its way inside the kernel arrives by it, with what follows: echoes at
 * the other end, signals.  So slaves are to be looked at first, then masters.
 *
 * Return: enum ckpt_pty_state, or -1 with errno.
 */
int ckpt_pty_look(int fd, bool master, const struct ckpt_pty_peek *peek, struct ckpt_pty_end *ret);
/* Why one that is not quiet is refused. */
const char *ckpt_pty_says(enum ckpt_pty_state state, bool master);

/*
 * pty-end.c: what waits at a slave's end, where @termios (struct termios2) is set.
 * Return: CKPT_PTY_QUIET when it can be put there again, else why it cannot.
 */
enum ckpt_pty_state ckpt_pty_end_state(const void *termios, const struct ckpt_pty_end *e);

struct ckpt_pty;

/* The same into an image, of the slave's and of the master's end. Return: 0, or -1: no memory. */
int ckpt_pty_put_input(struct ckpt_pty *p, const struct ckpt_pty_end *e);
int ckpt_pty_put_output(struct ckpt_pty *p, const struct ckpt_pty_end *e);
/* And back, of the slave's end. Return: true, or false when it contradicts itself. */
bool ckpt_pty_input(const struct ckpt_pty *p, struct ckpt_pty_end *ret);
bool ckpt_pty_same_input(const struct ckpt_pty_end *a, const struct ckpt_pty_end *b);

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
void ckpt_pty_peek_ready(struct ckpt_hold *hold);
/* A descriptor of @p that the scan has met: remembered when it is a terminal. */
int ckpt_pty_remember(struct ckpt_hold *hold, const struct ckpt_held_proc *p, int fd,
		      const struct stat *st);
/* In the stop: does anything wait in a pseudo terminal of the tree? */
bool ckpt_pty_busy(struct ckpt_hold *hold);

#endif
