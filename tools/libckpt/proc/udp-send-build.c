// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Datagrams that come once more: as packets of their senders, made by a raw socket
 *
 * They go to an address of this machine, and so by lo, where the kernel asks no more where a packet
 * comes from: it has the route along with it from where it was sent.
 */
#include <errno.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "proc/udp.h"

#ifndef IPV6_HDRINCL
#define IPV6_HDRINCL 36
#endif
#define TTL 64
#define VERSION6 0x60000000u

/* A datagram on its way: who sent it, and to where. */
struct packet {
	struct in6_addr from, to;	/* IPv4 ones mapped */
	uint16_t from_port, to_port;
	const struct ckpt_datagram *d;
	uint32_t protocol;
};

static bool is_v4(const struct packet *p)
{
	return IN6_IS_ADDR_V4MAPPED(&p->to);
}

static void get_address(const uint8_t *address, size_t len, struct in6_addr *ret,
			uint16_t *ret_port)
{
	union ckpt_inet_address a = { 0 };

	memcpy(&a, address, len < sizeof(a) ? len : sizeof(a));
	if (a.any.sa_family == AF_INET6) {
		*ret = a.v6.sin6_addr;
		*ret_port = a.v6.sin6_port;
		return;
	}
	*ret = (struct in6_addr){ .s6_addr = { [10] = 0xff, [11] = 0xff } };
	memcpy(&ret->s6_addr[12], &a.v4.sin_addr, sizeof(a.v4.sin_addr));
	*ret_port = a.v4.sin_port;
}

static uint32_t sum(uint32_t sum, const void *data, size_t len)
{
	const uint8_t *p = data;

	for (size_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	if (len & 1)
		sum += (uint32_t)p[len - 1] << 8;
	return sum;
}

/* Over the addresses, the protocol and the length, the header and the bytes (RFC 768, 8200). */
static uint16_t checksum(const struct packet *p, const struct udphdr *udp)
{
	size_t skip = is_v4(p) ? 12 : 0;
	uint32_t s = p->protocol + sizeof(*udp) + p->d->len;

	s = sum(s, &p->from.s6_addr[skip], 16 - skip);
	s = sum(s, &p->to.s6_addr[skip], 16 - skip);
	s = sum(s, udp, sizeof(*udp));
	s = sum(s, p->d->data, p->d->len);
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return htons(s == 0xffff ? 0xffff : ~s & 0xffff);
}

static size_t put_ip(const struct packet *p, size_t payload, uint8_t *to)
{
	struct ip6_hdr v6 = { .ip6_ctlun.ip6_un1 = {
		.ip6_un1_flow = htonl(VERSION6), .ip6_un1_plen = htons(payload),
		.ip6_un1_nxt = p->protocol, .ip6_un1_hlim = TTL,
	}, .ip6_src = p->from, .ip6_dst = p->to };
	struct iphdr v4 = { .version = 4, .ihl = sizeof(v4) / 4, .ttl = TTL,
			    .protocol = p->protocol,
			    .tot_len = htons(sizeof(v4) + payload) };

	if (!is_v4(p)) {
		memcpy(to, &v6, sizeof(v6));
		return sizeof(v6);
	}
	memcpy(&v4.saddr, &p->from.s6_addr[12], sizeof(v4.saddr));
	memcpy(&v4.daddr, &p->to.s6_addr[12], sizeof(v4.daddr));
	memcpy(to, &v4, sizeof(v4));
	return sizeof(v4);
}

static int send_packet(const struct packet *p, struct ckpt_err *err)
{
	const size_t payload = sizeof(struct udphdr) + p->d->len;
	cleanup_free uint8_t *bytes = malloc(sizeof(struct ip6_hdr) + payload);
	struct udphdr udp = { .source = p->from_port, .dest = p->to_port, .len = htons(payload) };
	int family = is_v4(p) ? AF_INET : AF_INET6, on = 1;
	cleanup_close int raw = socket(family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	union ckpt_inet_address to = { .any = { .sa_family = family } };
	size_t n;

	if (!bytes)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a datagram");
	udp.check = checksum(p, &udp);
	n = put_ip(p, payload, bytes);
	memcpy(bytes + n, &udp, sizeof(udp));
	if (p->d->len)
		memcpy(bytes + n + sizeof(udp), p->d->data, p->d->len);
	if (is_v4(p))
		memcpy(&to.v4.sin_addr, &p->to.s6_addr[12], sizeof(to.v4.sin_addr));
	else
		to.v6.sin6_addr = p->to;
	/* UDP-Lite counts the bytes that its sum covers, all of them, where UDP has the length */
	if (raw < 0 ||
	    setsockopt(raw, is_v4(p) ? IPPROTO_IP : IPPROTO_IPV6, is_v4(p) ? IP_HDRINCL :
		       IPV6_HDRINCL, &on, sizeof(on)) ||
	    sendto(raw, bytes, n + payload, 0, &to.any,
		   is_v4(p) ? sizeof(to.v4) : sizeof(to.v6)) < 0)
		return ckpt_fail(err, CKPT_REFUSED, errno,
				 "cannot bring back a datagram of %zu bytes that was not read "
				 "(CAP_NET_RAW, mtu of lo)", p->d->len);
	return 0;
}

/* To where @udp hears what comes from @p->from. */
static void address(const struct ckpt_udp *udp, struct packet *p)
{
	union ckpt_inet_address to;

	get_address(p->d->from, p->d->from_len, &p->from, &p->from_port);
	ckpt_udp_hears_at(udp, IN6_IS_ADDR_V4MAPPED(&p->from), &to);
	get_address((const uint8_t *)&to, sizeof(to), &p->to, &p->to_port);
}

int ckpt_udp_send(const struct ckpt_udp *udp, uint32_t protocol, struct ckpt_err *err)
{
	for (size_t i = 0; i < udp->n_datagrams; i++) {
		struct packet p = { .d = &udp->datagrams[i], .protocol = protocol };

		address(udp, &p);
		if (send_packet(&p, err))
			return -1;
	}
	return 0;
}
