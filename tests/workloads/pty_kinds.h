/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pseudo terminals in which something waits, in every way that it can: settings and contents. */
#ifndef CKPT_TESTS_WORKLOADS_PTY_KINDS_H
#define CKPT_TESTS_WORKLOADS_PTY_KINDS_H

#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "ok.h"

static const int on = 1, off;

/*
 * Both ends, not blocking; no slave: it was closed again.  @n: of a pattern that goes on and on,
 * where it was written until there was no room, how much of it.
 */
struct pty {
	int master, slave;
	size_t n;
};

struct kind {
	const char *name;
	void (*set)(struct termios2 *t);
	void (*fill)(struct pty *p);
	const char *more;	/* that is typed when all has been read */
};

static void make(struct pty *p)
{
	p->n = 0;
	p->master = MUST(open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK));
	MUST(ioctl(p->master, TIOCSPTLCK, &off));
	p->slave = MUST(ioctl(p->master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_NONBLOCK));
}

/*
 * The kernel takes in what was written later, and in the order of the writes: this one has come
 * after all of them.  An echo takes one more turn.
 */
static void settle(void)
{
	static struct pty other = { .master = -1 };
	struct termios2 t;
	char byte;

	if (other.master < 0) {
		make(&other);
		MUST(ioctl(other.slave, TCGETS2, &t));
		t.c_lflag = 0;
		MUST(ioctl(other.slave, TCSETS2, &t));
	}
	for (int i = 0, n = 0; i < 3; i++, n = 0) {
		MUST(write(other.master, "x", 1));
		while (!n) {
			usleep(1000);
			MUST(ioctl(other.slave, FIONREAD, &n));
		}
		MUST(read(other.slave, &byte, 1));
		usleep(2000);
	}
}

static void put(int fd, const char *bytes, size_t len)
{
	MUST(write(fd, bytes, len) == (ssize_t)len ? 0 : -1);
	settle();
}

#define TYPE(p, text) put((p)->master, text, sizeof(text) - 1)
#define SAY(p, text) put((p)->slave, text, sizeof(text) - 1)

static char pattern(size_t at)
{
	return at % 10 == 9 ? '\n' : 'a' + at / 10 % 26;
}

/* In writes of so many bytes. */
static void put_all(struct pty *p, int fd, size_t len)
{
	char bytes[4096];

	for (int tries = 0; tries < 3;) {
		ssize_t done;

		for (size_t i = 0; i < len; i++)
			bytes[i] = pattern(p->n + i);
		done = write(fd, bytes, len);
		if (done > 0)
			p->n += done;
		else
			tries++;
		if (done <= 0)
			settle();
	}
}

static void change(struct pty *p, void (*set)(struct termios2 *))
{
	struct termios2 t;

	MUST(ioctl(p->slave, TCGETS2, &t));
	set(&t);
	MUST(ioctl(p->slave, TCSETS2, &t));
}

/* --- settings --- */

static void as_made(struct termios2 *t)
{
	t->c_iflag |= IUTF8;
}

static void silent(struct termios2 *t)
{
	t->c_lflag &= ~ECHO;
}

static void unchanged(struct termios2 *t)
{
	silent(t);
	t->c_oflag = OPOST;
}

static void two_ends(struct termios2 *t)
{
	silent(t);
	t->c_cc[VEOL] = '|';
	t->c_cc[VEOL2] = '\026';
	t->c_cc[VLNEXT] = 0;
}

static void end_by_eof(struct termios2 *t)
{
	silent(t);
	t->c_cc[VEOL] = '\004';
	t->c_cc[VEOF] = '\001';
}

static void raw(struct termios2 *t)
{
	t->c_iflag = t->c_oflag = t->c_lflag = 0;
	t->c_cc[VMIN] = 9;
	t->c_cc[VTIME] = 0;
}

static void marked(struct termios2 *t)
{
	raw(t);
	t->c_iflag = PARMRK | IXON;
}

static void external(struct termios2 *t)
{
	raw(t);
	t->c_lflag = EXTPROC;
}

static void lines(struct termios2 *t)
{
	t->c_lflag |= ICANON;
}

static void stops(struct termios2 *t)
{
	silent(t);
	t->c_iflag |= IXON | IXANY;
}

/* --- contents --- */

