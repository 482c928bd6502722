// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What waits in Unix sockets, and what comes after it: ends that are shut or closed, options
 *
 * All is sent once more by who sent it, so that what has not been read counts as his.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/unix-build.h"

#define ROOM (1 << 20)	/* beside what is sent, for what the kernel needs with it */

static int borrow(const struct ckpt_unix_builder *b, uint32_t index, struct ckpt_err *err)
{
	return ckpt_build_borrow(b->r, b->r->fd_base + ckpt_unix_file(b->r->image, index), err);
}

/* The name of @u as it can be used from here; @ret_file: keeps that valid. */
static int address(const struct ckpt_unix_builder *b, const struct ckpt_unix *u,
		   struct sockaddr_un *ret, socklen_t *ret_len, int *ret_file,
		   struct ckpt_err *err)
{
	cleanup_free char *path = NULL;
	size_t len = u->name_len;

	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (u->path) {
		if (asprintf(&path, "/proc/%d/root%s", b->r->init.pid, u->path) < 0)
			return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a path");
		*ret_file = open(path, O_PATH | O_CLOEXEC);
		if (*ret_file < 0)
			return ckpt_fail(err, CKPT_FAILED, errno, "cannot open %s", u->path);
	} else if (ckpt_unix_lost_file(u)) {
		*ret_file = ckpt_build_borrow(b->r, b->files[u - b->r->image->unixes], err);
		if (*ret_file < 0)
			return -1;
	}
	if (*ret_file >= 0) {
		len = snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d",
			       *ret_file) + 1;
	} else {
		memcpy(ret->sun_path, u->name, len > sizeof(ret->sun_path) ?
		       sizeof(ret->sun_path) : len);
	}
	*ret_len = offsetof(struct sockaddr_un, sun_path) + len;
	return 0;
}

static int take_files(const struct ckpt_unix_builder *b, const struct ckpt_unix_message *m,
		      struct cmsghdr *c, struct ckpt_err *err)
{
	int fds[CKPT_UNIX_FILES_MAX];
	size_t n = 0;
	int failed = 0;

	while (n < m->n_files && !failed) {
		fds[n] = ckpt_build_borrow(b->r, b->r->fd_base + m->files[n], err);
		failed = fds[n] < 0;
		n += !failed;
	}
	if (failed) {
		while (n)
			close(fds[--n]);
		return -1;
	}
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(c), fds, n * sizeof(int));
	return 0;
}

static void close_files(const struct ckpt_unix_message *m, const struct cmsghdr *c)
{
	int fds[CKPT_UNIX_FILES_MAX];

	memcpy(fds, CMSG_DATA(c), m->n_files * sizeof(int));
	for (size_t i = 0; i < m->n_files; i++)
		close(fds[i]);
}

static int send_message(const struct ckpt_unix_builder *b, int from, struct sockaddr_un *to,
			socklen_t to_len, const struct ckpt_unix_message *m, struct ckpt_err *err)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(CKPT_UNIX_FILES_MAX * sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = m->data, .iov_len = m->len };
	struct msghdr msg = {
		.msg_name = to_len ? to : NULL, .msg_namelen = to_len,
		.msg_iov = &iov, .msg_iovlen = 1,
	};
	ssize_t n;

	memset(&control, 0, sizeof(control));
	if (m->n_files) {
		if (take_files(b, m, &control.head, err))
			return -1;
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(m->n_files * sizeof(int));
	}
	n = sendmsg(from, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (m->n_files)
		close_files(m, &control.head);
	return n == (ssize_t)m->len ? 0 :
	       ckpt_fail(err, CKPT_FAILED, n < 0 ? errno : 0,
			 "cannot put %zu bytes into a Unix socket", m->len);
}

int ckpt_unix_make_room(int from, const struct ckpt_unix_message *messages, size_t n,
			struct ckpt_err *err)
{
	size_t all = ROOM;
	int value;

	for (size_t i = 0; i < n; i++)
		all += messages[i].len * 2 + 4096;
	value = all > INT32_MAX / 2 ? INT32_MAX / 2 : (int)all;
	if (setsockopt(from, SOL_SOCKET, SO_SNDBUFFORCE, &value, sizeof(value)))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot make room in a Unix socket");
	return 0;
}

static int fill_one(struct ckpt_unix_builder *b, uint32_t index, struct ckpt_err *err)
{
	const struct ckpt_unix *u = &b->r->image->unixes[index];

	for (size_t i = 0; i < u->n_messages; i++) {
		const struct ckpt_unix_message *m = &u->messages[i];
		uint32_t sender = m->sender == CKPT_NONE ? u->peer : m->sender;
		cleanup_close int own = sender == CKPT_NONE ? -1 : borrow(b, sender, err);
		cleanup_close int file = -1;
		int from = sender == CKPT_NONE ? b->gone[index] : own;
		struct sockaddr_un to;
		socklen_t len = 0;

		if (from < 0)
			return -1;
		if ((m->sender != CKPT_NONE && address(b, u, &to, &len, &file, err)) ||
		    ckpt_unix_make_room(from, u->messages, u->n_messages, err) ||
		    send_message(b, from, &to, len, m, err))
			return -1;
	}
	return 0;
}

/* Closed with something unread, or not; that is what the other end is told. */
static int close_gone(struct ckpt_unix_builder *b, uint32_t index, struct ckpt_err *err)
{
	cleanup_close int own = -1;
	int gone = b->gone[index];

	if (gone < 0)
		return 0;
	if (b->r->image->unixes[index].failed) {
		own = borrow(b, index, err);
		if (own < 0)
			return -1;
		if (send(own, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL) != 1)
			return ckpt_fail(err, CKPT_FAILED, errno, "cannot send to a Unix socket");
	}
	close(gone);
	b->gone[index] = -1;
	return 0;
}

/*
 * The other end of a stream is shut along with it, but does not tell what it had shut before it
 * was connected.
 */
static int shut(const struct ckpt_unix_builder *b, uint32_t index, struct ckpt_err *err)
{
	const struct ckpt_image *image = b->r->image;
	const struct ckpt_unix *u = &image->unixes[index];
	bool datagram = ckpt_unix_socket(image, index)->type == SOCK_DGRAM;
	cleanup_close int own = -1;

	if (!u->shutdown ||
	    (!datagram && (u->peer == CKPT_NONE ||
			   ckpt_unix_shut_alone(u, &image->unixes[u->peer]))))
		return 0;
	own = borrow(b, index, err);
	if (own < 0)
		return -1;
	return shutdown(own, u->shutdown - 1) ?
	       ckpt_fail(err, CKPT_FAILED, errno, "cannot shut a Unix socket") : 0;
}

int ckpt_unix_fill(struct ckpt_unix_builder *b, struct ckpt_err *err)
{
	typedef int (*step_fn)(struct ckpt_unix_builder *b, uint32_t index, struct ckpt_err *err);
	static const step_fn steps[] = { fill_one, close_gone };
	const struct ckpt_image *image = b->r->image;

	for (size_t k = 0; k < 2; k++) {
		for (uint32_t i = 0; i < image->n_unixes; i++) {
			if (ckpt_unix_file(image, i) != CKPT_NONE && steps[k](b, i, err))
				return -1;
		}
	}
	for (uint32_t i = 0; i < image->n_unixes; i++) {
		if (ckpt_unix_file(image, i) != CKPT_NONE && shut(b, i, err))
			return -1;
	}
	return 0;
}
