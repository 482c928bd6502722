// SPDX-License-Identifier: GPL-2.0-or-later
/* Netlink: channel, messages and lists. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "proc/netlink.h"

/* The kernel gives no more at once to who has room for that. */
#define ANSWER_LEN 32768

void ckpt_netlink_begin(struct ckpt_netlink_message *m, uint16_t type, uint16_t flags,
			const void *family, size_t len)
{
	memset(m, 0, sizeof(*m));
	m->head.nlmsg_type = type;
	m->head.nlmsg_flags = NLM_F_REQUEST | flags;
	m->head.nlmsg_len = NLMSG_SPACE(len);
	memcpy(m->room, family, len);
}

void ckpt_netlink_put(struct ckpt_netlink_message *m, uint16_t type, const void *data, size_t len)
{
	struct rtattr *a = (struct rtattr *)((char *)m + m->head.nlmsg_len);

	a->rta_type = type;
	a->rta_len = RTA_LENGTH(len);
	memcpy(RTA_DATA(a), data, len);
	m->head.nlmsg_len += RTA_SPACE(len);
}

int ckpt_netlink_open(int protocol)
{
	return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
}

/* Of an error or the end of a list; the latter has it where the kernel says why it ends. */
static int error_in(const struct nlmsghdr *m)
{
	int error = 0;

	if (m->nlmsg_len >= NLMSG_LENGTH(sizeof(error)))
		memcpy(&error, NLMSG_DATA(m), sizeof(error));
	return error < 0 ? -error : 0;
}

/* Return: 1 to go on, else as ckpt_netlink_list. */
static int take_all(const struct nlmsghdr *m, size_t n, ckpt_netlink_fn fn, void *arg,
		    bool *ret_again, struct ckpt_err *err)
{
	for (; NLMSG_OK(m, n); m = NLMSG_NEXT(m, n)) {
		if (m->nlmsg_flags & NLM_F_DUMP_INTR)
			*ret_again = true;
		if (m->nlmsg_type == NLMSG_DONE || m->nlmsg_type == NLMSG_ERROR)
			return error_in(m);
		if (m->nlmsg_type >= NLMSG_MIN_TYPE && fn(m, arg, err))
			return -1;
	}
	return 1;
}

int ckpt_netlink_list(int fd, const struct ckpt_netlink_message *m, ckpt_netlink_fn fn, void *arg,
		      bool *ret_again, struct ckpt_err *err)
{
	static __thread _Alignas(struct nlmsghdr) char answer[ANSWER_LEN];
	int ret = 1;

	*ret_again = false;
	if (send(fd, m, m->head.nlmsg_len, 0) != (ssize_t)m->head.nlmsg_len)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot ask the kernel by netlink");
	while (ret == 1) {
		ssize_t n = recv(fd, answer, sizeof(answer), MSG_TRUNC);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 || n > (ssize_t)sizeof(answer))
			return ckpt_fail(err, CKPT_FAILED, n < 0 ? errno : 0,
					 "the kernel does not answer by netlink");
		ret = take_all((const struct nlmsghdr *)answer, n, fn, arg, ret_again, err);
	}
	return ret;
}

static int nothing(const struct nlmsghdr *m, void *arg, struct ckpt_err *err)
{
	(void)m;
	(void)arg;
	(void)err;
	return 0;
}

int ckpt_netlink_tell(int fd, struct ckpt_netlink_message *m)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	bool again;
	int ret;

	m->head.nlmsg_flags |= NLM_F_ACK;
	ret = ckpt_netlink_list(fd, m, nothing, NULL, &again, &err);
	return ret < 0 ? (err.os ? err.os : EIO) : ret;
}
