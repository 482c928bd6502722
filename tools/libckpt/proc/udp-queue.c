// SPDX-License-Identifier: GPL-2.0-or-later
/* What waits in a UDP socket, looked at and left there. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "proc/glance.h"
#include "proc/procfs.h"
#include "proc/udp.h"

#define LONGEST 65536	/* bytes */

/* Return: 1 with the datagram, 0 when there is none, -1. */
static int look(int own, uint8_t *room, struct ckpt_udp *u, size_t *ret_len, struct ckpt_err *err)
{
	union ckpt_inet_address from;
	socklen_t from_len = sizeof(from);
	struct ckpt_datagram *list;
	ssize_t n = recvfrom(own, room, LONGEST, MSG_PEEK | MSG_DONTWAIT, &from.any,
			     &from_len);

	/* the end of one that is shut comes from nobody */
	if (!n && !from_len)
		return 0;
	if (n < 0 && errno != EAGAIN) {
		/* one that has come since it was asked for; nothing puts it back */
		ckpt_fail(err, CKPT_FAILED, errno, "cannot look into a UDP socket");
		return ckpt_fail_passing(err);
	}
	if (n < 0)
		return 0;
	list = ckpt_grow(u->datagrams, &u->n_datagrams, sizeof(*list));
	if (!list)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a datagram");
	u->datagrams = list;
	list += u->n_datagrams - 1;
	list->data = malloc(n + 1);
	list->from = malloc(from_len);
	if (!list->data || !list->from)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a datagram");
	memcpy(list->data, room, n);
	memcpy(list->from, &from, from_len);
	list->len = *ret_len = n;
	list->from_len = from_len;
	return 1;
}

static union ckpt_inet_address address_of(const uint8_t *address, size_t len)
{
	union ckpt_inet_address a = { 0 };

	memcpy(&a, address, len < sizeof(a) ? len : sizeof(a));
	return a;
}

static bool is_v4(const union ckpt_inet_address *a)
{
	return a->any.sa_family == AF_INET ||
	       (a->any.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&a->v6.sin6_addr));
}

/* Nobody's address; an IPv4 one is mapped where the socket is of IPv6. */
static bool is_any(const union ckpt_inet_address *a)
{
	if (a->any.sa_family == AF_INET)
		return !a->v4.sin_addr.s_addr;
	return IN6_IS_ADDR_UNSPECIFIED(&a->v6.sin6_addr) ||
	       (is_v4(a) && !a->v6.sin6_addr.s6_addr32[3]);
}

void ckpt_udp_hears_at(const struct ckpt_udp *udp, bool v4, union ckpt_inet_address *ret)
{
	*ret = address_of(udp->local, udp->local_len);
	if (!is_any(ret))
		return;
	if (v4)
		ret->v4 = (struct sockaddr_in){
			.sin_family = AF_INET, .sin_port = ret->v4.sin_port,
			.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		};
	else
		ret->v6.sin6_addr = in6addr_loopback;
}

int ckpt_udp_comes_by_lo(const struct ckpt_udp *udp, const struct ckpt_datagram *d,
			 struct ckpt_err *err)
{
	union ckpt_inet_address from = address_of(d->from, d->from_len), to;

	/* of one link alone, or of nobody, whom a packet cannot name */
	if (is_any(&from) || (from.any.sa_family == AF_INET6 && from.v6.sin6_scope_id))
		return 0;
	ckpt_udp_hears_at(udp, is_v4(&from), &to);
	return ckpt_inet_is_local((const uint8_t *)&to, to.any.sa_family == AF_INET6 ?
				  sizeof(to.v6) : sizeof(to.v4), err);
}

int ckpt_udp_peek(int own, bool guarded, struct ckpt_udp *ret, struct ckpt_err *err)
{
	cleanup_free uint8_t *room = malloc(LONGEST);
	struct ckpt_glance glance = { .own = own, .guarded = guarded };
	size_t offset = 0, len;
	int got;

	if (!room)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a datagram");
	/* the first one is shown each time, also if it has no bytes */
	got = look(own, room, ret, &len, err);
	while (got > 0) {
		offset += len;
		got = ckpt_glance_at(&glance, offset, err) ? -1 : look(own, room, ret, &len, err);
		ckpt_fault("keeper.peeked");
	}
	ckpt_glance_done(&glance);
	return got;
}
