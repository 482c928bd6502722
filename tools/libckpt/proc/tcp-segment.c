// SPDX-License-Identifier: GPL-2.0-or-later
/* TCP segments of the other end of a connection, and what they say of a checkpoint of ours. */
#include <arpa/inet.h>
#include <string.h>

#include "proc/tcp-outside.h"

#define HEADER_LEN 20u
#define OPT_END 0
#define OPT_NOTHING 1
#define OPT_BLOCKS 5
#define OPT_TIMES 8
#define BLOCK_LEN 8u
#define TIMES_LEN 10u

/* So many there is room for beside timestamps: of more it would not tell. */
#define BLOCKS_TOLD 3

/* The byte that is sent once more: the last one may be asked for in earnest. */
#define PROBE_BACK 2u
/* Sooner no end keeps a connection alive once more. */
#define ALIVE_MS 1000
/* What was sent at a time is not more than this, or than the window. */
#define NEAR_MIN 0xffffu

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
		if (*at == OPT_TIMES && n != TIMES_LEN)
			return false;
		if (*at == OPT_TIMES) {
			s->timed = true;
			s->echo = number(at + 6);
		}
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

/* Whoever does not know where the other end stands does not hit upon that. */
static bool is_near(const struct ckpt_tcp *t, uint32_t seq)
{
	uint32_t most = t->in_window > NEAR_MIN ? t->in_window : NEAR_MIN;

	return !ckpt_tcp_after(seq, t->in + most) && !ckpt_tcp_after(t->in - most, seq);
}

/* As what keeps a connection alive, in which there may be a byte of no meaning. */
static bool is_bare(const struct ckpt_tcp_segment *s)
{
	return !s->len ||
	       (s->len == 1 && !(s->flags & (CKPT_SEGMENT_PUSH | CKPT_SEGMENT_END)));
}

enum ckpt_tcp_verdict ckpt_tcp_judge(const struct ckpt_tcp *t, const struct ckpt_tcp_segment *s)
{
	uint32_t end = t->out + t->n_unsent;

	if (s->flags & CKPT_SEGMENT_RESET)
		return s->seq == t->in ? CKPT_TCP_GONE : CKPT_TCP_SILENT;
	if (!(s->flags & CKPT_SEGMENT_ACK) || s->flags & CKPT_SEGMENT_SYN || !is_near(t, s->seq))
		return CKPT_TCP_SILENT;
	if (ckpt_tcp_after(s->ack, end) || has_beyond(s, end))
		return CKPT_TCP_BEHIND;
	/* a late one */
	if (ckpt_tcp_after(t->out, s->ack))
		return CKPT_TCP_SILENT;
	if (ckpt_tcp_after(s->seq, t->in))
		return CKPT_TCP_AHEAD;
	if (!is_bare(s))
		return CKPT_TCP_FITS;
	/* it is where the other end stands, or one before that to keep the connection alive */
	return s->seq == t->in || s->seq == t->in - 1 ? CKPT_TCP_STANDS : CKPT_TCP_SILENT;
}

/* Does it name the byte that was sent to be dropped, as what came twice? */
static bool is_answer(const struct ckpt_tcp *t, const struct ckpt_tcp_segment *s)
{
	return s->seq == t->in && s->n_blocks && s->blocks[0][0] == t->out - PROBE_BACK &&
	       s->blocks[0][1] == t->out - PROBE_BACK + 1;
}

/*
 * One that is a byte ahead keeps the connection alive by what it would say if it were not.  But it
 * answers otherwise, and does not do so twice in a moment.
 */
void ckpt_tcp_weigh(const struct ckpt_tcp *t, const struct ckpt_tcp_segment *s, int64_t now_ms,
		    struct ckpt_outside *o)
{
	enum ckpt_tcp_verdict v = ckpt_tcp_judge(t, s);
	bool sure = (o->stood_ms && now_ms - o->stood_ms < ALIVE_MS) || is_answer(t, s);

	if (v == CKPT_TCP_STANDS) {
		o->stood_ms = now_ms;
		v = o->verdict == CKPT_TCP_SILENT && sure ? CKPT_TCP_FITS : CKPT_TCP_SILENT;
	}
	if (v == CKPT_TCP_FITS) {
		o->acked = s->ack;
		o->timed = s->timed;
		o->echo = s->echo;
	}
	if (v != CKPT_TCP_SILENT)
		o->verdict = v;
}

static void put16(uint8_t *at, uint32_t value)
{
	at[0] = value >> 8;
	at[1] = value;
}

static void put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value);
}

static uint32_t sum(const void *data, size_t len)
{
	const uint8_t *at = data;
	uint32_t s = 0;

	for (size_t i = 0; i < len; i++)
		s += i % 2 ? at[i] : at[i] << 8;
	return s;
}

static uint16_t checksum(const union ckpt_inet_address *here, const union ckpt_inet_address *there,
			 const uint8_t *data, size_t len)
{
	uint32_t s = IPPROTO_TCP + len + sum(data, len);

	if (here->any.sa_family == AF_INET6)
		s += sum(&here->v6.sin6_addr, sizeof(here->v6.sin6_addr)) +
		     sum(&there->v6.sin6_addr, sizeof(there->v6.sin6_addr));
	else
		s += sum(&here->v4.sin_addr, sizeof(here->v4.sin_addr)) +
		     sum(&there->v4.sin_addr, sizeof(there->v4.sin_addr));
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return ~s;
}

static uint16_t port_of(const union ckpt_inet_address *a)
{
	return ntohs(a->any.sa_family == AF_INET6 ? a->v6.sin6_port : a->v4.sin_port);
}

size_t ckpt_tcp_segment_probe(const struct ckpt_tcp *t, const union ckpt_inet_address *here,
			      const union ckpt_inet_address *there, uint32_t clock,
			      uint8_t ret[CKPT_SEGMENT_PROBE_MAX])
{
	size_t head = HEADER_LEN + (t->flags & CKPT_TCP_F_TIMESTAMPS ? TIMES_LEN + 2 : 0);
	uint32_t window = t->in_window >> (t->flags & CKPT_TCP_F_WSCALE ? t->scale_in : 0);

	memset(ret, 0, CKPT_SEGMENT_PROBE_MAX);
	put16(ret, port_of(here));
	put16(ret + 2, port_of(there));
	put32(ret + 4, t->out - PROBE_BACK);
	put32(ret + 8, t->in);
	ret[12] = head / 4 << 4;
	ret[13] = CKPT_SEGMENT_ACK;
	put16(ret + 14, window < 0xffff ? window : 0xffff);
	if (head > HEADER_LEN) {
		ret[HEADER_LEN] = ret[HEADER_LEN + 1] = OPT_NOTHING;
		ret[HEADER_LEN + 2] = OPT_TIMES;
		ret[HEADER_LEN + 3] = TIMES_LEN;
		put32(ret + HEADER_LEN + 4, clock);
	}
	put16(ret + 16, checksum(here, there, ret, head + 1));
	return head + 1;
}
