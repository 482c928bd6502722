// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * TCP sockets: made in init, bound, listening, connected; and compared
 *
 * What listens comes first, by a plain bind: a port that somebody else has got meanwhile is an
 * error.  Connections then share these ports.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/tcp-outside.h"

static int no_address(const struct ckpt_tcp *t, struct ckpt_err *err)
{
	const int e = errno;
	char text[CKPT_INET_TEXT];

	return ckpt_fail(err, CKPT_REFUSED, e, "a TCP socket of the checkpoint cannot have its "
			 "address %s; free that first, or wait a minute",
			 ckpt_inet_text(t->local, t->local_len, text));
}

static int bind_to(int own, const struct ckpt_tcp *t, struct ckpt_err *err)
{
	return t->local_len && bind(own, (const void *)t->local, t->local_len) ?
	       no_address(t, err) : 0;
}

/* One that is not connected. */
static int settle(int own, const struct ckpt_tcp *t, struct ckpt_err *err)
{
	if (bind_to(own, t, err))
		return -1;
	return t->state == CKPT_TCP_LISTENS && listen(own, t->backlog) ? no_address(t, err) : 0;
}

static int make(struct ckpt_restore *r, size_t index, struct ckpt_err *err)
{
	const struct ckpt_socket *s = &r->image->sockets[r->image->files[index].object];
	const struct ckpt_tcp *t = &r->image->tcps[s->part];
	cleanup_close int own = ckpt_build_socket(r, index, err);

	if (own < 0)
		return -1;
	return t->state <= CKPT_TCP_LISTENS ? settle(own, t, err) : 0;
}

static struct ckpt_tcp_end end_of(struct ckpt_restore *r, const uint32_t *files, uint32_t tcp,
				  struct ckpt_err *err)
{
	const struct ckpt_file *f = &r->image->files[files[tcp]];

	return (struct ckpt_tcp_end){
		.own = ckpt_build_borrow(r, r->fd_base + files[tcp], err),
		.s = &r->image->sockets[f->object],
		.t = &r->image->tcps[tcp],
	};
}

static int connect_one(struct ckpt_restore *r, const uint32_t *files, uint32_t i,
		       struct ckpt_err *err)
{
	const struct ckpt_tcp *t = &r->image->tcps[i];
	struct ckpt_tcp_end a = { .own = -1 }, b = { .own = -1 };
	int ret = -1;

	if (t->state <= CKPT_TCP_LISTENS || (t->peer != CKPT_NONE && t->peer < i) ||
	    ckpt_tcp_outside(t))
		return 0;
	a = end_of(r, files, i, err);
	if (a.own >= 0 && t->state == CKPT_TCP_CONNECTING) {
		ret = ckpt_tcp_connect_again(&a, err);
	} else if (a.own >= 0 && t->peer == CKPT_NONE) {
		ret = ckpt_tcp_finish_alone(&a, err);
	} else if (a.own >= 0) {
		b = end_of(r, files, t->peer, err);
		ret = b.own < 0 ? -1 : ckpt_tcp_connect(&a, &b, err);
	}
	ckpt_cleanup_close(&a.own);
	ckpt_cleanup_close(&b.own);
	return ret;
}

/* In a new socket, whatever the one before has been through. */
static int reset(struct ckpt_restore *r, const uint32_t *files, uint32_t tcp, struct ckpt_err *err)
{
	struct ckpt_tcp_end e;
	int ret;

	if (make(r, files[tcp], err))
		return -1;
	e = end_of(r, files, tcp, err);
	ret = e.own < 0 ? -1 : ckpt_tcp_finish_alone(&e, err);
	ckpt_cleanup_close(&e.own);
	return ret;
}

int ckpt_build_tcps(struct ckpt_restore *r, struct ckpt_err *err)
{
	cleanup_free uint32_t *files = calloc(r->image->n_tcps + 1, sizeof(*files));

	if (!files)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for TCP sockets");
	for (uint32_t i = 0; i < r->image->n_files; i++) {
		const struct ckpt_file *f = &r->image->files[i];

		if (f->kind != CKPT_FILE_SOCKET || !ckpt_tcp_socket(&r->image->sockets[f->object]))
			continue;
		files[r->image->sockets[f->object].part] = i;
		if (make(r, i, err))
			return -1;
	}
	for (uint32_t i = 0; i < r->image->n_tcps; i++) {
		if (connect_one(r, files, i, err))
			return -1;
	}
	return ckpt_build_outside(r, files, reset, err);
}

