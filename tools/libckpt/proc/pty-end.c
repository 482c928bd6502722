// SPDX-License-Identifier: GPL-2.0-or-later
/* What waits at an end of a pseudo terminal: as it is stored, and whether it can be there. */
#include <asm/termbits.h>
#include <stdlib.h>
#include <string.h>

#include "proc/image.h"
#include "proc/pty.h"

static bool has_lines(const struct termios2 *t)
{
	return t->c_lflag & ICANON && !(t->c_lflag & EXTPROC);
}

static uint32_t count_ends(const struct ckpt_pty_end *e)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < e->taken; i++)
		n += e->ends[i];
	return n;
}

/* With PARMRK one byte may become three.  A line without an end has always room: for an erase. */
static bool is_full(const struct termios2 *t, const struct ckpt_pty_end *e)
{
	uint32_t room = CKPT_PTY_RING - e->taken;

	if (t->c_iflag & PARMRK)
		room = (room + 2) / 3;
	return room <= 1 && !(has_lines(t) && !count_ends(e));
}

/* Flow control is looked for in what is not taken in yet, once, before it is. */
static bool has_flow(const struct termios2 *t, const struct ckpt_pty_end *e)
{
	for (uint32_t i = e->taken; i < e->len && t->c_iflag & IXON; i++) {
		if (e->bytes[i] == t->c_cc[VSTART] || e->bytes[i] == t->c_cc[VSTOP])
			return true;
	}
	return false;
}

/* The whole ring is used by one line alone, whose end takes the place of its last byte. */
static bool has_room(const struct termios2 *t, const struct ckpt_pty_end *e)
{
	uint32_t n = count_ends(e);

	return e->taken < CKPT_PTY_RING ||
	       (has_lines(t) && (!n || (n == 1 && e->ends[CKPT_PTY_RING - 1])));
}

enum ckpt_pty_state ckpt_pty_end_state(const void *termios, const struct ckpt_pty_end *e)
{
	const struct termios2 *t = termios;

	if (e->echo)
		return CKPT_PTY_ECHO;
	if (e->len > e->taken && !is_full(t, e))
		return CKPT_PTY_MOVING;
	if ((e->stopped && !e->tco_stopped && !(t->c_iflag & IXON)) ||
	    (e->tco_stopped && !e->stopped))
		return CKPT_PTY_HELD;
	if (!has_room(t, e) || has_flow(t, e) ||
	    (!has_lines(t) && (e->quoted || count_ends(e) || (t->c_lflag & ICANON && e->len))))
		return CKPT_PTY_STRANGE;
	return CKPT_PTY_QUIET;
}

static uint8_t *copy(const struct ckpt_pty_end *e, bool *ok)
{
	uint8_t *bytes = e->len ? malloc(e->len) : NULL;

	if (bytes)
		memcpy(bytes, e->bytes, e->len);
	*ok = bytes || !e->len;
	return bytes;
}

int ckpt_pty_put_input(struct ckpt_pty *p, const struct ckpt_pty_end *e)
{
	uint32_t n = count_ends(e);
	bool ok;

	p->input = copy(e, &ok);
	p->ends = n ? malloc(n * sizeof(*p->ends)) : NULL;
	if (!ok || (n && !p->ends))
		return -1;
	p->input_len = e->len;
	p->taken = e->taken;
	for (uint32_t i = 0; i < e->taken; i++) {
		if (e->ends[i])
			p->ends[p->n_ends++] = i;
	}
	p->flags |= (e->quoted ? CKPT_PTY_F_QUOTED : 0) | (e->stopped ? CKPT_PTY_F_STOPPED : 0) |
		    (e->tco_stopped ? CKPT_PTY_F_TCO_STOPPED : 0);
	return 0;
}

int ckpt_pty_put_output(struct ckpt_pty *p, const struct ckpt_pty_end *e)
{
	bool ok;

	p->output = copy(e, &ok);
	p->output_len = e->len;
	return ok ? 0 : -1;
}

bool ckpt_pty_input(const struct ckpt_pty *p, struct ckpt_pty_end *ret)
{
	*ret = (struct ckpt_pty_end){
		.quoted = p->flags & CKPT_PTY_F_QUOTED,
		.stopped = p->flags & CKPT_PTY_F_STOPPED,
		.tco_stopped = p->flags & CKPT_PTY_F_TCO_STOPPED,
		.taken = p->taken,
		.len = p->input_len,
	};
	if (p->input_len > CKPT_PTY_LEN_MAX || p->taken > p->input_len || p->taken > CKPT_PTY_RING)
		return false;
	if (p->input_len)
		memcpy(ret->bytes, p->input, p->input_len);
	for (size_t i = 0; i < p->n_ends; i++) {
		if (p->ends[i] >= p->taken || (i && p->ends[i] <= p->ends[i - 1]))
			return false;
		ret->ends[p->ends[i]] = true;
	}
	return true;
}

bool ckpt_pty_same_input(const struct ckpt_pty_end *a, const struct ckpt_pty_end *b)
{
	return a->len == b->len && a->taken == b->taken && a->quoted == b->quoted &&
	       a->echo == b->echo && a->stopped == b->stopped &&
	       a->tco_stopped == b->tco_stopped && !memcmp(a->bytes, b->bytes, a->len) &&
	       !memcmp(a->ends, b->ends, a->taken * sizeof(a->ends[0]));
}
