// SPDX-License-Identifier: GPL-2.0-or-later
/* Consistency of the TCP sockets of an image. */
#include <string.h>

#include "proc/image-check.h"
#include "proc/tcp.h"

#define BACKLOG_MAX INT32_MAX
#define MSS_MIN 88u
#define MSS_MAX 65535u
#define SCALE_MAX 14u
#define FLAGS (CKPT_TCP_F_SENT_END | CKPT_TCP_F_GOT_END | CKPT_TCP_F_DEAF | CKPT_TCP_F_RESET | \
	       CKPT_TCP_F_KNOWN | AGREED)
#define AGREED (CKPT_TCP_F_TIMESTAMPS | CKPT_TCP_F_SACK | CKPT_TCP_F_WSCALE)

static int check_addresses(const struct ckpt_socket *s, const struct ckpt_tcp *t,
			   struct ckpt_err *err)
{
	bool remote = t->state == CKPT_TCP_CONNECTED || t->state == CKPT_TCP_CONNECTING ||
		      t->flags & CKPT_TCP_F_KNOWN;

	if ((t->local_len || t->state != CKPT_TCP_FREE) &&
	    !ckpt_inet_is_address(t->local, t->local_len, s->family))
		return BAD_IMAGE("a TCP socket has no sound address");
	if (remote && !ckpt_inet_is_address(t->remote, t->remote_len, s->family))
		return BAD_IMAGE("a TCP connection leads to no sound address");
	return 0;
}

/* What repair mode would not take, or would take and then send what is none of it. */
static int check_known(const struct ckpt_tcp *t, struct ckpt_err *err)
{
	const uint32_t must = CKPT_TCP_F_RESET | CKPT_TCP_F_SACK;
	const uint32_t never = CKPT_TCP_F_SENT_END | CKPT_TCP_F_GOT_END;
	bool sound = t->state == CKPT_TCP_ALONE && (t->flags & must) == must &&
		     !(t->flags & never) && t->n_sent <= t->n_unsent &&
		     t->out_window <= t->out_window_max && t->in_window <= CKPT_TCP_QUEUE_MAX &&
		     !ckpt_tcp_after(t->out_wl1, t->in + t->in_window) &&
		     !ckpt_tcp_after(t->in_wup, t->in);

	return sound ? 0 : BAD_IMAGE("a TCP connection to the outside cannot have been so");
}

static int check_socket(const struct ckpt_tcp *t, struct ckpt_err *err)
{
	bool connection = t->state == CKPT_TCP_CONNECTED || t->state == CKPT_TCP_ALONE;

	if (t->state > CKPT_TCP_CONNECTING || t->flags & ~FLAGS || t->backlog > BACKLOG_MAX)
		return BAD_IMAGE("a TCP socket is in no known state");
	if (!connection && (t->flags || t->n_unread || t->n_unsent))
		return BAD_IMAGE("a TCP socket that is not connected has got something");
	if (t->n_unread > CKPT_TCP_QUEUE_MAX || t->n_unsent > CKPT_TCP_QUEUE_MAX)
		return BAD_IMAGE("a TCP connection holds %zu and %zu bytes", t->n_unread,
				 t->n_unsent);
	if (connection && (t->mss < MSS_MIN || t->mss > MSS_MAX || t->scale_out > SCALE_MAX ||
			   t->scale_in > SCALE_MAX))
		return BAD_IMAGE("a TCP connection has agreed on what cannot be");
	if (t->state == CKPT_TCP_ALONE &&
	    ((t->n_unsent && !(t->flags & CKPT_TCP_F_KNOWN)) ||
	     !(t->flags & (CKPT_TCP_F_GOT_END | CKPT_TCP_F_RESET))))
		return BAD_IMAGE("a TCP socket is connected with nobody");
	return t->flags & CKPT_TCP_F_KNOWN ? check_known(t, err) : 0;
}

static int check_peer(const struct ckpt_image *image, uint32_t i, struct ckpt_err *err)
{
	const struct ckpt_tcp *t = &image->tcps[i];
	const struct ckpt_tcp *o;

	if ((t->state == CKPT_TCP_CONNECTED) != (t->peer != CKPT_NONE))
		return BAD_IMAGE("a TCP socket has no other end");
	if (t->peer == CKPT_NONE)
		return 0;
	if (t->peer >= image->n_tcps || t->peer == i || image->tcps[t->peer].peer != i)
		return BAD_IMAGE("a TCP connection has not two ends");
	o = &image->tcps[t->peer];
	if ((t->flags ^ o->flags) & AGREED || t->scale_out != o->scale_in ||
	    t->flags & (CKPT_TCP_F_GOT_END | CKPT_TCP_F_RESET))
		return BAD_IMAGE("the ends of a TCP connection have not agreed");
	return 0;
}

static int check_part(const struct ckpt_image *image, const struct ckpt_socket *s,
		      struct ckpt_err *err)
{
	const struct ckpt_tcp *t = &image->tcps[s->part];

	if (s->protocol == IPPROTO_MPTCP && t->state > CKPT_TCP_LISTENS)
		return BAD_IMAGE("a socket is connected by MPTCP");
	return check_socket(t, err) || check_addresses(s, t, err) ? -1 : 0;
}

int ckpt_tcps_check(const struct ckpt_image *image, struct ckpt_err *err)
{
	const struct ckpt_socket_parts parts = { "TCP", image->n_tcps, ckpt_tcp_socket,
						 check_part };

	if (ckpt_socket_parts_check(image, &parts, err))
		return -1;
	for (uint32_t i = 0; i < image->n_tcps; i++) {
		if (check_peer(image, i, err))
			return -1;
	}
	return 0;
}
