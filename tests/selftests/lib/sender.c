// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who sends requests at random, hears what is answered and counts it
 */
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/genetlink.h>
#include <linux/netlink.h>

#include "lib/sender.h"
#include "lib/world.h"

#ifndef SOL_NETLINK
#define SOL_NETLINK 270
#endif

struct answers *answers;

const char *const sender_cmd_names[] = {
	[CKPT_CMD_GROUP_NEW] = "group-new", [CKPT_CMD_GROUP_DEL] = "group-del",
	[CKPT_CMD_GROUP_GET] = "group-get", [CKPT_CMD_ROOT_ADD] = "root-add",
	[CKPT_CMD_ROOT_DEL] = "root-del", [CKPT_CMD_EPOCH_BEGIN] = "epoch-begin",
	[CKPT_CMD_EPOCH_NEXT] = "epoch-next", [CKPT_CMD_EPOCH_COMMIT] = "epoch-commit",
	[CKPT_CMD_EPOCH_ABORT] = "epoch-abort", [CKPT_CMD_PAGE_DUMP] = "page-dump",
	[CKPT_CMD_INODE_DUMP] = "inode-dump", [CKPT_CMD_GROUP_SET] = "group-set",
	[ROW_NONE] = "no operation", [ROW_SYSFS] = "sysfs",
};

void answers_make(void)
{
	answers = mmap(NULL, sizeof(*answers), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	if (answers == MAP_FAILED)
		die("memory");
}

static void open_socket(struct sender *s)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	int one = 1;

	s->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	if (s->fd < 0 || connect(s->fd, (struct sockaddr *)&kernel, sizeof(kernel)))
		die("a socket");
	if (fuzz_below(&s->fuzz, 2))
		setsockopt(s->fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one));
	if (fuzz_below(&s->fuzz, 2))
		setsockopt(s->fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one));
}

static void count(struct sender *s, uint32_t seq, int err)
{
	size_t at = seq % 256;
	int row = s->asked[at].cmd;

	if (s->asked[at].seq != seq || !s->asked[at].request)
		return;
	if (row > CKPT_CMD_MAX || !sender_cmd_names[row])
		row = ROW_NONE;
	answers->got[row][-err < ERRNOS ? -err : ERRNOS - 1]++;
	answers->slipped += !err && !s->rights;
}

static void hear_message(struct sender *s, const struct nlmsghdr *h)
{
	const unsigned char *p = (const unsigned char *)h + NLMSG_HDRLEN + GENL_HDRLEN;
	const unsigned char *end = (const unsigned char *)h + h->nlmsg_len;
	const struct genlmsghdr *genl = NLMSG_DATA(h);
	struct nlattr a;
	int err;

	if (h->nlmsg_type == NLMSG_ERROR || h->nlmsg_type == NLMSG_DONE) {
		memcpy(&err, NLMSG_DATA(h), sizeof(err));
		count(s, h->nlmsg_seq, err < 0 ? err : 0);
		return;
	}
	if (h->nlmsg_type != s->fuzz.family)
		return;
	if (!(h->nlmsg_flags & NLM_F_MULTI) && !s->asked[h->nlmsg_seq % 256].ack)
		count(s, h->nlmsg_seq, 0);
	if (genl->cmd != CKPT_CMD_EPOCH_BEGIN)
		return;
	for (; p + NLA_HDRLEN <= end; p += NLA_ALIGN(a.nla_len)) {
		memcpy(&a, p, sizeof(a));
		if (a.nla_len < NLA_HDRLEN)
			break;
		if (a.nla_type == CKPT_A_EPOCH)
			memcpy(&s->fuzz.epoch, p + NLA_HDRLEN, sizeof(s->fuzz.epoch));
	}
}

/* All that has been answered; this is what makes the kernel go on with a dump. */
static void hear(struct sender *s)
{
	struct nlmsghdr *h;
	ssize_t len;

	for (;;) {
		len = recv(s->fd, s->heard, sizeof(s->heard), MSG_DONTWAIT);
		if (len < 0 && errno == ENOBUFS)
			continue;
		if (len < 0)
			return;
		for (h = (struct nlmsghdr *)s->heard; NLMSG_OK(h, len); h = NLMSG_NEXT(h, len))
			hear_message(s, h);
	}
}

static void send_one(struct sender *s)
{
	struct fuzz_message *m = &s->message;
	size_t at = ++s->seq % 256;

	fuzz_write(&s->fuzz, s->seq, m);
	s->asked[at].seq = s->seq;
	s->asked[at].cmd = m->cmd;
	s->asked[at].request = m->request;
	s->asked[at].ack = m->ack;
	/* what is longer than the socket takes is refused there */
	if (send(s->fd, m->bytes, m->len, 0) >= 0 || errno == EMSGSIZE || errno == ENOBUFS)
		answers->sent++;
	else
		die("send");
}

void *sender_batch(void *arg)
{
	struct sender *s = arg;
	unsigned int i;

	open_socket(s);
	for (i = 0; i < s->nr; i++) {
		send_one(s);
		/* dumps stay unread at times, and sockets close with them */
		if (fuzz_below(&s->fuzz, 8))
			hear(s);
		if (!fuzz_below(&s->fuzz, 64)) {
			close(s->fd);
			open_socket(s);
		}
	}
	hear(s);
	close(s->fd);
	return NULL;
}

pid_t sender_without_rights(struct sender *s)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid)
		return pid;
	if (setgroups(0, NULL) || setgid(65534) || setuid(65534))
		_exit(1);
	sender_batch(s);
	_exit(0);
}
