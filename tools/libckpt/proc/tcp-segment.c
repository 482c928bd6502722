// SPDX-License-Identifier: GPL-2.0-or-later
/* TCP segments of the other end of a connection, and what they say of a checkpoint of ours. */
#include <arpa/inet.h>
#include <string.h>

#include "proc/tcp-outside.h"

#define HEADER_LEN 20u
#define OPT_END 0
#define OPT_NOTHING 1
#define OPT_BLOCKS 5
#define BLOCK_LEN 8u

/* So many there is room for beside timestamps: of more it would not tell. */
#define BLOCKS_TOLD 3

static uint32_t number(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return ntohl(value);
}

static bool take_blocks(const uint8_t *at, size_t len, struct ckpt_tcp_segment *s)
{
	if (len % BLOCK_LEN || len / BLOCK_LEN > sizeof(s->blocks) / sizeof(s->blocks[0]))
		return false;
	for (s->n_blocks = 0; s->n_blocks < len / BLOCK_LEN; s->n_blocks++) {
		s->blocks[s->n_blocks][0] = number(at + s->n_blocks * BLOCK_LEN);
		s->blocks[s->n_blocks][1] = number(at + s->n_blocks * BLOCK_LEN + 4);
	}
	return true;
}

static bool take_options(const uint8_t *at, size_t len, struct ckpt_tcp_segment *s)
{
	while (len && *at != OPT_END) {
		size_t n = *at == OPT_NOTHING ? 1 : len < 2 ? 0 : at[1];

		if (!n || n > len || (*at != OPT_NOTHING && n < 2))
			return false;
		if (*at == OPT_BLOCKS && !take_blocks(at + 2, n - 2, s))
			return false;
		at += n;
		len -= n;
	}
	return true;
}

bool ckpt_tcp_segment_parse(const uint8_t *data, size_t size, size_t whole,
			    struct ckpt_tcp_segment *ret)
{
	struct ckpt_tcp_segment s = { 0 };
	size_t head;

	if (size < HEADER_LEN)
		return false;
	head = (data[12] >> 4) * 4u;
	if (head < HEADER_LEN || head > size || head > whole)
		return false;
	s.seq = number(data + 4);
	s.ack = number(data + 8);
	s.flags = data[13];
	s.len = whole - head + !!(s.flags & CKPT_SEGMENT_END);
	if (!take_options(data + HEADER_LEN, head - HEADER_LEN, &s))
		return false;
	*ret = s;
	return true;
}

/* Has it got, out of order, what the checkpoint has not written? */
static bool has_beyond(const struct ckpt_tcp_segment *s, uint32_t end)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_blocks; i++) {
		/* one below the acknowledgement says what came twice */
		if (!ckpt_tcp_after(s->blocks[i][1], s->ack))
			continue;
		if (ckpt_tcp_after(s->blocks[i][1], end) || ++n >= BLOCKS_TOLD)
			return true;
	}
	return false;
}

enum ckpt_tcp_verdict ckpt_tcp_judge(const struct ckpt_tcp *t, const struct ckpt_tcp_segment *s)
{
	uint32_t end = t->out + t->n_unsent;

	if (s->flags & CKPT_SEGMENT_RESET)
		return s->seq == t->in ? CKPT_TCP_GONE : CKPT_TCP_SILENT;
	if (!(s->flags & CKPT_SEGMENT_ACK) || s->flags & CKPT_SEGMENT_SYN)
		return CKPT_TCP_SILENT;
	if (ckpt_tcp_after(s->ack, end) || has_beyond(s, end))
		return CKPT_TCP_BEHIND;
	/* a late one */
	if (ckpt_tcp_after(t->out, s->ack))
		return CKPT_TCP_SILENT;
	if (ckpt_tcp_after(s->seq, t->in))
		return CKPT_TCP_AHEAD;
	/* without data it is where the other end stands, or one before that in its own probe */
	return s->len || s->seq == t->in || s->seq == t->in - 1 ? CKPT_TCP_FITS :
								  CKPT_TCP_SILENT;
}
