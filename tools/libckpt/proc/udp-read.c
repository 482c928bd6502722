// SPDX-License-Identifier: GPL-2.0-or-later
/* UDP sockets: addresses, options of their own, and what stands in the way. */
#include <errno.h>
#include <linux/sockios.h>
#include <linux/udp.h>
#include <poll.h>
#include <sys/ioctl.h>

#include "proc/glance.h"
#include "proc/procfs.h"
#include "proc/udp.h"

#ifndef IP_LOCAL_PORT_RANGE
#define IP_LOCAL_PORT_RANGE 51
#endif
#ifndef IP_RECVERR_RFC4884
#define IP_RECVERR_RFC4884 26
#endif
#ifndef IPV6_FREEBIND
#define IPV6_FREEBIND 78
#endif
#ifndef IPV6_FLOWINFO_SEND
#define IPV6_FLOWINFO_SEND 33
#endif
#ifndef IPV6_MULTICAST_ALL
#define IPV6_MULTICAST_ALL 29
#endif
#ifndef IPV6_RECVERR_RFC4884
#define IPV6_RECVERR_RFC4884 31
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif
#ifndef SO_RCVPRIORITY
#define SO_RCVPRIORITY 82
#endif
#ifndef IPV6_FLOWINFO
#define IPV6_FLOWINFO 11
#endif
#define UDPLITE_SEND_CSCOV 10
#define UDPLITE_RECV_CSCOV 11
#define NAME_LEN 16	/* of an interface */

#define UDP(name) { IPPROTO_UDP, name, sizeof(int), true }
#define IP(name) { IPPROTO_IP, name, sizeof(int), false }
#define IP6(name) { IPPROTO_IPV6, name, sizeof(int), false }

/* Those of another family than the socket's are left out by themselves. */
static const struct ckpt_socket_option_name own_options[] = {
	IP6(IPV6_V6ONLY),
	{ SOL_SOCKET, SO_BINDTODEVICE, NAME_LEN, true },
	{ IPPROTO_UDPLITE, UDPLITE_SEND_CSCOV, sizeof(int), true },
	{ IPPROTO_UDPLITE, UDPLITE_RECV_CSCOV, sizeof(int), true },
	{ SOL_SOCKET, SO_TXTIME, 8, true }, { SOL_SOCKET, SO_RCVPRIORITY, sizeof(int), true },
	{ IPPROTO_IPV6, IPV6_FLOWINFO, sizeof(int), true },
	UDP(UDP_CORK), UDP(UDP_NO_CHECK6_TX), UDP(UDP_NO_CHECK6_RX), UDP(UDP_SEGMENT),
	UDP(UDP_GRO),
	IP(IP_TOS), IP(IP_TTL), IP(IP_MTU_DISCOVER), IP(IP_RECVERR), IP(IP_RECVERR_RFC4884),
	IP(IP_FREEBIND), IP(IP_TRANSPARENT), IP(IP_MINTTL), IP(IP_BIND_ADDRESS_NO_PORT),
	IP(IP_LOCAL_PORT_RANGE), IP(IP_PKTINFO), IP(IP_RECVTTL), IP(IP_RECVOPTS), IP(IP_RETOPTS),
	IP(IP_RECVTOS), IP(IP_PASSSEC), IP(IP_RECVORIGDSTADDR), IP(IP_CHECKSUM),
	IP(IP_RECVFRAGSIZE), IP(IP_MULTICAST_TTL), IP(IP_MULTICAST_LOOP), IP(IP_MULTICAST_ALL),
	{ IPPROTO_IP, IP_MULTICAST_IF, sizeof(struct in_addr), true }, IP(IP_UNICAST_IF),
	IP6(IPV6_UNICAST_HOPS), IP6(IPV6_TCLASS), IP6(IPV6_MTU_DISCOVER), IP6(IPV6_RECVERR),
	IP6(IPV6_RECVERR_RFC4884), IP6(IPV6_FREEBIND), IP6(IPV6_TRANSPARENT),
	IP6(IPV6_MINHOPCOUNT), IP6(IPV6_RECVPKTINFO), IP6(IPV6_RECVHOPLIMIT),
	IP6(IPV6_RECVRTHDR), IP6(IPV6_RECVHOPOPTS), IP6(IPV6_RECVDSTOPTS), IP6(IPV6_RECVTCLASS),
	IP6(IPV6_RECVPATHMTU), IP6(IPV6_RECVORIGDSTADDR), IP6(IPV6_RECVFRAGSIZE),
	IP6(IPV6_2292PKTINFO), IP6(IPV6_2292HOPLIMIT), IP6(IPV6_2292RTHDR),
	IP6(IPV6_2292HOPOPTS), IP6(IPV6_2292DSTOPTS), IP6(IPV6_FLOWINFO_SEND), IP6(IPV6_DONTFRAG),
	IP6(IPV6_AUTOFLOWLABEL), IP6(IPV6_ADDR_PREFERENCES), IP6(IPV6_MULTICAST_HOPS),
	IP6(IPV6_MULTICAST_LOOP), IP6(IPV6_MULTICAST_ALL), IP6(IPV6_MULTICAST_IF),
	IP6(IPV6_UNICAST_IF),
};

