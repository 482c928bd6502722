// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * TCP sockets as the kernel lists them: what waits behind the mark of an urgent byte, ends that no
 * process has any more, and where a socket is being connected to, which getpeername does not tell
 *
 * Where nobody answers (no CONFIG_INET_DIAG), nothing is found.
 */
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/tcp.h"

struct question {
	struct nlmsghdr head;
	struct inet_diag_req_v2 req;
};

/* As many messages as come at once. */
union answer {
	struct nlmsghdr head;
	uint8_t bytes[16384];
};

static int open_channel(struct ckpt_err *err)
{
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);

	if (fd < 0)
		ckpt_fail(err, CKPT_FAILED, errno, "cannot ask about TCP sockets");
	return fd;
}

static struct question question(uint16_t flags, uint32_t family, uint32_t states)
{
	return (struct question){
		.head = {
			.nlmsg_len = sizeof(struct question),
			.nlmsg_type = SOCK_DIAG_BY_FAMILY,
			.nlmsg_flags = NLM_F_REQUEST | flags,
		},
		.req = {
			.sdiag_family = family,
			.sdiag_protocol = IPPROTO_TCP,
			.idiag_states = states,
			.id.idiag_cookie = { INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE },
		},
	};
}

static const struct inet_diag_msg *socket_in(const struct nlmsghdr *m)
{
	if (m->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
	    m->nlmsg_len < NLMSG_LENGTH(sizeof(struct inet_diag_msg)))
		return NULL;
	return NLMSG_DATA(m);
}

static void put_address(const uint8_t *address, void *to, void *port)
{
	union ckpt_inet_address a;

	memcpy(&a, address, sizeof(a.v4));
	if (a.any.sa_family == AF_INET6) {
		memcpy(&a, address, sizeof(a.v6));
		memcpy(to, &a.v6.sin6_addr, sizeof(a.v6.sin6_addr));
		memcpy(port, &a.v6.sin6_port, sizeof(a.v6.sin6_port));
	} else {
		memcpy(to, &a.v4.sin_addr, sizeof(a.v4.sin_addr));
		memcpy(port, &a.v4.sin_port, sizeof(a.v4.sin_port));
	}
}

static void put_ends(struct question *q, const struct ckpt_tcp *t, bool other)
{
	struct inet_diag_sockid *id = &q->req.id;

	put_address(other ? t->remote : t->local, id->idiag_src, &id->idiag_sport);
	put_address(other ? t->local : t->remote, id->idiag_dst, &id->idiag_dport);
}

/* The one socket that is meant, in @a; NULL: nobody answers, or there is none. */
static const struct inet_diag_msg *find(int fd, const struct question *q, union answer *a)
{
	ssize_t n = -1;

	if (send(fd, q, sizeof(*q), 0) == sizeof(*q))
		n = recv(fd, a, sizeof(*a), 0);
	return n > 0 && NLMSG_OK(&a->head, (size_t)n) ? socket_in(&a->head) : NULL;
}

int ckpt_tcp_waiting(const struct ckpt_tcp *t, uint32_t ino, uint32_t *ret, struct ckpt_err *err)
{
	const struct sockaddr *local = (const void *)t->local;
	struct question q = question(0, local->sa_family, ~0u);
	cleanup_close int fd = t->remote_len ? open_channel(err) : -1;
	const struct inet_diag_msg *found;
	union answer a;

	if (fd < 0)
		return t->remote_len ? -1 : 0;
	put_ends(&q, t, false);
	found = find(fd, &q, &a);
	if (!found || found->idiag_inode != ino)
		return 0;
	*ret = found->idiag_rqueue;
	return 1;
}

int ckpt_tcp_closed_sends(const struct ckpt_tcp *t, struct ckpt_err *err)
{
	const struct sockaddr *local = (const void *)t->local;
	struct question q = question(0, local->sa_family, ~0u);
	cleanup_close int fd = open_channel(err);
	const struct inet_diag_msg *found;
	union answer a;

	if (fd < 0)
		return -1;
	put_ends(&q, t, true);
	found = find(fd, &q, &a);
	return found && !found->idiag_inode &&
	       (found->idiag_state == TCP_FIN_WAIT1 || found->idiag_state == TCP_CLOSING ||
		found->idiag_state == TCP_LAST_ACK);
}

static int keep_remote(struct ckpt_tcp *t, const struct inet_diag_msg *m, struct ckpt_err *err)
{
	union ckpt_inet_address a = { 0 };

	a.any.sa_family = m->idiag_family;
	if (m->idiag_family == AF_INET6) {
		memcpy(&a.v6.sin6_addr, m->id.idiag_dst, sizeof(a.v6.sin6_addr));
		memcpy(&a.v6.sin6_port, &m->id.idiag_dport, sizeof(a.v6.sin6_port));
		a.v6.sin6_scope_id = m->id.idiag_if;
	} else {
		memcpy(&a.v4.sin_addr, m->id.idiag_dst, sizeof(a.v4.sin_addr));
		memcpy(&a.v4.sin_port, &m->id.idiag_dport, sizeof(a.v4.sin_port));
	}
	t->remote_len = t->local_len;
	t->remote = malloc(t->remote_len);
	if (!t->remote)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for an address");
	memcpy(t->remote, &a, t->remote_len);
	return 0;
}

int ckpt_tcp_connects_to(struct ckpt_tcp *t, uint32_t ino, struct ckpt_err *err)
{
	const struct sockaddr *local = (const void *)t->local;
	struct question q = question(NLM_F_DUMP, local->sa_family, 1u << TCP_SYN_SENT);
	cleanup_close int fd = open_channel(err);
	const struct inet_diag_msg *found;
	union answer a;
	ssize_t n;

	if (fd < 0)
		return -1;
	if (send(fd, &q, sizeof(q), 0) != sizeof(q))
		return 0;
	while ((n = recv(fd, &a, sizeof(a), 0)) > 0) {
		for (const struct nlmsghdr *m = &a.head; NLMSG_OK(m, (size_t)n);
		     m = NLMSG_NEXT(m, n)) {
			if (m->nlmsg_type == NLMSG_DONE || m->nlmsg_type == NLMSG_ERROR)
				return 0;
			found = socket_in(m);
			if (found && found->idiag_inode == ino)
				return keep_remote(t, found, err);
		}
	}
	return 0;
}
