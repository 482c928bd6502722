/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ends of TCP connections: addresses, options, and what is said and heard
 */
#ifndef CKPT_TESTS_WORKLOADS_TCP_ENDS_H
#define CKPT_TESTS_WORKLOADS_TCP_ENDS_H

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "ok.h"

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static inline socklen_t address(int family, union address *a)
{
	memset(a, 0, sizeof(*a));
	a->any.sa_family = family;
	if (family == AF_INET6) {
		a->v6.sin6_addr = in6addr_loopback;
		return sizeof(a->v6);
	}
	a->v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return sizeof(a->v4);
}

static inline void set(int fd, int level, int name, int value)
{
	MUST(setsockopt(fd, level, name, &value, sizeof(value)));
}

static inline int get(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	MUST(getsockopt(fd, level, name, &value, &len));
	return value;
}

static inline union address local(int fd)
{
	union address a;
	socklen_t len = sizeof(a);

	memset(&a, 0, sizeof(a));
	MUST(getsockname(fd, &a.any, &len));
	return a;
}

static inline union address remote(int fd)
{
	union address a;
	socklen_t len = sizeof(a);

	memset(&a, 0, sizeof(a));
	if (getpeername(fd, &a.any, &len))
		a.any.sa_family = AF_UNSPEC;
	return a;
}

static inline bool same(union address a, union address b)
{
	if (a.any.sa_family != b.any.sa_family)
		return false;
	if (a.any.sa_family == AF_INET6)
		return a.v6.sin6_port == b.v6.sin6_port &&
		       IN6_ARE_ADDR_EQUAL(&a.v6.sin6_addr, &b.v6.sin6_addr);
	return a.v4.sin_port == b.v4.sin_port && a.v4.sin_addr.s_addr == b.v4.sin_addr.s_addr;
}

static inline int listener(int family, int backlog)
{
	union address a;
	socklen_t len = address(family, &a);
	int fd = MUST(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));

	set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	MUST(bind(fd, &a.any, len));
	MUST(listen(fd, backlog));
	return fd;
}

static inline void say(int fd, const char *text)
{
	MUST(send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text) ? 0 : -1);
}

/* Exactly these bytes are there, and no more of them. */
static inline bool hears(int fd, const char *text)
{
	size_t len = strlen(text), got = 0;
	char buf[256];
	ssize_t n;

	while (got < len) {
		n = recv(fd, buf + got, len - got, 0);
		if (n <= 0)
			return false;
		got += n;
	}
	return !memcmp(buf, text, len);
}

static inline bool silent(int fd)
{
	char c;

	return recv(fd, &c, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

static inline bool at_end(int fd)
{
	char c;

	return !recv(fd, &c, 1, 0) && !recv(fd, &c, 1, 0);
}

#endif
