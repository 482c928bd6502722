// SPDX-License-Identifier: GPL-2.0-or-later
/* Consistency of the netlink sockets of an image. */
#include <stdlib.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "proc/image-check.h"
#include "proc/nlsock.h"

int ckpt_nlsocks_check(const struct ckpt_image *image, struct ckpt_err *err)
{
	cleanup_free bool *taken = calloc(image->n_nlsocks + 1, sizeof(*taken));
	size_t n = 0;

	if (!taken)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory to check the process image");
	/* each is of one file, through which it is built */
	for (size_t i = 0; i < image->n_files; i++) {
		const struct ckpt_file *f = &image->files[i];
		const struct ckpt_socket *s;

		if (f->kind != CKPT_FILE_SOCKET || image->sockets[f->object].family != AF_NETLINK)
			continue;
		s = &image->sockets[f->object];
		if (s->part >= image->n_nlsocks || taken[s->part])
			return BAD_IMAGE("a netlink socket is not described, or two are one");
		taken[s->part] = true;
		n++;
		if (image->nlsocks[s->part].n_groups > CKPT_NLSOCK_WORDS_MAX)
			return BAD_IMAGE("a netlink socket is in %zu groups",
					 image->nlsocks[s->part].n_groups * 32);
	}
	return n == image->n_nlsocks ? 0 : BAD_IMAGE("a netlink socket is no socket");
}
