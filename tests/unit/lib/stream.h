/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stream: tcp_stream in the tree, which talks to the far end */
#ifndef CKPT_TESTS_STREAM_H
#define CKPT_TESTS_STREAM_H

#include "lib/restore_cycle.h"

#define STREAM_PROGRAM "tcp_stream"

/* Start it, bring both ends to rest with bytes that are not read in either direction, save it. */
void stream_save_resting(struct saved *s);
/* The same with more than the far end has room for. */
void stream_save_full(struct saved *s);
/* Let both talk on. */
void stream_go_on(void);
void stream_never_wrong(void);
bool stream_was_reset(void);
/* It ends its call, with all that both have said. */
void stream_finish(struct ckpt_restore *r);
/* Restore it, to be reset with a reason that has @why in it; then it goes on to its end. */
void stream_reset_and_well(struct saved *s, const char *why);

#endif
