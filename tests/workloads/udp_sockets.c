// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A program with UDP sockets: free, bound, connected, in groups, with unread datagrams, shut
 *
 * Prints "ready" once all is set up, waits until there is a file "go" in its directory, checks
 * that everything is as it was, and prints what is wrong, or "all well".
 */
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/udp.h>
#include <poll.h>
#include <unistd.h>

#include "tcp_ends.h"

#ifndef IPPROTO_UDPLITE
#define IPPROTO_UDPLITE 136
#endif
#define LONG_LEN 60000

struct end {
	int fd;
	union address local, remote;
};

static socklen_t len_of(const union address *a)
{
	return a->any.sa_family == AF_INET6 ? sizeof(a->v6) : sizeof(a->v4);
}

static struct end bound(int family, int protocol)
{
	union address a;
	socklen_t len = address(family, &a);
	struct end e = { .fd = MUST(socket(family, SOCK_DGRAM | SOCK_CLOEXEC, protocol)) };

	MUST(bind(e.fd, &a.any, len));
	e.local = local(e.fd);
	return e;
}

static struct end connected(int family, const struct end *to)
{
	struct end e = { .fd = MUST(socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0)) };

	MUST(connect(e.fd, &to->local.any, len_of(&to->local)));
	e.local = local(e.fd);
	e.remote = remote(e.fd);
	return e;
}

static bool as_it_was(const struct end *e)
{
	return same(local(e->fd), e->local) && same(remote(e->fd), e->remote);
}

static void say_to(int fd, const char *text, const struct end *to)
{
	MUST(sendto(fd, text, strlen(text), 0, &to->local.any, len_of(&to->local)));
}

/* The next datagram is this one, of that sender. */
static bool hears_of(int fd, const char *text, const union address *from)
{
	char buf[256];
	union address a;
	socklen_t len = sizeof(a);
	ssize_t n = recvfrom(fd, buf, sizeof(buf), MSG_DONTWAIT, &a.any, &len);

	return n == (ssize_t)strlen(text) && !memcmp(buf, text, n) && same(a, *from);
}

/* --- without datagrams --- */

static struct end nothing, quiet, talker, lite, lite_sender, first, v6;
static int any;

