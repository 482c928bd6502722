// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A program with TCP sockets in every state: free, listening, connected, half closed, reset
 *
 * Prints "ready" once all is set up, waits until there is a file "go" in its directory, checks
 * that everything is as it was, and prints what is wrong, or "all well".  With two ports as
 * arguments it is connected with who listens at the first one, outside of its tree, and expects to
 * be reset; the second one is of somebody who does not answer yet (tcp_outside).
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ok.h"
#include "tcp_ends.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

struct pair {
	int a, b;
	union address a_local, b_local, a_remote, b_remote;
};

static struct pair connected(int to)
{
	union address a = local(to);
	struct pair p = { .a = MUST(socket(a.any.sa_family, SOCK_STREAM, 0)) };

	MUST(connect(p.a, &a.any, a.any.sa_family == AF_INET6 ? sizeof(a.v6) : sizeof(a.v4)));
	p.b = MUST(accept(to, NULL, NULL));
	p.a_local = local(p.a);
	p.b_local = local(p.b);
	p.a_remote = remote(p.a);
	p.b_remote = remote(p.b);
	return p;
}

static bool as_it_was(const struct pair *p)
{
	return same(local(p->a), p->a_local) && same(local(p->b), p->b_local) &&
	       same(remote(p->a), p->a_remote) && same(remote(p->b), p->b_remote);
}

static bool still_talk(int a, int b)
{
	say(a, "there");
	if (!hears(b, "there"))
		return false;
	say(b, "and back");
	return hears(a, "and back") && silent(a) && silent(b);
}

/* --- free and listening --- */

static int fresh, fresh6, bound, only6, listening, listening6, both, multi;
static union address bound_at, only6_at, listening_at, both_at;

static void make_free(void)
{
	union address a;
	socklen_t len = address(AF_INET, &a);

	fresh = MUST(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
	set(fresh, IPPROTO_TCP, TCP_NODELAY, 1);
	set(fresh, SOL_SOCKET, SO_SNDBUF, 50000);
	fresh6 = MUST(socket(AF_INET6, SOCK_STREAM, 0));
	bound = MUST(socket(AF_INET, SOCK_STREAM, 0));
	MUST(bind(bound, &a.any, len));
	bound_at = local(bound);
	len = address(AF_INET6, &a);
	only6 = MUST(socket(AF_INET6, SOCK_STREAM, 0));
	set(only6, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	MUST(bind(only6, &a.any, len));
	only6_at = local(only6);
	listening = listener(AF_INET, 7);
	listening_at = local(listening);
	listening6 = listener(AF_INET6, 128);
	both = MUST(socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0));
	a.v6.sin6_addr = in6addr_any;
	MUST(bind(both, &a.any, sizeof(a.v6)));
	MUST(listen(both, 5));
	both_at = local(both);
	/* as Go makes it; -1 on a kernel that has none */
	multi = socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP);
	if (multi >= 0) {
		len = address(AF_INET, &a);
		MUST(bind(multi, &a.any, len));
		MUST(listen(multi, 9));
	}
}

static int backlog_of(int fd)
{
	struct tcp_info i;
	socklen_t len = sizeof(i);

	MUST(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &i, &len));
	return i.tcpi_state == TCP_LISTEN ? (int)i.tcpi_sacked : -1;
}

static void check_free(void)
{
	struct pair p;

	OK(fcntl(fresh, F_GETFL) & O_NONBLOCK);
	OK(get(fresh, IPPROTO_TCP, TCP_NODELAY) == 1);
	OK(get(fresh, SOL_SOCKET, SO_SNDBUF) == 100000);
	OK(get(fresh6, SOL_SOCKET, SO_DOMAIN) == AF_INET6);
	OK(same(local(bound), bound_at) && same(local(only6), only6_at));
	OK(get(only6, IPPROTO_IPV6, IPV6_V6ONLY) == 1);
	OK(same(local(listening), listening_at) && same(local(both), both_at));
	OK(backlog_of(listening) == 7 && backlog_of(listening6) == 128 && backlog_of(both) == 5);
	OK(get(listening, SOL_SOCKET, SO_REUSEADDR) == 1);
	OK(fcntl(listening, F_GETFD) == FD_CLOEXEC);
	OK(accept(both, NULL, NULL) < 0 && errno == EAGAIN);
	p = connected(listening);
	OK(still_talk(p.a, p.b));
	p = connected(listening6);
	OK(still_talk(p.b, p.a));
	if (multi >= 0) {
		OK(get(multi, SOL_SOCKET, SO_PROTOCOL) == IPPROTO_MPTCP && backlog_of(multi) == 9);
		p = connected(multi);
		OK(still_talk(p.a, p.b));
	}
	MUST(connect(fresh, &listening_at.any, sizeof(listening_at.v4)) && errno != EINPROGRESS ?
	     -1 : 0);
	OK(accept(listening, NULL, NULL) >= 0);
	MUST(listen(bound, 1));
	MUST(connect(MUST(socket(AF_INET, SOCK_STREAM, 0)), &bound_at.any, sizeof(bound_at.v4)));
}