static void type_lines(struct pty *p)
{
	TYPE(p, "one\rtwo\n\nf\004\004gr\303\274n \303\274");
}

static void type_end(struct pty *p)
{
	TYPE(p, "\004");
}

static void type_nothing(struct pty *p)
{
	(void)p;
}

static void type_quoted(struct pty *p)
{
	TYPE(p, "a\026\003b\026\nc\026\004d\026\026\n\004e\026\021\026");
}

static void type_ends(struct pty *p)
{
	TYPE(p, "a|b\026\026c\n\004|\004d\026\377|e");
}

static void type_all(struct pty *p)
{
	char bytes[256];

	for (int i = 0; i < 256; i++)
		bytes[i] = i;
	put(p->master, bytes, sizeof(bytes));
}

static void type_four(struct pty *p)
{
	TYPE(p, "four");
}

static void type_full(struct pty *p)
{
	put_all(p, p->master, 10);
}

static void type_long(struct pty *p)
{
	char bytes[5000];

	memset(bytes, 'l', sizeof(bytes));
	for (int i = 0; i < 4; i++)
		put(p->master, bytes, sizeof(bytes) / 4);
}

static void type_long_line(struct pty *p)
{
	type_long(p);
	TYPE(p, "\n");
}

static void type_then_lines(struct pty *p)
{
	TYPE(p, "ab\004c");
	change(p, lines);
	TYPE(p, "de\nf");
}

static void say_lines(struct pty *p)
{
	SAY(p, "a\tb\nc\377");
}

static void say_bytes(struct pty *p)
{
	put_all(p, p->slave, 1);
}

static void say_blocks(struct pty *p)
{
	put_all(p, p->slave, 256 * 7);
	put_all(p, p->slave, 4096);
}

static void say_mixed(struct pty *p)
{
	char bytes[512];

	for (int i = 0; i < 26; i++) {
		for (size_t j = 0; j < sizeof(bytes); j++)
			bytes[j] = pattern(p->n + j);
		put(p->slave, bytes, sizeof(bytes));
		p->n += sizeof(bytes);
	}
	put_all(p, p->slave, 256 * 7);
}

static void say_packets(struct pty *p)
{
	MUST(ioctl(p->master, TIOCPKT, &on));
	SAY(p, "packet");
	TYPE(p, "typed\nh");
}

static void stop(struct pty *p)
{
	SAY(p, "before");
	TYPE(p, "line\nha\023");
}

static void stop_flow(struct pty *p)
{
	SAY(p, "before");
	TYPE(p, "line\nha");
	MUST(ioctl(p->slave, TCXONC, TCOOFF));
}

static void leave(struct pty *p)
{
	TYPE(p, "early\n");
	SAY(p, "last words");
	close(p->slave);
	p->slave = -1;
	TYPE(p, "late\nla");
}

static const struct kind kinds[] = {
	{ "lines", as_made, type_lines, "\177\177n\n" },
	{ "an end", silent, type_end, "x\n" },
	{ "quoted", silent, type_quoted, "\003f\n" },
	{ "quoted, nothing else", silent, type_nothing, "\n" },
	{ "other ends", two_ends, type_ends, "|f\026" },
	{ "ends by ^D", end_by_eof, type_ends, "\004" },
	{ "bytes", raw, type_all, "y" },
	{ "four bytes", raw, type_four, "12345" },
	{ "bytes, full", raw, type_full, "z" },
	{ "marked, full", marked, type_full, "z" },
	{ "external", external, type_all, "z\n" },
	{ "lines, full", silent, type_full, "z\n" },
	{ "a long line", silent, type_long, "l\177\177\n" },
	{ "a long line with an end", silent, type_long_line, "l\n" },
	{ "bytes, then lines", raw, type_then_lines, "g\n" },
	{ "output", as_made, say_lines, "\n" },
	{ "output byte by byte, full", raw, say_bytes, "z" },
	{ "output in blocks, full", raw, say_blocks, "z" },
	{ "output mixed, full", raw, say_mixed, "z" },
	{ "output of lines, full", unchanged, say_blocks, "z\n" },
	{ "packets", as_made, say_packets, "o\n" },
	{ "stopped", stops, stop, "go\n" },
	{ "stopped by tcflow", silent, stop_flow, "go\n" },
	{ "left", as_made, leave, "o\n" },
};
#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

#endif
