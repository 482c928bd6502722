// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Peeks: what waits at an end of a pseudo terminal, and stays there
 *
 * No system call tells without taking it out.  The kernel knows: n_tty has a ring of what it has
 * taken in, bits for where lines end in it, and counts how far it was read; what the other end has
 * written since then waits in a list of buffers.  So the kernel's memory is read.
 *
 * While its buffers are being worked off, a mutex is held.  So what was found with nobody
 * holding it, twice the same, is what was there in between.
 */
#include <string.h>
#include <unistd.h>

#include "proc/peek.h"
#include "proc/pty.h"

/* More buffers than what can wait there fills, each as small as they come. */
#define BUFFERS_MAX 256

/* The terminal of a descriptor; then what is in that one. */
enum {
	TTY = CKPT_PEEK_OWN,
	DISCIPLINE, PORT, TCO_STOPPED, FLOW,
	HEAD, ECHO_HEAD, ECHO_TAIL, TAIL, QUOTED, BYTES, ENDS,
	LIST, FIRST, LOCK, OWNER, COMMITTED, TAKEN, DATA,
	N_MEMBERS
};
_Static_assert(N_MEMBERS == CKPT_PTY_MEMBERS, "room for the offset of each");

static const struct ckpt_btf_member wanted[N_MEMBERS] = {
	CKPT_PEEK_WAY,
	[TTY] = { "tty_file_private", "tty", 0 },
	[DISCIPLINE] = { "tty_struct", "disc_data", 0 },
	[PORT] = { "tty_struct", "port", 0 },
	[FLOW] = { "tty_struct", "flow", 0 },
	/* the only structure without a name that has it; stopped stands before it */
	[TCO_STOPPED] = { "", "tco_stopped", 0 },
	[HEAD] = { "n_tty_data", "read_head", 0 },
	[ECHO_HEAD] = { "n_tty_data", "echo_head", 0 },
	[ECHO_TAIL] = { "n_tty_data", "echo_tail", 0 },
	[TAIL] = { "n_tty_data", "read_tail", 0 },
	[QUOTED] = { "n_tty_data", "lnext", 0 },	/* the first bit there */
	[BYTES] = { "n_tty_data", "read_buf", 0 },
	[ENDS] = { "n_tty_data", "read_flags", 0 },
	[LIST] = { "tty_port", "buf", 0 },
	[FIRST] = { "tty_bufhead", "head", 0 },
	[LOCK] = { "tty_bufhead", "lock", 0 },
	[OWNER] = { "mutex", "owner", 0 },
	/* of a buffer, which begins with a pointer to the next one */
	[COMMITTED] = { "tty_buffer", "commit", 0 },
	[TAKEN] = { "tty_buffer", "read", 0 },
	[DATA] = { "tty_buffer", "data", 0 },
};

int ckpt_pty_peek_open(struct ckpt_pty_peek *ret)
{
	ret->program = ckpt_peek_open(wanted, N_MEMBERS, ret->offset);
	return ret->program < 0 ? -1 : 0;
}

void ckpt_pty_peek_close(struct ckpt_pty_peek *peek)
{
	if (peek->program >= 0)
		close(peek->program);
	peek->program = -1;
}

/* Kernel memory at @at. */
static int get(const struct ckpt_pty_peek *peek, uint64_t at, void *to, size_t len)
{
	return ckpt_peek_get(peek->program, at, to, len);
}

static uint64_t word(const struct ckpt_pty_peek *peek, uint64_t at, bool *ok)
{
	return ckpt_peek_word(peek->program, at, ok);
}

static uint32_t half(const struct ckpt_pty_peek *peek, uint64_t at, bool *ok)
{
	return ckpt_peek_half(peek->program, at, ok);
}

/* What moves when buffers are worked off. */
struct moving {
	uint64_t owner, head, tail, echo_head, echo_tail;
	uint64_t buffer;
	uint32_t taken, waiting;
};