/* --- connected --- */

static struct pair quiet, unread, v6, mixed, waiting, deaf;

static void set_options(int fd)
{
	const struct linger linger = { 1, 7 };
	const struct timeval patience = { 3, 500000 };

	set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set(fd, IPPROTO_TCP, TCP_KEEPIDLE, 77);
	set(fd, IPPROTO_TCP, TCP_KEEPINTVL, 11);
	set(fd, IPPROTO_TCP, TCP_KEEPCNT, 5);
	set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 123456);
	set(fd, SOL_SOCKET, SO_RCVBUF, 30000);
	set(fd, SOL_SOCKET, SO_SNDBUF, 40000);
	set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	set(fd, SOL_SOCKET, SO_RCVLOWAT, 2);
	set(fd, IPPROTO_IP, IP_TOS, 0x10);
	MUST(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	MUST(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)));
}

static void check_options(int fd)
{
	struct linger linger = { 0 };
	struct timeval patience = { 0 };
	socklen_t len = sizeof(linger);

	OK(get(fd, IPPROTO_TCP, TCP_NODELAY) == 1 && get(fd, SOL_SOCKET, SO_KEEPALIVE) == 1);
	OK(get(fd, IPPROTO_TCP, TCP_KEEPIDLE) == 77 && get(fd, IPPROTO_TCP, TCP_KEEPINTVL) == 11);
	OK(get(fd, IPPROTO_TCP, TCP_KEEPCNT) == 5);
	OK(get(fd, IPPROTO_TCP, TCP_USER_TIMEOUT) == 123456);
	OK(get(fd, SOL_SOCKET, SO_RCVBUF) == 60000 && get(fd, SOL_SOCKET, SO_SNDBUF) == 80000);
	OK(get(fd, SOL_SOCKET, SO_REUSEADDR) == 1 && get(fd, SOL_SOCKET, SO_RCVLOWAT) == 2);
	OK(get(fd, IPPROTO_IP, IP_TOS) == 0x10);
	MUST(getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &len));
	OK(linger.l_onoff == 1 && linger.l_linger == 7);
	len = sizeof(patience);
	MUST(getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, &len));
	OK(patience.tv_sec == 3 && patience.tv_usec == 500000);
}

