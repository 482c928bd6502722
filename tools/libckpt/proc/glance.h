/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Looks into what waits in a socket, which stays there
 *
 * A first look needs nothing.  To look further the socket is told where (SO_PEEK_OFF), and back
 * afterwards: also when we are killed, by a child that waits for our end.  Nobody but who looks
 * himself (MSG_PEEK) sees of that.
 */
#ifndef CKPT_PROC_GLANCE_H
#define CKPT_PROC_GLANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

/**
 * struct ckpt_glance - a look into a socket
 * @own: a descriptor of ours
 * @guarded: somebody else uses the socket
 * @set: it has been told where to look
 * @guardian: a child that tells it back when there is nobody at the other end of @guard
 */
struct ckpt_glance {
	int own;
	bool guarded, set;
	pid_t guardian;
	int guard;
};

/* The next look begins @offset bytes behind the first one. */
int ckpt_glance_at(struct ckpt_glance *glance, size_t offset, struct ckpt_err *err);
void ckpt_glance_done(struct ckpt_glance *glance);
/* POLL* of @events, or -1. */
int ckpt_socket_events(int own, int events);

#endif