/* Of the list, the first buffer with something in it tells; more are behind it. */
static bool look(const struct ckpt_pty_peek *peek, uint64_t data, uint64_t port, struct moving *m)
{
	const uint32_t *o = peek->offset;
	uint64_t list = port + o[LIST];
	bool ok = true;

	*m = (struct moving){
		.owner = word(peek, list + o[LOCK] + o[OWNER], &ok),
		.head = word(peek, data + o[HEAD], &ok),
		.tail = word(peek, data + o[TAIL], &ok),
		.echo_head = word(peek, data + o[ECHO_HEAD], &ok),
		.echo_tail = word(peek, data + o[ECHO_TAIL], &ok),
		.buffer = word(peek, list + o[FIRST], &ok),
	};
	m->taken = ok ? half(peek, m->buffer + o[TAKEN], &ok) : 0;
	m->waiting = ok ? half(peek, m->buffer + o[COMMITTED], &ok) : 0;
	return ok;
}

static int get_ring(const struct ckpt_pty_peek *peek, uint64_t data, const struct moving *m,
		    struct ckpt_pty_end *ret)
{
	const uint32_t *o = peek->offset;
	uint8_t ring[CKPT_PTY_RING], ends[CKPT_PTY_RING / 8];

	ret->taken = m->head - m->tail;
	if (!ret->taken)
		return 0;
	if (ret->taken > CKPT_PTY_RING || get(peek, data + o[BYTES], ring, sizeof(ring)) ||
	    get(peek, data + o[ENDS], ends, sizeof(ends)))
		return -1;
	for (uint32_t i = 0; i < ret->taken; i++) {
		uint32_t at = (m->tail + i) % CKPT_PTY_RING;

		ret->bytes[i] = ring[at];
		ret->ends[i] = ends[at / 8] >> at % 8 & 1;
	}
	return 0;
}

static int get_buffers(const struct ckpt_pty_peek *peek, uint64_t buffer, struct ckpt_pty_end *ret)
{
	const uint32_t *o = peek->offset;

	ret->len = ret->taken;
	for (int i = 0; buffer && i < BUFFERS_MAX; i++) {
		bool ok = true;
		uint32_t taken = half(peek, buffer + o[TAKEN], &ok);
		uint32_t committed = half(peek, buffer + o[COMMITTED], &ok);

		if (!ok || committed < taken || committed - taken > CKPT_PTY_LEN_MAX - ret->len ||
		    get(peek, buffer + o[DATA] + taken, ret->bytes + ret->len, committed - taken))
			return -1;
		ret->len += committed - taken;
		buffer = word(peek, buffer, &ok);
		if (!ok)
			return -1;
	}
	return buffer ? -1 : 0;
}

int ckpt_pty_peek(const struct ckpt_pty_peek *peek, int fd, struct ckpt_pty_end *ret)
{
	const uint32_t *o = peek->offset;
	uint64_t private, tty, data, port;
	uint8_t flow[2], bits;
	struct moving m, again;
	bool ok = true;

	if (ckpt_peek_private(peek->program, fd, &private))
		return -1;
	tty = word(peek, private + o[TTY], &ok);
	data = word(peek, tty + o[DISCIPLINE], &ok);
	port = word(peek, tty + o[PORT], &ok);
	if (!ok || !look(peek, data, port, &m))
		return -1;
	if (m.owner)
		return 1;
	if (get(peek, tty + o[FLOW] + o[TCO_STOPPED] - 1, flow, sizeof(flow)) ||
	    get(peek, data + o[QUOTED], &bits, 1))
		return -1;
	ret->stopped = flow[0];
	ret->tco_stopped = flow[1];
	ret->quoted = bits & 1;
	ret->echo = m.echo_head != m.echo_tail;
	/* what fails here may have been changed under our eyes */
	ok = !get_ring(peek, data, &m, ret) && !get_buffers(peek, m.buffer, ret);
	if (!look(peek, data, port, &again))
		return -1;
	return memcmp(&m, &again, sizeof(m)) ? 1 : ok ? 0 : -1;
}
