// SPDX-License-Identifier: GPL-2.0-or-later
/* Messages of the tracker's process. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "track/tracker-wire.h"

int ckpt_tracker_send(int sock, const void *message, size_t len, int fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} room = { { 0 } };
	struct iovec iov = { (void *)message, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		struct cmsghdr *c = &room.align;

		msg.msg_control = &room;
		msg.msg_controllen = sizeof(room);
		*c = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)),
				       .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	return sendmsg(sock, &msg, MSG_NOSIGNAL) == (ssize_t)len ? 0 : -1;
}

int ckpt_tracker_receive(int sock, void *message, size_t len, int *ret_fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} room = { { 0 } };
	struct iovec iov = { message, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &room,
			      .msg_controllen = sizeof(room) };
	struct cmsghdr *c;
	ssize_t n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);

	*ret_fd = -1;
	if (n < 0)
		return -1;
	c = CMSG_FIRSTHDR(&msg);
	if (c && c->cmsg_type == SCM_RIGHTS)
		memcpy(ret_fd, CMSG_DATA(c), sizeof(*ret_fd));
	if (n == (ssize_t)len && !(msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
		return 0;
	if (*ret_fd >= 0)
		close(*ret_fd);
	*ret_fd = -1;
	return -1;
}

int ckpt_tracker_put(int board, const void *data, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = pwrite(board, (const char *)data + done, len - done, done);

		if (n <= 0)
			return -1;
		done += n;
	}
	return 0;
}

int ckpt_tracker_get(int board, void *data, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = pread(board, (char *)data + done, len - done, done);

		if (n <= 0)
			return -1;
		done += n;
	}
	return 0;
}
