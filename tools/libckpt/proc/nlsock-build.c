// SPDX-License-Identifier: GPL-2.0-or-later
/* Netlink sockets: made in init, bound, in their groups; and compared. */
#include <errno.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "proc/nlsock.h"

#ifndef SOL_NETLINK
#define SOL_NETLINK 270
#endif

static int bind_to(int own, const struct ckpt_nlsock *n, struct ckpt_err *err)
{
	struct sockaddr_nl a = { .nl_family = AF_NETLINK, .nl_pid = n->port };

	if (!n->port || !bind(own, (struct sockaddr *)&a, sizeof(a)))
		return 0;
	return ckpt_fail(err, CKPT_REFUSED, errno,
			 "a netlink socket of the checkpoint cannot have its number %u", n->port);
}

static int join(int own, const struct ckpt_nlsock *n, struct ckpt_err *err)
{
	for (size_t i = 0; i < n->n_groups * 32; i++) {
		int group = i + 1;

		if (n->groups[i / 32] & 1u << i % 32 &&
		    setsockopt(own, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)))
			return ckpt_fail(err, CKPT_REFUSED, errno,
					 "a netlink socket cannot join its group %d", group);
	}
	return 0;
}

static int settle(int own, const struct ckpt_nlsock *n, struct ckpt_err *err)
{
	struct sockaddr_nl peer = { .nl_family = AF_NETLINK, .nl_pid = n->peer_port,
				    .nl_groups = n->peer_groups };

	if (bind_to(own, n, err))
		return -1;
	if ((n->peer_port || n->peer_groups) &&
	    connect(own, (struct sockaddr *)&peer, sizeof(peer)))
		return ckpt_fail(err, CKPT_REFUSED, errno,
				 "a netlink socket cannot be connected as it was");
	return join(own, n, err);
}

static int make(struct ckpt_restore *r, size_t index, struct ckpt_err *err)
{
	const struct ckpt_socket *s = &r->image->sockets[r->image->files[index].object];
	cleanup_close int own = ckpt_build_socket(r, index, err);

	return own < 0 ? -1 : settle(own, &r->image->nlsocks[s->part], err);
}

int ckpt_build_nlsocks(struct ckpt_restore *r, struct ckpt_err *err)
{
	for (size_t i = 0; i < r->image->n_files; i++) {
		const struct ckpt_file *f = &r->image->files[i];

		if (f->kind == CKPT_FILE_SOCKET &&
		    r->image->sockets[f->object].family == AF_NETLINK && make(r, i, err))
			return -1;
	}
	return 0;
}

int ckpt_nlsock_try(const struct ckpt_image *image, const struct ckpt_socket *s, int own,
		    struct ckpt_err *err)
{
	return settle(own, &image->nlsocks[s->part], err);
}

int ckpt_verify_nlsock(const struct ckpt_restore *r, const struct ckpt_socket *s, int own,
		       struct ckpt_err *err)
{
	const struct ckpt_nlsock *n = &r->image->nlsocks[s->part];
	struct ckpt_nlsock is = { 0 };
	int failed = ckpt_nlsock_get(own, &is, err);
	bool same = !failed && is.port == n->port && is.peer_port == n->peer_port &&
		    is.peer_groups == n->peer_groups && is.n_groups == n->n_groups &&
		    (!n->n_groups ||
		     !memcmp(is.groups, n->groups, n->n_groups * sizeof(*n->groups)));

	free(is.groups);
	if (failed)
		return -1;
	return same ? 0 : NOT_AS_CAPTURED("a netlink socket is not that of the checkpoint");
}