static void make_connected(void)
{
	union address a = local(both);

	quiet = connected(listening);
	set_options(quiet.a);
	unread = connected(listening);
	set(unread.a, SOL_SOCKET, SO_REUSEADDR, 0);
	set(unread.b, SOL_SOCKET, SO_REUSEADDR, 1);
	say(unread.a, "asked and not heard");
	say(unread.b, "answered ");
	say(unread.b, "and not heard either");
	v6 = connected(listening6);
	say(v6.a, "six");
	/* an IPv4 client of a server that is IPv6 */
	mixed.a = MUST(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
	address(AF_INET, &mixed.a_local);
	mixed.a_local.v4.sin_port = a.v6.sin6_port;
	MUST(fcntl(mixed.a, F_SETFL, 0));
	MUST(connect(mixed.a, &mixed.a_local.any, sizeof(mixed.a_local.v4)));
	mixed.b = MUST(accept(both, NULL, NULL));
	mixed.a_local = local(mixed.a);
	mixed.b_local = local(mixed.b);
	mixed.a_remote = remote(mixed.a);
	mixed.b_remote = remote(mixed.b);
	MUST(fcntl(mixed.a, F_SETFL, O_NONBLOCK));
	say(mixed.b, "mixed");
	waiting = connected(listening);
	deaf = connected(listening);
	MUST(shutdown(deaf.a, SHUT_RD));
}

static void check_connected(void)
{
	int n = 0;
	char c;

	OK(as_it_was(&quiet) && as_it_was(&unread) && as_it_was(&v6) && as_it_was(&mixed));
	check_options(quiet.a);
	OK(get(unread.a, SOL_SOCKET, SO_REUSEADDR) == 0);
	OK(get(unread.b, SOL_SOCKET, SO_REUSEADDR) == 1);
	OK(silent(quiet.a) && silent(quiet.b) && still_talk(quiet.a, quiet.b));
	MUST(ioctl(unread.a, FIONREAD, &n));
	OK(n == (int)strlen("answered and not heard either"));
	OK(hears(unread.a, "answered and not heard either"));
	OK(hears(unread.b, "asked and not heard") && still_talk(unread.b, unread.a));
	OK(hears(v6.b, "six") && still_talk(v6.a, v6.b));
	OK(fcntl(mixed.a, F_GETFL) & O_NONBLOCK && !(fcntl(mixed.b, F_GETFL) & O_NONBLOCK));
	OK(hears(mixed.a, "mixed"));
	MUST(fcntl(mixed.a, F_SETFL, 0));
	OK(still_talk(mixed.a, mixed.b));
	OK(recv(deaf.a, &c, 1, MSG_DONTWAIT) == 0);
	say(deaf.a, "deaf, not dumb");
	OK(hears(deaf.b, "deaf, not dumb"));
}

/* --- half closed, and over --- */

static struct pair half, gone, over;
static int over_a, orphan;

static void make_closed(void)
{
	half = connected(listening);
	say(half.a, "last words");
	MUST(shutdown(half.a, SHUT_WR));
	say(half.b, "heard so far");
	gone = connected(listening);
	say(gone.a, "I go");
	MUST(close(gone.a));
	orphan = gone.b;
	over = connected(listening);
	say(over.a, "one");
	say(over.b, "other");
	MUST(shutdown(over.a, SHUT_WR));
	MUST(shutdown(over.b, SHUT_WR));
	over_a = over.a;
}

static void check_closed(void)
{
	OK(as_it_was(&half));
	OK(hears(half.a, "heard so far"));
	say(half.b, " and more");
	OK(hears(half.a, " and more") && silent(half.a));
	OK(send(half.a, "x", 1, MSG_NOSIGNAL) < 0 && errno == EPIPE);
	OK(hears(half.b, "last words") && at_end(half.b));
	MUST(shutdown(half.b, SHUT_WR));
	OK(at_end(half.a));
	OK(hears(orphan, "I go") && at_end(orphan));
	OK(send(orphan, "x", 1, MSG_NOSIGNAL) == 1);
	usleep(50000);
	OK(send(orphan, "x", 1, MSG_NOSIGNAL) < 0 && errno == EPIPE);
	OK(hears(over_a, "other") && at_end(over_a));
	OK(hears(over.b, "one") && at_end(over.b));
	OK(send(over.b, "x", 1, MSG_NOSIGNAL) < 0 && errno == EPIPE);
}

/* --- more than fits --- */

static struct pair crowd, ended;
static uint64_t crowd_sent, ended_sent;

static uint8_t byte_at(uint64_t i)
{
	return (i * 2654435761u) >> 13;
}

static uint64_t stuff(int fd)
{
	static uint8_t buf[50021];
	uint64_t sent = 0;
	ssize_t n;

	for (;;) {
		for (size_t i = 0; i < sizeof(buf); i++)
			buf[i] = byte_at(sent + i);
		n = send(fd, buf, sizeof(buf), MSG_DONTWAIT);
		if (n < 0)
			return sent;
		sent += n;
	}
}

static uint64_t unstuff(int fd, uint64_t most)
{
	uint8_t buf[65536];
	uint64_t got = 0;
	ssize_t n = 1;

	while (got < most && n > 0) {
		n = recv(fd, buf, sizeof(buf) < most - got ? sizeof(buf) : most - got, 0);
		for (ssize_t i = 0; i < n; i++) {
			if (buf[i] != byte_at(got + i))
				return got + i;
		}
		got += n > 0 ? n : 0;
	}
	return got;
}

static void make_crowd(void)
{
	crowd = connected(listening);
	crowd_sent = stuff(crowd.a);
	ended = connected(listening6);
	ended_sent = stuff(ended.a);
	MUST(shutdown(ended.a, SHUT_WR));
	say(ended.b, "stop it");
}

static void check_crowd(void)
{
	OK(crowd_sent > 100000 && ended_sent > 100000);
	OK(get(crowd.a, SOL_SOCKET, SO_REUSEADDR) == 0);
	OK(get(crowd.b, SOL_SOCKET, SO_REUSEADDR) == 1);
	OK(unstuff(crowd.b, crowd_sent) == crowd_sent && silent(crowd.b));
	OK(still_talk(crowd.a, crowd.b));
	OK(hears(ended.a, "stop it"));
	OK(unstuff(ended.b, ended_sent) == ended_sent && at_end(ended.b));
	say(ended.b, "thanks");
	OK(hears(ended.a, "thanks"));
}

/* --- outside --- */

static int outer = -1, outer_epoll, asking;
static union address asking_at;

static int state_of(int fd)
{
	struct tcp_info i;
	socklen_t len = sizeof(i);

	MUST(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &i, &len));
	return i.tcpi_state;
}