static int new_socket(const struct ckpt_tcp *t)
{
	const struct sockaddr *a = (const void *)t->local;

	return socket(a->sa_family, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
}

/* Closed in repair mode, a socket says nothing to the other end. */
static int try_pair(const struct ckpt_tcp *t, const struct ckpt_tcp *o, struct ckpt_err *err)
{
	cleanup_close int a = new_socket(t);
	cleanup_close int b = new_socket(o);

	if (a < 0 || b < 0)
		return ckpt_fail(err, CKPT_REFUSED, errno, "cannot make a TCP socket");
	return ckpt_tcp_join(&(struct ckpt_tcp_end){ .own = a, .t = t },
			     &(struct ckpt_tcp_end){ .own = b, .t = o }, err);
}

static int try_alone(const struct ckpt_tcp *t, struct ckpt_err *err)
{
	cleanup_close int own = new_socket(t);
	const int on = TCP_REPAIR_ON;

	if (own < 0 || setsockopt(own, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)))
		return ckpt_fail(err, CKPT_REFUSED, errno,
			"ckpt-tool cannot put a TCP socket into repair mode (CAP_NET_ADMIN), "
			"without which connections cannot be made");
	/* only for what may be left of it; it is not made again */
	if (t->remote_len && !bind(own, (const void *)t->local, t->local_len))
		(void)!connect(own, (const void *)t->remote, t->remote_len);
	return 0;
}

int ckpt_tcp_try_connections(const struct ckpt_image *image, struct ckpt_err *err)
{
	for (uint32_t i = 0; i < image->n_tcps; i++) {
		const struct ckpt_tcp *t = &image->tcps[i];

		if (t->state <= CKPT_TCP_LISTENS || t->peer < i)
			continue;
		if (t->peer != CKPT_NONE ? try_pair(t, &image->tcps[t->peer], err) :
		    try_alone(t, err))
			return -1;
	}
	return 0;
}

int ckpt_tcp_try(const struct ckpt_image *image, const struct ckpt_socket *s, int own,
		 struct ckpt_err *err)
{
	const struct ckpt_tcp *t = &image->tcps[s->part];

	return t->state <= CKPT_TCP_LISTENS ? bind_to(own, t, err) : 0;
}

static int verify_local(const struct ckpt_tcp *t, int own, struct ckpt_err *err)
{
	union ckpt_inet_address a;
	socklen_t len = sizeof(a);

	if (!t->local_len || t->state >= CKPT_TCP_ALONE)
		return 0;
	if (getsockname(own, &a.any, &len) || len != t->local_len || memcmp(&a, t->local, len))
		return NOT_AS_CAPTURED("a TCP socket has not got its address");
	return 0;
}

static bool right_state(const struct ckpt_tcp *t, bool goes_on, const struct tcp_info *i)
{
	if (goes_on)
		return i->tcpi_state == TCP_ESTABLISHED;
	switch (t->state) {
	case CKPT_TCP_FREE:
		return i->tcpi_state == TCP_CLOSE;
	case CKPT_TCP_LISTENS:
		return i->tcpi_state == TCP_LISTEN && i->tcpi_sacked == t->backlog;
	default:
		if (t->flags & (CKPT_TCP_F_SENT_END | CKPT_TCP_F_RESET))
			return i->tcpi_state != TCP_ESTABLISHED && i->tcpi_state != TCP_CLOSE_WAIT;
		return i->tcpi_state == TCP_ESTABLISHED || i->tcpi_state == TCP_CLOSE_WAIT;
	}
}

/* More may have come by now, of what was on its way. */
static int verify_unread(const struct ckpt_tcp *t, int own, struct ckpt_err *err)
{
	cleanup_free uint8_t *data = NULL;
	size_t n = 0;

	if (ckpt_tcp_unread(own, &data, &n, err) < 0)
		return -1;
	if (n < t->n_unread || (t->n_unread && memcmp(data, t->unread, t->n_unread)))
		return NOT_AS_CAPTURED("a TCP connection has not got the bytes of the checkpoint");
	return 0;
}

int ckpt_verify_tcp(const struct ckpt_restore *r, const struct ckpt_socket *s, int own,
		    struct ckpt_err *err)
{
	const struct ckpt_tcp *t = &r->image->tcps[s->part];
	struct tcp_info i;

	if (t->state == CKPT_TCP_CONNECTING)
		return 0;
	if (verify_local(t, own, err) || ckpt_tcp_info(own, &i, err))
		return -1;
	if (!right_state(t, ckpt_outside_goes_on(r, s->part), &i))
		return NOT_AS_CAPTURED("a TCP socket is in state %u, not in that of the checkpoint",
				       i.tcpi_state);
	return t->state <= CKPT_TCP_LISTENS ? 0 : verify_unread(t, own, err);
}
