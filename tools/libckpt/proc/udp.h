/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * UDP: sockets that are free, bound or connected, the groups they have joined, what waits in them
 *
 * A datagram that was not read comes back with the address of its sender, whoever that was: a
 * restore hands it to the kernel as a packet of that sender.
 */
#ifndef CKPT_PROC_UDP_H
#define CKPT_PROC_UDP_H

#include <netinet/in.h>

#include "proc/inet.h"
#include "proc/socket.h"

#ifndef IPPROTO_UDPLITE
#define IPPROTO_UDPLITE 136
#endif

#define CKPT_UDP_DATAGRAM_MAX 65488u	/* bytes, of a packet as long as lo takes in IPv6 */
#define CKPT_UDP_SOURCES_MAX 64u	/* of one group */

static inline bool ckpt_udp_socket(const struct ckpt_socket *s)
{
	return (s->family == AF_INET || s->family == AF_INET6) && s->type == SOCK_DGRAM &&
	       (s->protocol == IPPROTO_UDP || s->protocol == IPPROTO_UDPLITE);
}

/* udp-read.c: a descriptor @own of socket @s, which is file @f */
int ckpt_read_udp(struct ckpt_reader *r, const struct ckpt_file *f, struct ckpt_socket *s, int own,
		  struct ckpt_err *err);

/*
 * udp-queue.c: copy what waits in @own, which has no error to tell, and leave it there.
 * @guarded: as it was also when we are killed meanwhile.
 */
int ckpt_udp_peek(int own, bool guarded, struct ckpt_udp *ret, struct ckpt_err *err);

/* udp-group-read.c: the multicast groups that @own has joined */
int ckpt_udp_groups(int own, struct ckpt_udp *ret, struct ckpt_err *err);
/* udp-group-build.c: join them; has it joined these? */
int ckpt_udp_join(int own, const struct ckpt_udp *udp, struct ckpt_err *err);
int ckpt_udp_verify_groups(int own, const struct ckpt_udp *udp, struct ckpt_err *err);

/* udp-build.c: all of them, in init */
int ckpt_build_udps(struct ckpt_restore *r, struct ckpt_err *err);
/* What this machine would refuse, tried with @own, which has the options of @s; one compared. */
int ckpt_udp_try(const struct ckpt_image *image, const struct ckpt_socket *s, int own,
		 struct ckpt_err *err);
int ckpt_verify_udp(const struct ckpt_restore *r, const struct ckpt_socket *s, int own,
		    struct ckpt_err *err);

/*
 * udp-queue.c: an address at which @udp hears what came from IPv4, or from IPv6: of one that hears
 * at all of them that of lo; and can @d come to it by lo, as it came before?  1, 0, -1
 */
void ckpt_udp_hears_at(const struct ckpt_udp *udp, bool v4, union ckpt_inet_address *ret);
int ckpt_udp_comes_by_lo(const struct ckpt_udp *udp, const struct ckpt_datagram *d,
			 struct ckpt_err *err);

/* udp-send-build.c: let the datagrams of a socket, of protocol @protocol, come to it once more */
int ckpt_udp_send(const struct ckpt_udp *udp, uint32_t protocol, struct ckpt_err *err);

#endif
