// SPDX-License-Identifier: GPL-2.0-or-later
/* Pseudo terminals as they were made: settings, state, and what is in them. */
#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/cleanup.h"
#include "proc/build.h"
#include "proc/procfs.h"
#include "proc/pty.h"

/* For the kernel to move what was written to where it waits. */
#define PATIENCE_NS 2000000000ull

/* Are settings and state those of the image? @fd of the master */
static int same_master(const struct ckpt_pty *p, int fd)
{
	uint8_t termios[CKPT_TERMIOS_LEN];
	int number, locked, packet, exclusive;
	struct winsize size;

	return !ioctl(fd, TIOCGPTN, &number) && (uint32_t)number == p->number &&
	       !ioctl(fd, TCGETS2, termios) && !memcmp(termios, p->termios, sizeof(termios)) &&
	       !ioctl(fd, TIOCGWINSZ, &size) && !memcmp(&size, p->winsize, sizeof(size)) &&
	       !ioctl(fd, TIOCGPTLCK, &locked) && !locked == !(p->flags & CKPT_PTY_F_LOCKED) &&
	       !ioctl(fd, TIOCGPKT, &packet) && !packet == !(p->flags & CKPT_PTY_F_PACKET) &&
	       !ioctl(fd, TIOCGEXCL, &exclusive) &&
	       !exclusive == !(p->flags & CKPT_PTY_F_MASTER_EXCL);
}

static int same_slave(const struct ckpt_pty *p, int fd)
{
	unsigned int dev;
	int exclusive;

	if (ioctl(fd, TIOCGDEV, &dev))
		return errno == EIO && p->flags & CKPT_PTY_F_HUNG_UP;
	return ((dev & 0xff) | (dev >> 12 & 0xfff00)) == p->number &&
	       !ioctl(fd, TIOCGEXCL, &exclusive) &&
	       !exclusive == !(p->flags & CKPT_PTY_F_SLAVE_EXCL);
}

/* What waits at an end of ours. Return: 0; 1: this kernel does not tell; -1 */
static int look(struct ckpt_restore *r, int fd, bool master, struct ckpt_pty_end *ret)
{
	uint64_t until = ckpt_now_ns() + PATIENCE_NS;
	int state;

	if (!r->pty_peek_tried)
		(void)ckpt_pty_peek_open(&r->pty_peek);
	r->pty_peek_tried = true;
	if (r->pty_peek.program < 0)
		return 1;
	while ((state = ckpt_pty_look(fd, master, &r->pty_peek, ret)) == CKPT_PTY_MOVING &&
	       ckpt_now_ns() < until)
		ckpt_sleep_us(100);
	return state == CKPT_PTY_QUIET ? 0 : -1;
}

static bool same_output(struct ckpt_restore *r, const struct ckpt_pty *p, int master)
{
	struct ckpt_pty_end end;
	int state = look(r, master, true, &end);

	return state > 0 || (!state && end.len == p->output_len &&
			     (!end.len || !memcmp(end.bytes, p->output, end.len)));
}

/* Nobody may have it. */
static bool same_input(struct ckpt_restore *r, const struct ckpt_pty *p, int fd, bool left)
{
	cleanup_close int peer = left ? ioctl(fd, TIOCGPTPEER, O_RDONLY | O_NOCTTY | O_NONBLOCK |
					      O_CLOEXEC) : -1;
	struct ckpt_pty_end end, wanted;
	int state = look(r, left ? peer : fd, false, &end);

	return state > 0 || (!state && ckpt_pty_input(p, &wanted) &&
			     ckpt_pty_same_input(&end, &wanted));
}

/* It is not read for it, which would take it out: the kernel's memory is. */
static bool same_content(struct ckpt_restore *r, const struct ckpt_file *f,
			 const struct ckpt_pty *p, int fd)
{
	bool master = f->kind == CKPT_FILE_PTM;

	if (!master || p->flags & CKPT_PTY_F_LEFT) {
		if (!same_input(r, p, fd, master))
			return false;
	}
	return !master || same_output(r, p, fd);
}

int ckpt_verify_pty(struct ckpt_restore *r, const struct ckpt_file *f, struct ckpt_err *err)
{
	cleanup_close int fd = ckpt_build_borrow(r, r->fd_base + (f - r->image->files), err);
	const struct ckpt_pty *p = &r->image->ptys[f->object];

	if (fd < 0)
		return -1;
	if (!(f->kind == CKPT_FILE_PTM ? same_master(p, fd) : same_slave(p, fd)))
		return ckpt_fail(err, CKPT_DAMAGED, 0,
				 "a terminal is not that of the checkpoint");
	return p->flags & CKPT_PTY_F_HUNG_UP || same_content(r, f, p, fd) ? 0 :
	       ckpt_fail(err, CKPT_DAMAGED, 0,
			 "what waits in a terminal is not that of the checkpoint");
}
