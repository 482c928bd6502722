// SPDX-License-Identifier: GPL-2.0-or-later
/* Consistency of the netlink sockets of an image. */
#include <sys/socket.h>

#include "proc/image-check.h"
#include "proc/nlsock.h"

static bool is_netlink(const struct ckpt_socket *s)
{
	return s->family == AF_NETLINK;
}

static int check_part(const struct ckpt_image *image, const struct ckpt_socket *s,
		      struct ckpt_err *err)
{
	size_t n = image->nlsocks[s->part].n_groups;

	return n <= CKPT_NLSOCK_WORDS_MAX ? 0 :
	       BAD_IMAGE("a netlink socket is in %zu groups", n * 32);
}

int ckpt_nlsocks_check(const struct ckpt_image *image, struct ckpt_err *err)
{
	const struct ckpt_socket_parts parts = { "netlink", image->n_nlsocks, is_netlink,
						 check_part };

	return ckpt_socket_parts_check(image, &parts, err);
}
