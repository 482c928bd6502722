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
