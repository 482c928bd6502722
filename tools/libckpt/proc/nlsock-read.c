// SPDX-License-Identifier: GPL-2.0-or-later
/* Netlink sockets: as the calls for addresses and groups tell of them. */
#include <errno.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "proc/glance.h"
#include "proc/nlsock.h"
#include "proc/procfs.h"

#ifndef SOL_NETLINK
#define SOL_NETLINK 270
#endif

#define FLAG(name) { SOL_NETLINK, name, sizeof(int), true }

static const struct ckpt_socket_option_name own_options[] = {
	FLAG(NETLINK_PKTINFO), FLAG(NETLINK_BROADCAST_ERROR), FLAG(NETLINK_NO_ENOBUFS),
	FLAG(NETLINK_LISTEN_ALL_NSID), FLAG(NETLINK_CAP_ACK), FLAG(NETLINK_EXT_ACK),
	FLAG(NETLINK_GET_STRICT_CHK),
};

static int refuse(const struct ckpt_reader *r, const struct ckpt_file *f, const char *what,
		  struct ckpt_err *err)
{
	const struct ckpt_held_proc *p = ckpt_tree_find(r->hold, f->capture_pid);

	ckpt_fail(err, CKPT_REFUSED, 0,
		"pid %d (%s) holds netlink socket %d %s, which this version cannot restore",
		f->capture_pid, p ? p->comm : "?", f->capture_fd, what);
	return ckpt_fail_passing(err);
}

/* Bits by number of the group, from 1 on; words without any at the end are left out. */
static int get_groups(int own, struct ckpt_nlsock *ret, struct ckpt_err *err)
{
	uint32_t words[CKPT_NLSOCK_WORDS_MAX] = { 0 };
	socklen_t len = sizeof(words);
	size_t n;

	if (getsockopt(own, SOL_NETLINK, NETLINK_LIST_MEMBERSHIPS, words, &len))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot read the groups of a socket");
	if (len > sizeof(words))
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "a netlink socket has room for more groups than can be kept");
	for (n = len / sizeof(words[0]); n && !words[n - 1]; n--)
		;
	ret->groups = calloc(n + 1, sizeof(*ret->groups));
	if (!ret->groups)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a socket");
	memcpy(ret->groups, words, n * sizeof(words[0]));
	ret->n_groups = n;
	return 0;
}

int ckpt_nlsock_get(int own, struct ckpt_nlsock *ret, struct ckpt_err *err)
{
	struct sockaddr_nl local, remote;
	socklen_t len = sizeof(local), remote_len = sizeof(remote);

	if (getsockname(own, (struct sockaddr *)&local, &len) ||
	    getpeername(own, (struct sockaddr *)&remote, &remote_len))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot read the address of a socket");
	ret->port = local.nl_pid;
	ret->peer_port = remote.nl_pid;
	ret->peer_groups = remote.nl_groups;
	return get_groups(own, ret, err);
}

int ckpt_read_nlsock(struct ckpt_reader *r, const struct ckpt_file *f, struct ckpt_socket *s,
		     int own, struct ckpt_err *err)
{
	struct ckpt_image *image = r->image;
	struct ckpt_nlsock *n = ckpt_grow(image->nlsocks, &image->n_nlsocks, sizeof(*n));
	int events = ckpt_socket_events(own, POLLIN);

	if (!n)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of netlink sockets");
	image->nlsocks = n;
	s->part = image->n_nlsocks - 1;
	n += s->part;
	if (events < 0)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot poll a netlink socket");
	/* others tie what they have set up to the socket: tables, queues, registrations */
	if (s->protocol != NETLINK_ROUTE && s->protocol != NETLINK_SOCK_DIAG &&
	    s->protocol != NETLINK_KOBJECT_UEVENT)
		return refuse(r, f, "of another protocol than route, diag and uevent", err);
	/* a long answer goes on when what has come of it is read */
	if (events & POLLIN)
		return refuse(r, f, "with an answer that is not read", err);
	if (events & POLLERR)
		return refuse(r, f, "with an error that is not read", err);
	return ckpt_nlsock_get(own, n, err) ||
	       ckpt_read_socket_options(s, own, own_options,
					sizeof(own_options) / sizeof(own_options[0]), err) ? -1 : 0;
}
