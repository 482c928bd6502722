// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * TCP connections to the outside: ask where the other end stands
 *
 * A socket that leaves repair mode sends a segment that says nothing new, to which the other end
 * answers.  A raw socket beside it hears that: the connection itself is deaf and does not change.
 * The same is asked once more through the raw socket, because one answer alone might be none.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/tcp-outside.h"

#define WAIT_MS 3000
#define AGAIN_MS 600	/* more often Linux does not answer */
#define IP_MIN 20u
#define PORTS(from, to) ((uint32_t)ntohs(from) << 16 | ntohs(to))

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* As a connection of IPv4, of which IPv6 may be the outside. */
static void plain(union ckpt_inet_address *a, const uint8_t *address, size_t len)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };

	memset(a, 0, sizeof(*a));
	memcpy(a, address, len);
	if (a->any.sa_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&a->v6.sin6_addr))
		return;
	v4.sin_port = a->v6.sin6_port;
	memcpy(&v4.sin_addr, &a->v6.sin6_addr.s6_addr[12], sizeof(v4.sin_addr));
	memset(a, 0, sizeof(*a));
	a->v4 = v4;
}

/* Only what comes from that port to this one. */
static int filter_ports(int raw, int family, uint32_t ports)
{
	struct sock_filter v4[] = {
		BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
		BPF_STMT(BPF_LD | BPF_W | BPF_IND, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ports, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_filter v6[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0), v4[2], v4[3], v4[4],
	};
	const struct sock_fprog program = {
		.len = family == AF_INET6 ? 4 : 5, .filter = family == AF_INET6 ? v6 : v4,
	};

	return setsockopt(raw, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

static bool ends_of(const struct ckpt_tcp *t, union ckpt_inet_address *here,
		    union ckpt_inet_address *there)
{
	plain(here, t->local, t->local_len);
	plain(there, t->remote, t->remote_len);
	return here->any.sa_family == AF_INET6;
}

int ckpt_outside_listen(const struct ckpt_tcp *t, struct ckpt_err *err)
{
	union ckpt_inet_address here, there;
	bool six = ends_of(t, &here, &there);
	cleanup_close int raw = -1;
	uint32_t ports;

	ports = six ? PORTS(there.v6.sin6_port, here.v6.sin6_port) :
		      PORTS(there.v4.sin_port, here.v4.sin_port);
	/* of a raw socket it is the protocol */
	if (six)
		here.v6.sin6_port = there.v6.sin6_port = 0;
	raw = socket(here.any.sa_family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
	if (raw < 0 || filter_ports(raw, here.any.sa_family, ports) ||
	    bind(raw, &here.any, six ? sizeof(here.v6) : sizeof(here.v4)) ||
	    connect(raw, &there.any, six ? sizeof(there.v6) : sizeof(there.v4))) {
		ckpt_fail(err, CKPT_REFUSED, errno,
			  "cannot hear what comes for a TCP connection to the outside");
		return -1;
	}
	return take_fd(raw);
}

/* Out of repair mode, which asks, and in again, with what came to be seen; and once more. */
static int ask(const struct ckpt_tcp *t, const struct ckpt_outside *o)
{
	static const struct {
		int name, value;
	} steps[] = {
		{ TCP_REPAIR, TCP_REPAIR_OFF }, { TCP_REPAIR, TCP_REPAIR_ON },
		{ TCP_REPAIR_QUEUE, TCP_RECV_QUEUE },
	};
	uint8_t probe[CKPT_SEGMENT_PROBE_MAX];
	union ckpt_inet_address here, there;
	uint32_t clock = 0;
	socklen_t len = sizeof(clock);

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		if (setsockopt(o->own, IPPROTO_TCP, steps[i].name, &steps[i].value,
			       sizeof(steps[i].value)))
			return -1;
	}
	if (getsockopt(o->own, IPPROTO_TCP, TCP_TIMESTAMP, &clock, &len))
		return -1;
	ends_of(t, &here, &there);
	len = ckpt_tcp_segment_probe(t, &here, &there, clock, probe);
	/* where that cannot be sent, there are the answers to what the kernel asks later */
	(void)!send(o->raw, probe, len, MSG_DONTWAIT);
	return 0;
}

static bool is_open(const struct ckpt_outside *o)
{
	return o->verdict == CKPT_TCP_SILENT || o->verdict == CKPT_TCP_AHEAD;
}

static void take(const struct ckpt_tcp *t, const uint8_t *data, size_t size, size_t whole,
		 struct ckpt_outside *o)
{
	size_t head = 0;
	struct ckpt_tcp_segment s;
	union ckpt_inet_address here, there;

	/* IPv4 alone comes with its own header */
	if (!ends_of(t, &here, &there)) {
		head = size < IP_MIN ? SIZE_MAX : (data[0] & 0xfu) * 4u;
		if (head > size)
			return;
	}
	if (ckpt_tcp_segment_parse(data + head, size - head, whole - head, &s))
		ckpt_tcp_weigh(t, &s, now_ms(), o);
}

static void hear(const struct ckpt_image *image, struct ckpt_outside *o)
{
	uint8_t data[256];
	ssize_t whole;

	while (is_open(o)) {
		whole = recv(o->raw, data, sizeof(data), MSG_TRUNC);
		if (whole <= 0)
			return;
		take(&image->tcps[o->tcp], data,
		     (size_t)whole < sizeof(data) ? (size_t)whole : sizeof(data), whole, o);
	}
}

static int ask_all(const struct ckpt_image *image, const struct ckpt_outside *list, size_t n,
		   struct ckpt_err *err)
{
	for (size_t i = 0; i < n; i++) {
		if (is_open(&list[i]) && ask(&image->tcps[list[i].tcp], &list[i]))
			return ckpt_fail(err, CKPT_FAILED, errno,
					 "cannot ask the other end of a TCP connection");
	}
	return 0;
}

/* Return: those that have not answered yet. */
static size_t hear_all(const struct ckpt_image *image, struct ckpt_outside *list, size_t n,
		       struct pollfd *polls, int wait_ms)
{
	size_t left = 0;

	poll(polls, n, wait_ms);
	for (size_t i = 0; i < n; i++) {
		hear(image, &list[i]);
		polls[i].fd = is_open(&list[i]) ? list[i].raw : -1;
		left += is_open(&list[i]);
	}
	return left;
}

int ckpt_outside_ask(const struct ckpt_image *image, struct ckpt_outside *list, size_t n,
		     struct ckpt_err *err)
{
	cleanup_free struct pollfd *polls = calloc(n + 1, sizeof(*polls));
	int64_t end = now_ms() + WAIT_MS, again = 0, now;
	size_t left = n;

	if (!polls)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for TCP connections");
	for (size_t i = 0; i < n; i++)
		polls[i] = (struct pollfd){ .fd = list[i].raw, .events = POLLIN };
	while (left) {
		now = now_ms();
		if (now >= end)
			break;
		if (now >= again) {
			if (ask_all(image, list, n, err))
				return -1;
			again = now + AGAIN_MS;
		}
		left = hear_all(image, list, n, polls, (again < end ? again : end) - now);
	}
	return 0;
}
