// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Content of pseudo terminals: put back where it was, before anybody of the tree runs
 *
 * What the line discipline of a slave had taken in is given to it byte by byte (TIOCSTI), while
 * settings of ours are in force: nothing is echoed, no byte means a signal, and which of them ends
 * a line is for us to say.  What it had not taken in comes by the master once the settings of the
 * image are back: there is no room, so it waits as it did.  Output is written with no processing.
 */
#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/build.h"
#include "proc/procfs.h"
#include "proc/pty.h"

/*
 * The kernel takes buffers for what is written as long as those that it has are below some size.
 * Small ones use that up evenly, and the last ones may be large.
 */
#define SMALL 256u
#define LARGE 1792u
#define PATIENCE_NS 2000000000ull

#define CONTROL(c) ((c) & 0x1f)

/**
 * struct filler - a terminal being filled
 * @e: what its slave's end is to have
 * @master, @slave: descriptors, not blocking
 * @termios: settings of ours
 */
struct filler {
	const struct ckpt_pty *p;
	const struct ckpt_pty_end *e;
	int master, slave;
	struct termios2 termios;
};

static int fail(struct ckpt_err *err, const char *what)
{
	return ckpt_fail(err, CKPT_FAILED, errno, "cannot put back %s of a terminal", what);
}

static int set_ours(struct filler *f, struct ckpt_err *err)
{
	return ioctl(f->slave, TCSETS2, &f->termios) ? fail(err, "the settings") : 0;
}

static int give(struct filler *f, uint8_t byte, struct ckpt_err *err)
{
	return ioctl(f->slave, TIOCSTI, &byte) ? fail(err, "input (TIOCSTI)") : 0;
}

/* Into @fd, whose other end takes it in beside us. */
static int put(int fd, const uint8_t *bytes, size_t len, const char *what, struct ckpt_err *err)
{
	uint64_t until = ckpt_now_ns() + PATIENCE_NS;

	while (len) {
		size_t n = len > 2 * LARGE ? SMALL : len < LARGE ? len : LARGE;
		ssize_t done = write(fd, bytes, n);

		if (done < 0 && (errno != EAGAIN || ckpt_now_ns() > until))
			return fail(err, what);
		if (done < 0) {
			ckpt_sleep_us(100);
			continue;
		}
		bytes += done;
		len -= done;
	}
	return 0;
}

/* Nothing of the settings stops it, so that it goes on as soon as it did before. */
static int stop_output(struct filler *f, struct ckpt_err *err)
{
	if (f->e->tco_stopped)
		return ioctl(f->slave, TCXONC, TCOOFF) ? fail(err, "the flow") : 0;
	if (!f->e->stopped)
		return 0;
	f->termios.c_iflag = IXON;	/* without it, it would go on */
	f->termios.c_cc[VSTOP] = CONTROL('S');
	if (set_ours(f, err) || give(f, CONTROL('S'), err))
		return -1;
	f->termios.c_cc[VSTOP] = 0;
	return set_ours(f, err);
}

/* Bytes that mean something to us, none of them @end, which ends lines. */
static int set_end(struct filler *f, uint8_t end, struct ckpt_err *err)
{
	f->termios.c_cc[VEOL] = end;
	f->termios.c_cc[VEOF] = end == CONTROL('D') ? CONTROL('E') : CONTROL('D');
	f->termios.c_cc[VLNEXT] = end == CONTROL('V') ? CONTROL('W') : CONTROL('V');
	return set_ours(f, err);
}

static int give_end(struct filler *f, uint8_t byte, struct ckpt_err *err)
{
	/* in its place stands a byte of 0, whichever it was */
	if (!byte)
		return give(f, f->termios.c_cc[VEOF], err);
	if (byte != '\n' && byte != f->termios.c_cc[VEOL] && set_end(f, byte, err))
		return -1;
	return give(f, byte, err);
}

static int give_within(struct filler *f, uint8_t byte, struct ckpt_err *err)
{
	const uint8_t *cc = f->termios.c_cc;

	if (byte && (byte == '\n' || byte == cc[VEOL] || byte == cc[VEOF] || byte == cc[VLNEXT]) &&
	    give(f, cc[VLNEXT], err))
		return -1;
	return give(f, byte, err);
}

static int give_taken(struct filler *f, struct ckpt_err *err)
{
	const struct ckpt_pty_end *e = f->e;
	bool lines = f->termios.c_lflag & ICANON;

	if (lines && set_end(f, 0, err))
		return -1;
	for (uint32_t i = 0; i < e->taken; i++) {
		uint8_t byte = e->bytes[i];

		if (!lines ? give(f, byte, err) : e->ends[i] ? give_end(f, byte, err) :
		    give_within(f, byte, err))
			return -1;
	}
	return e->quoted ? give(f, f->termios.c_cc[VLNEXT], err) : 0;
}

static int fill(struct filler *f, struct ckpt_err *err)
{
	const struct termios2 *wanted = (const void *)f->p->termios;

	f->termios = *wanted;
	f->termios.c_iflag = f->termios.c_oflag = 0;
	f->termios.c_lflag = IEXTEN | (wanted->c_lflag & ICANON);
	for (size_t i = 0; i < sizeof(wanted->c_cc); i++)
		f->termios.c_cc[i] = 0;
	if (set_ours(f, err) ||
	    put(f->slave, f->p->output, f->p->output_len, "output", err) ||
	    stop_output(f, err) || give_taken(f, err))
		return -1;
	if (ioctl(f->slave, TCSETS2, wanted))
		return fail(err, "the settings");
	return put(f->master, f->e->bytes + f->e->taken, f->e->len - f->e->taken, "input", err);
}

int ckpt_build_pty_fill(const struct ckpt_pty *p, int master, struct ckpt_err *err)
{
	struct ckpt_pty_end input;
	struct filler f = { .p = p, .e = &input, .master = master };
	cleanup_close int slave = -1;
	int flags, ret;

	if (!ckpt_pty_input(p, &input))
		return ckpt_fail(err, CKPT_DAMAGED, 0, "the input of a terminal cannot be");
	if (!input.len && !p->output_len && !input.quoted && !input.stopped)
		return 0;
	slave = f.slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	flags = fcntl(master, F_GETFL);
	if (slave < 0 || flags < 0 || fcntl(master, F_SETFL, flags | O_NONBLOCK))
		return fail(err, "the content");
	ret = fill(&f, err);
	return fcntl(master, F_SETFL, flags) && !ret ? fail(err, "the flags") : ret;
}
