/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ends of pseudo terminals, for bodies of proc_group_spawn: what fails there ends them. */
#ifndef CKPT_TESTS_PTY_ENDS_H
#define CKPT_TESTS_PTY_ENDS_H

#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static inline int must(int value)
{
	if (value < 0)
		_exit(1);
	return value;
}

static inline int make_master(void)
{
	const int off = 0;
	int fd = must(open("/dev/ptmx", O_RDWR | O_NOCTTY));

	must(ioctl(fd, TIOCSPTLCK, &off));
	return fd;
}

static inline int open_slave(int master)
{
	return must(ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY));
}

static inline void put(int fd, const char *text)
{
	must(write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1);
}

static inline void no_echo(int slave, tcflag_t lines)
{
	struct termios2 t;

	must(ioctl(slave, TCGETS2, &t));
	t.c_lflag = lines;
	must(ioctl(slave, TCSETS2, &t));
}

#endif
