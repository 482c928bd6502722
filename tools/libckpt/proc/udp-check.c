// SPDX-License-Identifier: GPL-2.0-or-later
/* Consistency of the UDP sockets of an image. */
#include "proc/image-check.h"
#include "proc/udp.h"

static int check_groups(const struct ckpt_udp *u, struct ckpt_err *err)
{
	for (size_t i = 0; i < u->n_groups; i++) {
		const struct ckpt_multicast *m = &u->groups[i];

		if (!m->interface || m->n_sources > CKPT_UDP_SOURCES_MAX ||
		    (!ckpt_inet_is_address(m->group, m->group_len, AF_INET) &&
		     !ckpt_inet_is_address(m->group, m->group_len, AF_INET6)))
			return BAD_IMAGE("a UDP socket is in a multicast group that is none");
	}
	return 0;
}

static int check_socket(const struct ckpt_socket *s, const struct ckpt_udp *u,
			struct ckpt_err *err)
{
	if ((u->local_len && !ckpt_inet_is_address(u->local, u->local_len, s->family)) ||
	    (u->remote_len && !ckpt_inet_is_address(u->remote, u->remote_len, s->family)))
		return BAD_IMAGE("a UDP socket has no sound address");
	if (u->shutdown > 3)
		return BAD_IMAGE("a UDP socket is shut in no known way");
	for (size_t i = 0; i < u->n_datagrams; i++) {
		const struct ckpt_datagram *d = &u->datagrams[i];

		if (!u->local_len || d->len > CKPT_UDP_DATAGRAM_MAX ||
		    !ckpt_inet_is_address(d->from, d->from_len, s->family))
			return BAD_IMAGE("a datagram cannot have come");
	}
	return check_groups(u, err);
}

static int check_part(const struct ckpt_image *image, const struct ckpt_socket *s,
		      struct ckpt_err *err)
{
	return check_socket(s, &image->udps[s->part], err);
}

int ckpt_udps_check(const struct ckpt_image *image, struct ckpt_err *err)
{
	const struct ckpt_socket_parts parts = { "UDP", image->n_udps, ckpt_udp_socket,
						 check_part };

	return ckpt_socket_parts_check(image, &parts, err);
}
