/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Keeper: the messages between a stop and its keeper, and the keeper itself. */
#ifndef CKPT_PROC_KEEPER_H
#define CKPT_PROC_KEEPER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "proc/image.h"
#include "proc/stop.h"

enum ckpt_keeper_op {
	CKPT_KEEPER_OPEN,	/* answered without being asked, after the scan */
	CKPT_KEEPER_BEGIN,
	CKPT_KEEPER_SURVEY,	/* a tree looked at for all that is refused */
	CKPT_KEEPER_COLLECT,
	CKPT_KEEPER_HOLDING,	/* all is copied: was it held until now? */
	CKPT_KEEPER_RELEASE,
	CKPT_KEEPER_KILL,
};

/**
 * struct ckpt_keeper_request - an order
 * @n_wanted: COLLECT: how many pids are in the memfd
 */
struct ckpt_keeper_request {
	uint32_t op;
	uint32_t n_wanted;
};

/**
 * struct ckpt_keeper_reply - one for each request
 * @freeze_ns: RELEASE and KILL; BEGIN: until all had stopped
 * @sees_reads: OPEN: as in struct ckpt_hold
 * @image_len, @aside_len: COLLECT: what is in the memfd, the second at CKPT_ASIDE_AT
 * @tcp_left, @tcp_reset: KILL: connections to the outside whose other ends have not heard of it,
 *	and that were reset
 * @survey_len: SURVEY: what was refused, in the memfd
 * @err: when its status is not CKPT_OK the request failed and nothing is held
 */
struct ckpt_keeper_reply {
	uint64_t freeze_ns;
	uint64_t image_len, aside_len, survey_len;
	uint32_t tcp_left, tcp_reset;
	bool sees_reads;
	struct ckpt_err err;
};

/* struct ckpt_stop_params.hold_ms unless given. */
#define CKPT_HOLD_MS 10000

/* Body of the keeper process; never returns. */
void ckpt_keeper_main(const struct ckpt_stop_params *params, int sock, int memfd, pid_t caller)
	__attribute__((noreturn));

/* Where in the memfd the second part begins: aligned for its structures. */
#define CKPT_ASIDE_AT(image_len) (((image_len) + 7) & ~(uint64_t)7)

/* aside.c: the members of an image that are not stored, for the way to the caller. */
int ckpt_aside_encode(const struct ckpt_image *image, struct ckpt_buf *ret, struct ckpt_err *err);
int ckpt_aside_decode(const void *data, size_t len, struct ckpt_image *image,
		      struct ckpt_err *err);

#endif