static void make_asking(int port)
{
	union address a;
	socklen_t len = address(AF_INET, &a);

	a.v4.sin_port = htons(port);
	/* on a busy machine there may be room for one more, whose answer is late */
	do {
		asking = MUST(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
		OK(!connect(asking, &a.any, len) || errno == EINPROGRESS);
		usleep(100000);
	} while (state_of(asking) != TCP_SYN_SENT);
	asking_at = local(asking);
}

static void check_asking(void)
{
	struct pollfd p = { .fd = asking, .events = POLLOUT };

	OK(poll(&p, 1, 20000) == 1 && p.revents == POLLOUT);
	OK(get(asking, SOL_SOCKET, SO_ERROR) == 0 && same(local(asking), asking_at));
	MUST(fcntl(asking, F_SETFL, 0));
	OK(hears(asking, "at last"));
}

static void make_outer(int port)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLET, .data.u64 = 5 };
	union address a;
	socklen_t len = address(AF_INET, &a);

	a.v4.sin_port = htons(port);
	outer = MUST(socket(AF_INET, SOCK_STREAM, 0));
	MUST(connect(outer, &a.any, len));
	OK(hears(outer, "begun"));
	outer_epoll = MUST(epoll_create1(0));
	MUST(epoll_ctl(outer_epoll, EPOLL_CTL_ADD, outer, &e));
}

static void check_outer(void)
{
	struct epoll_event e = { 0 };
	char c;

	OK(epoll_wait(outer_epoll, &e, 1, 0) == 1 && e.data.u64 == 5);
	OK((e.events & (EPOLLIN | EPOLLERR | EPOLLHUP)) == (EPOLLIN | EPOLLERR | EPOLLHUP));
	OK(hears(outer, " and half an answer"));
	OK(recv(outer, &c, 1, 0) < 0 && errno == ECONNRESET);
	OK(at_end(outer));
	OK(send(outer, "x", 1, MSG_NOSIGNAL) < 0 && errno == EPIPE);
	OK(remote(outer).any.sa_family == AF_UNSPEC);
}

/* --- who waits meanwhile --- */

static bool heard_child, accepted;

static void child(void)
{
	close(waiting.b);
	if (!hears(waiting.a, "are you there"))
		_exit(1);
	say(waiting.a, "I am");
	_exit(hears(waiting.a, "go home") ? 0 : 2);
}

static void *acceptor(void *arg)
{
	int fd = accept(listening6, NULL, NULL);

	accepted = fd >= 0 && hears(fd, "at last");
	return arg;
}

int main(int argc, char **argv)
{
	int status = -1, fd;
	pthread_t thread;
	union address a;
	pid_t pid;

	setvbuf(stdout, NULL, _IOLBF, 0);
	make_free();
	make_connected();
	make_closed();
	make_crowd();
	if (argc == 3) {
		make_outer(atoi(argv[1]));
		make_asking(atoi(argv[2]));
	}
	pid = MUST(fork());
	if (!pid)
		child();
	close(waiting.a);
	/* what was agreed on the way is over */
	usleep(100000);
	puts("all is set up");
	puts("ready");
	while (access("go", F_OK))
		usleep(20000);

	check_connected();
	check_closed();
	check_crowd();
	if (argc == 3) {
		check_outer();
		check_asking();
	}
	say(waiting.b, "are you there");
	heard_child = hears(waiting.b, "I am");
	say(waiting.b, "go home");
	OK(heard_child && waitpid(pid, &status, 0) == pid && !status);
	OK(at_end(waiting.b));
	check_free();
	pthread_create(&thread, NULL, acceptor, NULL);
	a = local(listening6);
	fd = MUST(socket(AF_INET6, SOCK_STREAM, 0));
	MUST(connect(fd, &a.any, sizeof(a.v6)));
	say(fd, "at last");
	pthread_join(thread, NULL);
	OK(accepted);
	puts(wrong ? "not well" : "all well");
	return wrong != 0;
}
