// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * UDP sockets: made in init, bound, in their groups; then filled, and connected; and compared
 *
 * Datagrams come when all are bound, so that none goes to another socket that has its address.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "proc/glance.h"
#include "proc/udp.h"

#define ROOM (1 << 28)	/* bytes */

static int bind_to(int own, const struct ckpt_udp *u, struct ckpt_err *err)
{
	char text[CKPT_INET_TEXT];

	if (!u->local_len || !bind(own, (const void *)u->local, u->local_len))
		return 0;
	return ckpt_fail(err, CKPT_REFUSED, errno,
			 "a UDP socket of the checkpoint cannot have its address %s; free that "
			 "first", ckpt_inet_text(u->local, u->local_len, text));
}

static int connect_to(int own, const struct ckpt_udp *u, struct ckpt_err *err)
{
	char text[CKPT_INET_TEXT];

	if (!u->remote_len || !connect(own, (const void *)u->remote, u->remote_len))
		return 0;
	return ckpt_fail(err, CKPT_REFUSED, errno,
			 "a UDP socket of the checkpoint cannot be connected with %s",
			 ckpt_inet_text(u->remote, u->remote_len, text));
}

static int settle(int own, const struct ckpt_udp *u, struct ckpt_err *err)
{
	return bind_to(own, u, err) || ckpt_udp_join(own, u, err) ? -1 : 0;
}

static int make(struct ckpt_restore *r, size_t index, struct ckpt_err *err)
{
	const struct ckpt_socket *s = &r->image->sockets[r->image->files[index].object];
	cleanup_close int own = ckpt_build_socket(r, index, err);

	return own < 0 ? -1 : settle(own, &r->image->udps[s->part], err);
}

/* Nothing that was not read leaves this machine, whatever an image says. */
static int check_queue(const struct ckpt_udp *u, struct ckpt_err *err)
{
	for (size_t i = 0; i < u->n_datagrams; i++) {
		int here = ckpt_udp_comes_by_lo(u, &u->datagrams[i], err);

		if (here < 0)
			return -1;
		if (!here)
			return ckpt_fail(err, CKPT_REFUSED, 0,
				"a UDP socket of the checkpoint has an unread datagram that cannot "
				"come to it on this machine");
	}
	return 0;
}

/*
 * With room for all that waited, which the kernel may count for more than before; its own size
 * comes back with the other options.  Connected it hears its peer alone: what came before it was
 * connected may be of others.
 */
static int fill(struct ckpt_restore *r, size_t index, const struct ckpt_udp *u, uint32_t protocol,
		struct ckpt_err *err)
{
	cleanup_close int own = ckpt_build_borrow(r, r->fd_base + index, err);
	const int room = ROOM;

	if (own < 0)
		return -1;
	if (u->n_datagrams && setsockopt(own, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)))
		return ckpt_fail(err, CKPT_REFUSED, errno,
				 "cannot make room in a UDP socket (CAP_NET_ADMIN)");
	if (check_queue(u, err) || ckpt_udp_send(u, protocol, err) || connect_to(own, u, err))
		return -1;
	/* one that is not connected is shut as well, although it says that it is not */
	if (u->shutdown && shutdown(own, u->shutdown - 1) && errno != ENOTCONN)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot shut a UDP socket");
	return 0;
}

int ckpt_build_udps(struct ckpt_restore *r, struct ckpt_err *err)
{
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < r->image->n_files; i++) {
			const struct ckpt_file *f = &r->image->files[i];
			const struct ckpt_socket *s;

			if (f->kind != CKPT_FILE_SOCKET ||
			    !ckpt_udp_socket(&r->image->sockets[f->object]))
				continue;
			s = &r->image->sockets[f->object];
			if (pass ? fill(r, i, &r->image->udps[s->part], s->protocol, err) :
				   make(r, i, err))
				return -1;
		}
	}
	return 0;
}

int ckpt_udp_try(const struct ckpt_image *image, const struct ckpt_socket *s, int own,
		 struct ckpt_err *err)
{
	const struct ckpt_udp *u = &image->udps[s->part];

	return settle(own, u, err) || check_queue(u, err) || connect_to(own, u, err) ? -1 : 0;
}

static int verify_address(int own, bool remote, const uint8_t *address, size_t len,
			  struct ckpt_err *err)
{
	cleanup_free uint8_t *is = NULL;
	size_t is_len = 0;

	if (ckpt_inet_address(own, remote, &is, &is_len, err))
		return -1;
	if (!remote)
		ckpt_inet_forget_none(&is, &is_len);
	if (is_len != len || (len && memcmp(is, address, len)))
		return NOT_AS_CAPTURED("a UDP socket has not got its addresses");
	return 0;
}

static bool same(const struct ckpt_datagram *a, const struct ckpt_datagram *b)
{
	return a->len == b->len && a->from_len == b->from_len &&
	       (!a->len || !memcmp(a->data, b->data, a->len)) &&
	       !memcmp(a->from, b->from, a->from_len);
}

/* More may have come from somebody by now, before and between them. */
static int verify_queue(int own, const struct ckpt_udp *u, struct ckpt_err *err)
{
	struct ckpt_udp is = { 0 };
	size_t found = 0;
	int failed = u->n_datagrams ? ckpt_udp_peek(own, false, &is, err) : 0;

	for (size_t i = 0; i < is.n_datagrams; i++) {
		if (found < u->n_datagrams && same(&is.datagrams[i], &u->datagrams[found]))
			found++;
		free(is.datagrams[i].data);
		free(is.datagrams[i].from);
	}
	free(is.datagrams);
	if (failed)
		return -1;
	return found == u->n_datagrams ? 0 :
	       NOT_AS_CAPTURED("a UDP socket has %zu of its %zu unread datagrams", found,
			       u->n_datagrams);
}

int ckpt_verify_udp(const struct ckpt_restore *r, const struct ckpt_socket *s, int own,
		    struct ckpt_err *err)
{
	const struct ckpt_udp *u = &r->image->udps[s->part];
	int events = ckpt_socket_events(own, POLLRDHUP);

	if (events < 0 || !!(events & POLLRDHUP) != !!u->shutdown)
		return NOT_AS_CAPTURED("a UDP socket is not shut as it was");
	return verify_address(own, false, u->local, u->local_len, err) ||
	       verify_address(own, true, u->remote, u->remote_len, err) ||
	       ckpt_udp_verify_groups(own, u, err) || verify_queue(own, u, err) ? -1 : 0;
}
