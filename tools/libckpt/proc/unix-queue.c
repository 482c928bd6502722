// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What waits in a Unix socket, looked at and left there
 *
 * To look behind a datagram, or behind a piece of a stream that descriptors come with, takes more
 * than a first look (proc/glance.h).
 *
 * An error that the socket has to tell would be taken by the look, so there must be none.
 */
#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "proc/glance.h"
#include "proc/procfs.h"
#include "proc/unix.h"

#ifndef SO_PASSPIDFD
#define SO_PASSPIDFD 76
#endif
#define DATAGRAM_ROOM (256u << 10)	/* at first; it grows */
#define NAME_OFFSET offsetof(struct sockaddr_un, sun_path)

void ckpt_unix_queue_done(struct ckpt_unix_queue *queue)
{
	for (size_t i = 0; i < queue->n; i++) {
		struct ckpt_unix_peeked *m = &queue->messages[i];

		for (size_t j = 0; j < m->n_fds; j++) {
			if (m->fds[j] >= 0)
				close(m->fds[j]);
		}
		free(m->fds);
		free(m->files);
		free(m->data);
	}
	free(queue->messages);
	*queue = (struct ckpt_unix_queue){ 0 };
}

static void forget_fds(struct ckpt_unix_peeked *m)
{
	while (m->n_fds)
		close(m->fds[--m->n_fds]);
	free(m->fds);
	m->fds = NULL;
}

static void peeked_done(struct ckpt_unix_peeked *m)
{
	forget_fds(m);
	free(m->data);
}

bool ckpt_unix_tells_more(int own)
{
	static const int names[] = {
		SO_PASSCRED, SO_PASSPIDFD, SO_TIMESTAMP_OLD, SO_TIMESTAMPNS_OLD, SO_TIMESTAMP_NEW,
		SO_TIMESTAMPNS_NEW,
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		int value = 0;
		socklen_t len = sizeof(value);

		if (!getsockopt(own, SOL_SOCKET, names[i], &value, &len) && value)
			return true;
	}
	return false;
}

/* Descriptors that came, of which the kernel has made copies for us. */
static int take_fds(struct msghdr *msg, struct ckpt_unix_peeked *m, struct ckpt_err *err)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t len = c->cmsg_len - CMSG_LEN(0);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS || m->fds)
			continue;
		m->fds = malloc(len);
		if (!m->fds)
			return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a message");
		memcpy(m->fds, CMSG_DATA(c), len);
		m->n_fds = len / sizeof(int);
	}
	if (msg->msg_flags & MSG_CTRUNC)
		return ckpt_fail(err, CKPT_FAILED, 0,
			"ckpt-tool cannot open the descriptors that wait in a Unix socket");
	return 0;
}

/* Look at up to @len bytes. Return: how long it is, 0 also when there is nothing, or -1. */
static ssize_t look(struct ckpt_glance *l, size_t len, struct ckpt_unix_peeked *m, bool *ret_none,
		    struct ckpt_err *err)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(CKPT_UNIX_FILES_MAX * sizeof(int)) + 256];
	} control;
	struct sockaddr_storage from;
	struct iovec iov = { .iov_base = m->data, .iov_len = len };
	struct msghdr msg = {
		.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	ssize_t n;

	n = recvmsg(l->own, &msg, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC | MSG_TRUNC);
	*ret_none = n < 0 && errno == EAGAIN;
	if (*ret_none)
		return 0;
	if (n < 0)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot look into a Unix socket");
	if (take_fds(&msg, m, err))
		return -1;
	if (msg.msg_namelen > NAME_OFFSET) {
		m->from_len = msg.msg_namelen - NAME_OFFSET;
		if (m->from_len > sizeof(m->from))
			m->from_len = sizeof(m->from);
		memcpy(m->from, (char *)&from + NAME_OFFSET, m->from_len);
	}
	return n;
}

static int keep(struct ckpt_unix_queue *q, struct ckpt_unix_peeked *m, struct ckpt_err *err)
{
	struct ckpt_unix_peeked *list = ckpt_grow(q->messages, &q->n, sizeof(*list));

	if (!list)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a message");
	q->messages = list;
	list[q->n - 1] = *m;
	*m = (struct ckpt_unix_peeked){ 0 };
	return 0;
}

/* One datagram, or none. Return: 1, 0, -1. */
static int datagram(struct ckpt_glance *l, size_t offset, struct ckpt_unix_peeked *m,
		    struct ckpt_err *err)
{
	size_t room = DATAGRAM_ROOM;
	ssize_t n;
	bool none;

	for (;;) {
		free(m->data);
		m->data = malloc(room);
		if (!m->data)
			return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a message");
		n = look(l, room, m, &none, err);
		if (n < 0)
			return -1;
		m->len = n;
		if ((size_t)n <= room)
			return !none;
		forget_fds(m);
		room = n;
		if (l->set && ckpt_glance_at(l, offset, err))
			return -1;
	}
}

/*
 * At the end of what can come (a SOCK_SEQPACKET whose other end is shut) there is a datagram of
 * nothing for ever.  @before: bytes before it.
 */
static bool is_end(const struct ckpt_glance *l, uint32_t type, const struct ckpt_unix_peeked *m,
		   size_t before)
{
	int all;

	return type == SOCK_SEQPACKET && !m->len && !m->n_fds &&
	       ckpt_socket_events(l->own, POLLRDHUP) & POLLRDHUP &&
	       !ioctl(l->own, SIOCINQ, &all) && (size_t)all <= before;
}