static int refuse(const struct ckpt_reader *r, const struct ckpt_file *f, const char *what,
		  struct ckpt_err *err)
{
	const struct ckpt_held_proc *p = ckpt_tree_find(r->hold, f->capture_pid);

	ckpt_fail(err, CKPT_REFUSED, 0,
		"pid %d (%s) holds UDP socket %d %s, which this version cannot restore",
		f->capture_pid, p ? p->comm : "?", f->capture_fd, what);
	return ckpt_fail_passing(err);
}

/* What shows in no option that can be set. */
static const char *strange(int own, int events)
{
	static const int sticky[] = { IPV6_RTHDR, IPV6_RTHDRDSTOPTS, IPV6_HOPOPTS, IPV6_DSTOPTS };
	char text[16];
	socklen_t len = sizeof(text);
	int waiting = 0;

	if (ckpt_inet_option(own, IPPROTO_UDP, UDP_ENCAP, 0))
		return "that carries packets for the kernel (UDP_ENCAP)";
	if (!getsockopt(own, IPPROTO_IP, IP_OPTIONS, text, &len) && len)
		return "with IP options";
	for (size_t i = 0; i < sizeof(sticky) / sizeof(sticky[0]); i++) {
		len = sizeof(text);
		if (!getsockopt(own, IPPROTO_IPV6, sticky[i], text, &len) && len)
			return "with IP options";
	}
	/* to look would take it */
	if (events & POLLERR)
		return "with an error that is not read";
	if (ioctl(own, SIOCOUTQ, &waiting) || waiting)
		return "with a datagram that is being made (UDP_CORK, MSG_MORE)";
	return NULL;
}

/* What comes with each datagram beside its bytes and its sender. */
static bool tells_more(int own)
{
	static const struct { int level, name; } names[] = {
		{ SOL_SOCKET, SO_TIMESTAMP_OLD }, { SOL_SOCKET, SO_TIMESTAMPNS_OLD },
		{ SOL_SOCKET, SO_TIMESTAMP_NEW }, { SOL_SOCKET, SO_TIMESTAMPNS_NEW },
		{ SOL_SOCKET, SO_TIMESTAMPING_OLD }, { SOL_SOCKET, SO_TIMESTAMPING_NEW },
		{ IPPROTO_IP, IP_PKTINFO }, { IPPROTO_IP, IP_RECVTTL }, { IPPROTO_IP, IP_RECVTOS },
		{ IPPROTO_IP, IP_RECVOPTS }, { IPPROTO_IP, IP_RETOPTS },
		{ IPPROTO_IP, IP_RECVORIGDSTADDR }, { IPPROTO_IPV6, IPV6_RECVPKTINFO },
		{ IPPROTO_IPV6, IPV6_RECVHOPLIMIT }, { IPPROTO_IPV6, IPV6_RECVTCLASS },
		{ IPPROTO_IPV6, IPV6_RECVORIGDSTADDR }, { IPPROTO_UDP, UDP_GRO },
		{ SOL_SOCKET, SO_RCVMARK }, { SOL_SOCKET, SO_RXQ_OVFL },
		{ SOL_SOCKET, SO_RCVPRIORITY }, { IPPROTO_IP, IP_CHECKSUM },
		{ IPPROTO_IP, IP_RECVFRAGSIZE }, { IPPROTO_IPV6, IPV6_RECVFRAGSIZE },
		{ IPPROTO_IPV6, IPV6_2292PKTINFO }, { IPPROTO_IPV6, IPV6_2292HOPLIMIT },
		{ IPPROTO_IPV6, IPV6_FLOWINFO }, { IPPROTO_IPV6, IPV6_RECVRTHDR },
		{ IPPROTO_IPV6, IPV6_RECVHOPOPTS }, { IPPROTO_IPV6, IPV6_RECVDSTOPTS },
		{ IPPROTO_IPV6, IPV6_2292RTHDR }, { IPPROTO_IPV6, IPV6_2292HOPOPTS },
		{ IPPROTO_IPV6, IPV6_2292DSTOPTS },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (ckpt_inet_option(own, names[i].level, names[i].name, 0))
			return true;
	}
	return false;
}

