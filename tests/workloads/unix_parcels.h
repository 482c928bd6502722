/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Open files that go through Unix sockets. */
#ifndef CKPT_TESTS_WORKLOADS_UNIX_PARCELS_H
#define CKPT_TESTS_WORKLOADS_UNIX_PARCELS_H

#include <string.h>
#include <sys/socket.h>

#include "ok.h"

static inline void send_files(int fd, const char *text, const int *fds, int n)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(4 * sizeof(int))];
	} control = { 0 };
	struct iovec iov = { .iov_base = (void *)text, .iov_len = strlen(text) };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
		.msg_controllen = CMSG_SPACE(n * sizeof(int)),
	};

	control.head.cmsg_level = SOL_SOCKET;
	control.head.cmsg_type = SCM_RIGHTS;
	control.head.cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(&control.head), fds, n * sizeof(int));
	MUST(sendmsg(fd, &msg, 0));
}

/* Return: how many descriptors came with @text, -1: that was not it. */
static inline int gets_files(int fd, size_t room, const char *text, int fds[4])
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(4 * sizeof(int))];
	} control = { 0 };
	char got[64];
	struct iovec iov = { .iov_base = got, .iov_len = room };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n = recvmsg(fd, &msg, MSG_DONTWAIT);

	if (n != (ssize_t)strlen(text) || memcmp(got, text, n))
		return -1;
	if (!CMSG_FIRSTHDR(&msg))
		return 0;
	n = (control.head.cmsg_len - CMSG_LEN(0)) / sizeof(int);
	memcpy(fds, CMSG_DATA(&control.head), n * sizeof(int));
	return n;
}

#endif