static int datagrams(struct ckpt_glance *l, uint32_t type, struct ckpt_unix_queue *q,
		     struct ckpt_err *err)
{
	size_t offset = 0;

	for (;;) {
		cleanup_with(peeked_done) struct ckpt_unix_peeked m = { 0 };
		int got;

		if (offset && !l->set && ckpt_glance_at(l, offset, err))
			return -1;
		got = datagram(l, offset, &m, err);
		if (got <= 0)
			return got;
		if (is_end(l, type, &m, offset))
			return 0;
		if (!offset && !m.len && !l->set && ckpt_glance_at(l, 0, err))
			return -1;
		offset += m.len;
		if (keep(q, &m, err))
			return -1;
		if (l->set)
			ckpt_fault("keeper.peeked");
	}
}

/*
 * Of @len bytes from @offset, those before the piece that descriptors come with, which is the
 * last.  The kernel copies pieces as a whole, and gives descriptors also to who has no room for
 * their piece; but one byte short of room that can be written, it stops before that piece.
 */
static ssize_t before_piece(struct ckpt_glance *l, size_t offset, size_t len, struct ckpt_err *err)
{
	const size_t page = sysconf(_SC_PAGESIZE), room = (len - 1 + page - 1) / page * page;
	uint8_t *map = mmap(NULL, room + page, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ssize_t n = -1;

	if (map == MAP_FAILED)
		return ckpt_fail(err, CKPT_FAILED, errno, "no memory for a message");
	if ((!l->set || !ckpt_glance_at(l, offset, err)) &&
	    !mprotect(map + room, page, PROT_NONE)) {
		n = recv(l->own, map + room - (len - 1), len, MSG_PEEK | MSG_DONTWAIT);
		if (n < 0 && errno == EFAULT)
			n = 0;
	}
	if (n < 0)
		ckpt_fail(err, CKPT_FAILED, errno, "cannot look into a Unix socket");
	munmap(map, room + page);
	return n;
}

/* What comes before the piece that the descriptors of @m come with, which is at @offset. */
static int split(struct ckpt_glance *l, size_t offset, struct ckpt_unix_peeked *m,
		 struct ckpt_unix_queue *q, struct ckpt_err *err)
{
	cleanup_with(peeked_done) struct ckpt_unix_peeked plain = { 0 };
	ssize_t n = before_piece(l, offset, m->len, err);

	if (n <= 0)
		return n;
	plain.len = n;
	plain.data = malloc(plain.len);
	if (!plain.data)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a message");
	memcpy(plain.data, m->data, plain.len);
	m->len -= plain.len;
	memmove(m->data, m->data + plain.len, m->len);
	return keep(q, &plain, err);
}

static int stream(struct ckpt_glance *l, struct ckpt_unix_queue *q, struct ckpt_err *err)
{
	size_t offset = 0;
	int len;

	if (ioctl(l->own, SIOCINQ, &len))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot look at a Unix socket");
	while (offset < (size_t)len) {
		cleanup_with(peeked_done) struct ckpt_unix_peeked m = { 0 };
		bool none;
		ssize_t n;

		m.data = malloc(len - offset);
		if (!m.data)
			return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a message");
		if (offset && ckpt_glance_at(l, offset, err))
			return -1;
		n = look(l, len - offset, &m, &none, err);
		if (n < 0)
			return -1;
		if (!n || (!m.n_fds && (size_t)n != len - offset))
			return ckpt_fail(err, CKPT_FAILED, 0,
					 "a Unix socket shows %zd of %zu bytes", n, len - offset);
		m.len = n;
		if ((m.n_fds && split(l, offset, &m, q, err)) || keep(q, &m, err))
			return -1;
		offset += n;
	}
	return 0;
}

int ckpt_unix_peek(int own, uint32_t type, bool guarded, struct ckpt_unix_queue *ret,
		   struct ckpt_err *err)
{
	cleanup_with(ckpt_unix_queue_done) struct ckpt_unix_queue q = { 0 };
	struct ckpt_glance l = { .own = own, .guarded = guarded };
	int failed;

	failed = type == SOCK_STREAM ? stream(&l, &q, err) : datagrams(&l, type, &q, err);
	ckpt_glance_done(&l);
	if (failed)
		return -1;
	*ret = q;
	q = (struct ckpt_unix_queue){ 0 };
	return 0;
}

size_t ckpt_unix_name_of(int own, bool peer, uint8_t ret[CKPT_UNIX_NAME_MAX])
{
	struct sockaddr_storage at;
	socklen_t len = sizeof(at);
	size_t n;

	if (peer ? getpeername(own, (struct sockaddr *)&at, &len) :
		   getsockname(own, (struct sockaddr *)&at, &len))
		return 0;
	n = len > NAME_OFFSET ? len - NAME_OFFSET : 0;
	n = n > CKPT_UNIX_NAME_MAX ? CKPT_UNIX_NAME_MAX : n;
	memcpy(ret, (char *)&at + NAME_OFFSET, n);
	return n;
}

const char *ckpt_unix_name_text(const uint8_t *name, size_t len, char ret[CKPT_UNIX_NAME_MAX + 1])
{
	size_t n = len && name[0] ? strnlen((const char *)name, len) : len;

	if (!n)
		return "a socket without a name";
	for (size_t i = 0; i < n; i++)
		ret[i] = name[i] ? (name[i] < ' ' ? '?' : name[i]) : '@';
	ret[n] = 0;
	return ret;
}
