// SPDX-License-Identifier: GPL-2.0-or-later
/* What the kernel tells of Unix sockets by netlink (sock_diag). */
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/unix.h"

#define REPLY_LEN 32768

struct question {
	struct nlmsghdr head;
	struct unix_diag_req req;
};

int ckpt_unix_diag_open(struct ckpt_err *err)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);

	if (fd < 0)
		ckpt_fail(err, CKPT_FAILED, errno, "cannot ask the kernel about sockets");
	return fd;
}

static int ask(int diag, uint32_t ino, uint32_t show, uint16_t flags, struct ckpt_err *err)
{
	const struct question q = {
		.head = {
			.nlmsg_len = sizeof(q),
			.nlmsg_type = SOCK_DIAG_BY_FAMILY,
			.nlmsg_flags = NLM_F_REQUEST | flags,
		},
		.req = {
			.sdiag_family = AF_UNIX,
			.udiag_states = ~0u,
			.udiag_ino = ino,
			.udiag_show = show,
			.udiag_cookie = { ~0u, ~0u },
		},
	};

	if (send(diag, &q, sizeof(q), 0) != sizeof(q))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot ask the kernel about sockets");
	return 0;
}

static int answer_error(const struct nlmsghdr *h, struct ckpt_err *err)
{
	const struct nlmsgerr *e = NLMSG_DATA(h);

	if (e->error == -ENOENT)
		return ckpt_fail(err, CKPT_REFUSED, ENOENT,
			"the kernel does not tell of Unix sockets, which are needed to restore "
			"those of the tree (CONFIG_UNIX_DIAG)");
	return ckpt_fail(err, CKPT_FAILED, -e->error, "cannot ask the kernel about sockets");
}

static void take(struct ckpt_unix_diag *ret, const struct rtattr *a)
{
	struct unix_diag_rqlen q;

	switch (a->rta_type) {
	case UNIX_DIAG_PEER:
		ret->connected = true;
		memcpy(&ret->peer, RTA_DATA(a), sizeof(ret->peer));
		break;
	case UNIX_DIAG_SHUTDOWN:
		memcpy(&ret->shutdown, RTA_DATA(a), 1);
		break;
	case UNIX_DIAG_RQLEN:
		memcpy(&q, RTA_DATA(a), sizeof(q));
		ret->waiting = q.udiag_rqueue;
		ret->backlog = q.udiag_wqueue;
		break;
	}
}

int ckpt_unix_diag(int diag, uint64_t ino, struct ckpt_unix_diag *ret, struct ckpt_err *err)
{
	_Alignas(struct nlmsghdr) char reply[REPLY_LEN];
	const struct nlmsghdr *h = (const struct nlmsghdr *)reply;
	const struct unix_diag_msg *m = NLMSG_DATA(h);
	const struct rtattr *a;
	ssize_t n;
	int left;

	if (ask(diag, ino, UDIAG_SHOW_PEER | UDIAG_SHOW_RQLEN, 0, err))
		return -1;
	n = recv(diag, reply, sizeof(reply), 0);
	if (n < 0 || !NLMSG_OK(h, n))
		return ckpt_fail(err, CKPT_FAILED, errno, "the kernel does not tell of a socket");
	if (h->nlmsg_type == NLMSG_ERROR)
		return answer_error(h, err);
	*ret = (struct ckpt_unix_diag){ .state = m->udiag_state };
	a = (const struct rtattr *)(m + 1);
	left = (int)h->nlmsg_len - NLMSG_LENGTH(sizeof(*m));
	for (; RTA_OK(a, left); a = RTA_NEXT(a, left))
		take(ret, a);
	return 0;
}

int ckpt_unix_diag_waiting(int diag, uint64_t ino, uint32_t **ret, size_t *ret_n,
			   struct ckpt_err *err)
{
	_Alignas(struct nlmsghdr) char reply[REPLY_LEN];
	const struct nlmsghdr *h = (const struct nlmsghdr *)reply;
	const struct unix_diag_msg *m = NLMSG_DATA(h);
	const struct rtattr *a;
	ssize_t n;
	int left;

	*ret_n = 0;
	if (ask(diag, ino, UDIAG_SHOW_ICONS, 0, err))
		return -1;
	n = recv(diag, reply, sizeof(reply), 0);
	if (n < 0 || !NLMSG_OK(h, n))
		return ckpt_fail(err, CKPT_FAILED, errno, "the kernel does not tell of a socket");
	if (h->nlmsg_type == NLMSG_ERROR)
		return answer_error(h, err);
	a = (const struct rtattr *)(m + 1);
	left = (int)h->nlmsg_len - NLMSG_LENGTH(sizeof(*m));
	for (; RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		if (a->rta_type != UNIX_DIAG_ICONS || !RTA_PAYLOAD(a) || *ret_n)
			continue;
		*ret = malloc(RTA_PAYLOAD(a));
		if (!*ret)
			return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of sockets");
		memcpy(*ret, RTA_DATA(a), RTA_PAYLOAD(a));
		*ret_n = RTA_PAYLOAD(a) / sizeof(**ret);
	}
	return 0;
}

static bool is_file(const struct nlmsghdr *h, uint64_t dev, uint64_t ino)
{
	const struct unix_diag_msg *m = NLMSG_DATA(h);
	const struct rtattr *a = (const struct rtattr *)(m + 1);
	int left = (int)h->nlmsg_len - NLMSG_LENGTH(sizeof(*m));
	struct unix_diag_vfs vfs;

	for (; RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		if (a->rta_type != UNIX_DIAG_VFS)
			continue;
		memcpy(&vfs, RTA_DATA(a), sizeof(vfs));
		/* the kernel's own form of a device number */
		return vfs.udiag_vfs_ino == (uint32_t)ino &&
		       vfs.udiag_vfs_dev == (major(dev) << 20 | minor(dev));
	}
	return false;
}

int ckpt_unix_diag_bound(int diag, uint64_t dev, uint64_t ino, struct ckpt_err *err)
{
	_Alignas(struct nlmsghdr) char reply[REPLY_LEN];
	int found = 0;

	if (ask(diag, 0, UDIAG_SHOW_VFS, NLM_F_DUMP, err))
		return -1;
	for (;;) {
		const struct nlmsghdr *h = (const struct nlmsghdr *)reply;
		ssize_t n = recv(diag, reply, sizeof(reply), 0);

		if (n < 0)
			return ckpt_fail(err, CKPT_FAILED, errno,
					 "the kernel does not tell of sockets");
		for (; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
			if (h->nlmsg_type == NLMSG_DONE)
				return found;
			if (h->nlmsg_type == NLMSG_ERROR)
				return answer_error(h, err);
			found |= is_file(h, dev, ino);
		}
	}
}