/* 1, 0, -1 */
static int all_come_by_lo(const struct ckpt_udp *u, struct ckpt_err *err)
{
	int come = 1;

	for (size_t i = 0; i < u->n_datagrams && come > 0; i++)
		come = u->datagrams[i].len > CKPT_UDP_DATAGRAM_MAX ? 0 :
		       ckpt_udp_comes_by_lo(u, &u->datagrams[i], err);
	return come;
}

/* Why what waits cannot come back as it came, or NULL. */
static const char *not_again(int own)
{
	char device[NAME_LEN];
	socklen_t len = sizeof(device);

	if ((int)ckpt_inet_option(own, SOL_SOCKET, SO_PEEK_OFF, -1) >= 0)
		return "with unread data and SO_PEEK_OFF";
	if (tells_more(own))
		return "with unread datagrams that are told with more than their sender "
		       "(IP_PKTINFO, SO_TIMESTAMP)";
	/* which of those at one port hears what the kernel decides anew */
	if (ckpt_inet_option(own, SOL_SOCKET, SO_REUSEADDR, 0) ||
	    ckpt_inet_option(own, SOL_SOCKET, SO_REUSEPORT, 0))
		return "with unread datagrams at a port that others may share (SO_REUSEADDR, "
		       "SO_REUSEPORT)";
	if (!getsockopt(own, SOL_SOCKET, SO_BINDTODEVICE, device, &len) && len)
		return "with unread datagrams of an interface (SO_BINDTODEVICE)";
	return NULL;
}

static int read_queue(struct ckpt_reader *r, const struct ckpt_file *f, struct ckpt_udp *u,
		      int own, struct ckpt_err *err)
{
	const char *what;
	int come;

	/* a look would move it */
	if ((int)ckpt_inet_option(own, SOL_SOCKET, SO_PEEK_OFF, -1) < 0 &&
	    ckpt_udp_peek(own, true, u, err))
		return -1;
	what = u->n_datagrams || !u->shutdown ? not_again(own) : NULL;
	if (what)
		return refuse(r, f, what, err);
	come = all_come_by_lo(u, err);
	if (come < 0)
		return -1;
	if (come)
		return 0;
	return refuse(r, f, "with unread datagrams that cannot come by lo (of a link, of 0.0.0.0, "
		      "to a group or broadcast address, longer than 65488 bytes)", err);
}

int ckpt_read_udp(struct ckpt_reader *r, const struct ckpt_file *f, struct ckpt_socket *s, int own,
		  struct ckpt_err *err)
{
	struct ckpt_image *image = r->image;
	struct ckpt_udp *u = ckpt_grow(image->udps, &image->n_udps, sizeof(*u));
	int events = ckpt_socket_events(own, POLLIN | POLLRDHUP);
	const char *what;

	if (!u)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of UDP sockets");
	image->udps = u;
	s->part = image->n_udps - 1;
	u += s->part;
	if (events < 0)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot poll a UDP socket");
	if (ckpt_inet_address(own, false, &u->local, &u->local_len, err) ||
	    ckpt_inet_address(own, true, &u->remote, &u->remote_len, err))
		return -1;
	ckpt_inet_forget_none(&u->local, &u->local_len);
	what = strange(own, events);
	if (what)
		return refuse(r, f, what, err);
	/* shut for both, it says so; for writing alone nobody can see it */
	if (events & POLLRDHUP)
		u->shutdown = events & POLLHUP ? 3 : 1;
	/* a socket that is shut for reading is readable, with nothing */
	if (events & POLLIN && read_queue(r, f, u, own, err))
		return -1;
	return ckpt_udp_groups(own, u, err) ||
	       ckpt_read_socket_options(s, own, own_options,
					sizeof(own_options) / sizeof(own_options[0]), err) ? -1 : 0;
}