static void make_quiet(void)
{
	nothing.fd = MUST(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	quiet = bound(AF_INET, 0);
	set(quiet.fd, IPPROTO_IP, IP_TTL, 7);
	set(quiet.fd, IPPROTO_IP, IP_PKTINFO, 1);
	set(quiet.fd, SOL_SOCKET, SO_BROADCAST, 1);
	set(quiet.fd, IPPROTO_IP, IP_MULTICAST_LOOP, 0);
	set(quiet.fd, SOL_SOCKET, SO_RCVBUF, 50000);
	talker = connected(AF_INET, &quiet);
	lite = bound(AF_INET, IPPROTO_UDPLITE);
	v6 = bound(AF_INET6, 0);
	set(v6.fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
	set(v6.fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, 9);
	lite_sender = bound(AF_INET, IPPROTO_UDPLITE);
	say_to(lite_sender.fd, "light", &lite);
	first = bound(AF_INET, 0);
	any = MUST(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	/* it gets a port by that */
	say_to(any, "first", &first);
	OK(local(any).v4.sin_port);
}

static void check_quiet(void)
{
	union address none = { .v4 = { .sin_family = AF_INET } };

	OK(same(local(nothing.fd), none) && remote(nothing.fd).any.sa_family == AF_UNSPEC);
	OK(as_it_was(&quiet) && as_it_was(&talker) && as_it_was(&lite) && as_it_was(&v6));
	OK(get(quiet.fd, IPPROTO_IP, IP_TTL) == 7 && get(quiet.fd, IPPROTO_IP, IP_PKTINFO) == 1);
	OK(get(quiet.fd, SOL_SOCKET, SO_BROADCAST) == 1);
	OK(get(quiet.fd, IPPROTO_IP, IP_MULTICAST_LOOP) == 0);
	OK(get(quiet.fd, SOL_SOCKET, SO_RCVBUF) == 100000);
	OK(get(v6.fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS) == 9);
	OK(get(v6.fd, IPPROTO_IPV6, IPV6_RECVPKTINFO) == 1);
	OK(get(talker.fd, IPPROTO_IP, IP_TTL) == get(nothing.fd, IPPROTO_IP, IP_TTL));
	say(talker.fd, "talk");
	OK(hears_of(quiet.fd, "talk", &talker.local));
	say_to(quiet.fd, "back", &talker);
	OK(hears_of(talker.fd, "back", &quiet.local) && silent(talker.fd));
	/* of another one it hears nothing */
	say_to(nothing.fd, "who", &talker);
	OK(silent(talker.fd));
}

/* --- datagrams that wait --- */

static struct end abroad, abroad_peer;
static struct end full, empty, late, full6, mapped, linked, sender, closed, closed6;
static char long_one[LONG_LEN];

/* At an address of this machine that is not one of lo, if there is one. */
static struct end bound_abroad(void)
{
	struct end e = { .fd = -1 };
	struct ifaddrs *all;

	MUST(getifaddrs(&all));
	for (struct ifaddrs *i = all; i && e.fd < 0; i = i->ifa_next) {
		if (!i->ifa_addr || i->ifa_addr->sa_family != AF_INET ||
		    i->ifa_flags & IFF_LOOPBACK || !(i->ifa_flags & IFF_UP))
			continue;
		e.fd = MUST(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
		MUST(bind(e.fd, i->ifa_addr, sizeof(struct sockaddr_in)));
		e.local = local(e.fd);
	}
	freeifaddrs(all);
	return e;
}

static void make_full(void)
{
	struct end gone6 = bound(AF_INET6, 0), gone = bound(AF_INET, 0);

	full = bound(AF_INET, 0);
	full6 = bound(AF_INET6, 0);
	empty = bound(AF_INET, 0);
	sender = bound(AF_INET, 0);
	say_to(sender.fd, "one", &full);
	say_to(gone.fd, "two, of who is gone", &full);
	for (size_t i = 0; i < LONG_LEN; i++)
		long_one[i] = i * 7 + i / 256;
	MUST(sendto(sender.fd, long_one, LONG_LEN, 0, &full.local.any, sizeof(full.local.v4)));
	abroad = bound_abroad();
	abroad_peer = bound_abroad();
	if (abroad.fd >= 0)
		say_to(abroad_peer.fd, "not of lo", &abroad);
	/* what came before it was connected stays, of whomever it is */
	late = bound(AF_INET, 0);
	say_to(sender.fd, "before", &late);
	MUST(connect(late.fd, &full.local.any, sizeof(full.local.v4)));
	late.remote = remote(late.fd);
	/* the first one: of those behind others the kernel shows such a one once */
	say_to(sender.fd, "", &empty);
	say_to(sender.fd, "behind nothing", &empty);
	say_to(gone6.fd, "six", &full6);
	say_to(gone6.fd, "odd", &full6);
	closed = gone;
	closed6 = gone6;
	MUST(close(gone.fd));
	MUST(close(gone6.fd));
	/* bound to all addresses of both families, it hears of IPv4 */
	mapped.fd = MUST(socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	mapped.local = (union address){ .v6 = { .sin6_family = AF_INET6 } };
	MUST(bind(mapped.fd, &mapped.local.any, sizeof(mapped.local.v6)));
	mapped.local = local(mapped.fd);
	linked = connected(AF_INET, &sender);
	say_to(sender.fd, "to who is connected", &linked);
	MUST(sendto(sender.fd, "four", 4, 0,
		    &((union address){ .v4 = { AF_INET, mapped.local.v6.sin6_port,
					       { htonl(INADDR_LOOPBACK) }, { 0 } } }).any,
		    sizeof(struct sockaddr_in)));
}

static bool hears_long(int fd)
{
	static char buf[LONG_LEN + 1];

	return recv(fd, buf, sizeof(buf), MSG_DONTWAIT) == LONG_LEN &&
	       !memcmp(buf, long_one, LONG_LEN);
}

static void check_full(void)
{
	union address v4mapped = { .v6 = { .sin6_family = AF_INET6 } };

	OK(as_it_was(&full) && as_it_was(&full6) && as_it_was(&mapped) && as_it_was(&linked));
	OK(hears_of(full.fd, "one", &sender.local));
	OK(abroad.fd < 0 || (as_it_was(&abroad) &&
			     hears_of(abroad.fd, "not of lo", &abroad_peer.local)));
	OK(as_it_was(&late) && hears_of(late.fd, "before", &sender.local));
	OK(hears_of(empty.fd, "", &sender.local));
	OK(hears_of(empty.fd, "behind nothing", &sender.local) && silent(empty.fd));
	OK(hears_of(full.fd, "two, of who is gone", &closed.local));
	OK(hears_long(full.fd) && silent(full.fd));
	OK(hears_of(full6.fd, "six", &closed6.local) && hears_of(full6.fd, "odd", &closed6.local));
	OK(silent(full6.fd));
	OK(hears_of(linked.fd, "to who is connected", &sender.local) && silent(linked.fd));
	v4mapped.v6.sin6_port = sender.local.v4.sin_port;
	v4mapped.v6.sin6_addr = (struct in6_addr){ .s6_addr = { [10] = 0xff, [11] = 0xff,
								[12] = 127, [15] = 1 } };
	OK(hears_of(mapped.fd, "four", &v4mapped) && silent(mapped.fd));
	OK(hears_of(lite.fd, "light", &lite_sender.local) && silent(lite.fd));
	OK(hears_of(first.fd, "first", &(union address){ .v4 = {
		AF_INET, local(any).v4.sin_port, { htonl(INADDR_LOOPBACK) }, { 0 } } }));
}

/* --- groups, and shut --- */

static int member, member6, device, deaf;

static struct group_req group_on_lo(void)
{
	struct group_req req = { .gr_interface = 1 };
	struct sockaddr_in *a = (struct sockaddr_in *)&req.gr_group;

	a->sin_family = AF_INET;
	a->sin_addr.s_addr = htonl(0xe9000007);
	return req;
}

static struct group_req group6_on_lo(void)
{
	struct group_req req = { .gr_interface = 1 };
	struct sockaddr_in6 *a = (struct sockaddr_in6 *)&req.gr_group;

	a->sin6_family = AF_INET6;
	a->sin6_addr = (struct in6_addr){ .s6_addr = { 0xff, 0x12, [15] = 7 } };
	return req;
}

static void make_groups(void)
{
	struct group_req req = group_on_lo(), req6;
	struct group_source_req source = { .gsr_interface = 1, .gsr_group = req.gr_group };
	struct end d = bound(AF_INET, 0);

	member = MUST(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	MUST(setsockopt(member, IPPROTO_IP, MCAST_JOIN_GROUP, &req, sizeof(req)));
	((struct sockaddr_in *)&source.gsr_source)->sin_family = AF_INET;
	((struct sockaddr_in *)&source.gsr_source)->sin_addr.s_addr = htonl(0x7f000009);
	MUST(setsockopt(member, IPPROTO_IP, MCAST_BLOCK_SOURCE, &source, sizeof(source)));
	req6 = group6_on_lo();
	member6 = MUST(socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	MUST(setsockopt(member6, IPPROTO_IPV6, MCAST_JOIN_GROUP, &req6, sizeof(req6)));
	device = MUST(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	MUST(setsockopt(device, SOL_SOCKET, SO_BINDTODEVICE, "lo", sizeof("lo")));
	deaf = d.fd;
	MUST(shutdown(deaf, SHUT_RD) && errno != ENOTCONN ? -1 : 0);
}

static void check_groups(void)
{
	struct group_req req = group_on_lo();
	struct pollfd p = { .fd = deaf, .events = POLLIN | POLLRDHUP };
	char room[GROUP_FILTER_SIZE(4)] = { 0 };
	struct group_filter *f = (struct group_filter *)room;
	char name[16] = "";
	socklen_t len = sizeof(room);

	f->gf_interface = 1;
	f->gf_group = req.gr_group;
	f->gf_numsrc = 4;
	MUST(getsockopt(member, IPPROTO_IP, MCAST_MSFILTER, f, &len));
	OK(f->gf_fmode == MCAST_EXCLUDE && f->gf_numsrc == 1);
	OK(((struct sockaddr_in *)&f->gf_slist[0])->sin_addr.s_addr == htonl(0x7f000009));
	MUST(setsockopt(member, IPPROTO_IP, MCAST_LEAVE_GROUP, &req, sizeof(req)));
	req = group6_on_lo();
	MUST(setsockopt(member6, IPPROTO_IPV6, MCAST_LEAVE_GROUP, &req, sizeof(req)));
	len = sizeof(name);
	MUST(getsockopt(device, SOL_SOCKET, SO_BINDTODEVICE, name, &len));
	OK(!strcmp(name, "lo"));
	OK(poll(&p, 1, 0) == 1 && p.revents & POLLRDHUP);
}

int main(void)
{
	make_quiet();
	make_full();
	make_groups();
	printf("ready\n");
	fflush(stdout);
	while (access("go", F_OK))
		usleep(10000);
	check_quiet();
	check_full();
	check_groups();
	printf(wrong ? "%d wrong\n" : "all well\n", wrong);
	return !!wrong;
}
