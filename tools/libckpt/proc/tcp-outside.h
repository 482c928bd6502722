/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TCP connections to the outside: what it takes for one to go on, and whether it may
 *
 * A connection goes on when neither end has got a byte since the checkpoint that it does not know
 * of.  The other end tells: it is asked before the tree runs, by a probe that changes nothing.
 *
 *	out                 out + n_sent        out + n_unsent
 *	 |  sent, not acknowledged  |  not sent yet   |  what the tree writes next
 *
 * Its acknowledgement must lie in between.  Behind the last byte it has got some that the tree had
 * written after the checkpoint: those that it would write now might be others, and would be
 * dropped as known.  Its own next byte must be @in, or it must still be sending from there on;
 * what it believes to be received it will not send again.
 */
#ifndef CKPT_PROC_TCP_OUTSIDE_H
#define CKPT_PROC_TCP_OUTSIDE_H

#include "proc/hold.h"
#include "proc/tcp.h"

/* Is it connected to somebody outside, as far as anybody knows? */
static inline bool ckpt_tcp_outside(const struct ckpt_tcp *t)
{
	return t->state == CKPT_TCP_ALONE && t->flags & CKPT_TCP_F_RESET;
}

/* tcp-outside-read.c: what is needed for them to go on, where that can be read unnoticed */
int ckpt_read_outside(struct ckpt_reader *r, struct ckpt_err *err);

/*
 * tcp-outside-end.c: of a tree that is killed; nothing more comes in, or does so again
 *
 * First a descriptor of each connection is borrowed, so that the end of the tree does not end it.
 * Then those in which nothing has come since they were read are left without a word, and the
 * others reset.
 */
int ckpt_tcp_deafen(int own, bool on);
void ckpt_outside_borrow(struct ckpt_hold *hold);
void ckpt_outside_leave(struct ckpt_hold *hold, uint32_t *ret_left, uint32_t *ret_reset);

/* What the other end says of where a connection stands. */
enum ckpt_tcp_verdict {
	CKPT_TCP_SILENT,	/* nothing, yet */
	CKPT_TCP_FITS,
	CKPT_TCP_STANDS,	/* the same, or one byte ahead and keeping the connection alive */
	CKPT_TCP_AHEAD,		/* it has sent what has not come, or will not come again */
	CKPT_TCP_BEHIND,	/* the checkpoint is: it has got more than that knows of */
	CKPT_TCP_GONE,		/* it knows no such connection */
};

/**
 * struct ckpt_tcp_segment - what of a segment matters
 * @len: of its data, and 1 for an end
 * @blocks: SACK, left and right edges
 * @timed: it has timestamps; @echo: the latest of ours that the other end knows
 */
struct ckpt_tcp_segment {
	uint32_t seq, ack;
	uint8_t flags;
	uint32_t len;
	size_t n_blocks;
	uint32_t blocks[4][2];
	bool timed;
	uint32_t echo;
};

#define CKPT_SEGMENT_END 0x01
#define CKPT_SEGMENT_SYN 0x02
#define CKPT_SEGMENT_RESET 0x04
#define CKPT_SEGMENT_PUSH 0x08
#define CKPT_SEGMENT_ACK 0x10

/**
 * struct ckpt_outside - a connection that is made anew, and goes on when its verdict is FITS
 * @own: a descriptor of ours of it
 * @raw: where all segments for it come by
 * @file, @tcp: in the image
 * @acked: what the other end has acknowledged
 * @timed, @echo: as in a segment of it
 * @stood_ms: when it was heard last that it stands where we do, or 0
 * @verdict: enum ckpt_tcp_verdict
 */
struct ckpt_outside {
	int own, raw;
	uint32_t file, tcp;
	uint32_t acked, echo;
	bool timed;
	int64_t stood_ms;
	uint32_t verdict;
};

/*
 * tcp-segment.c: @size bytes of a segment of @whole, from its header on; what it says of @t, and of
 * @o when it comes at @now_ms
 */
bool ckpt_tcp_segment_parse(const uint8_t *data, size_t size, size_t whole,
			    struct ckpt_tcp_segment *ret);
enum ckpt_tcp_verdict ckpt_tcp_judge(const struct ckpt_tcp *t, const struct ckpt_tcp_segment *s);
void ckpt_tcp_weigh(const struct ckpt_tcp *t, const struct ckpt_tcp_segment *s, int64_t now_ms,
		    struct ckpt_outside *o);

/*
 * A segment with one byte that the other end has got long ago: it is dropped and answered to, and
 * as often as it comes.  @clock: our time, of timestamps.  Return: its length.
 */
#define CKPT_SEGMENT_PROBE_MAX 33u
size_t ckpt_tcp_segment_probe(const struct ckpt_tcp *t, const union ckpt_inet_address *here,
			      const union ckpt_inet_address *there, uint32_t clock,
			      uint8_t ret[CKPT_SEGMENT_PROBE_MAX]);

/* tcp-probe-build.c: hear what comes for it; ask all of them, and wait for what they answer */
int ckpt_outside_listen(const struct ckpt_tcp *t, struct ckpt_err *err);
int ckpt_outside_ask(const struct ckpt_image *image, struct ckpt_outside *list, size_t n,
		     struct ckpt_err *err);

/*
 * tcp-outside-build.c: make them in repair mode, deaf, and ask; those that may not go on are reset
 * by @reset, in a new socket.  All of them stay so until the tree runs: of a restore that fails no
 * other end hears.
 */
typedef int (*ckpt_tcp_reset_fn)(struct ckpt_restore *r, const uint32_t *files, uint32_t tcp,
				 struct ckpt_err *err);
int ckpt_build_outside(struct ckpt_restore *r, const uint32_t *files, ckpt_tcp_reset_fn reset,
		       struct ckpt_err *err);
bool ckpt_outside_goes_on(const struct ckpt_restore *r, uint32_t tcp);
/* When all options are set: those that would end what hears nothing are off until it starts. */
int ckpt_outside_quiet(struct ckpt_restore *r, struct ckpt_err *err);
bool ckpt_outside_quiets(const struct ckpt_socket_option *o);
/* The last thing before the tree runs; and whatever becomes of it. */
int ckpt_outside_start(struct ckpt_restore *r, struct ckpt_err *err);
void ckpt_outside_quit(struct ckpt_restore *r);
void ckpt_outside_done(struct ckpt_restore *r);
/* Descriptors that this process needs for them; and may we, here? */
uint64_t ckpt_outside_fd_room(const struct ckpt_image *image);
int ckpt_outside_machine(const struct ckpt_image *image, struct ckpt_err *err);

#endif
