// SPDX-License-Identifier: GPL-2.0-or-later
/* Consistency of the sockets of an image. */
#include "base/cleanup.h"
#include "proc/image-check.h"
#include "proc/socket.h"
#include "proc/tcp.h"
#include "proc/udp.h"
#include "proc/unix.h"

/* Each belongs to one file. */
static int check_owners(const struct ckpt_image *image, struct ckpt_err *err)
{
	cleanup_free bool *taken = calloc(image->n_sockets + 1, sizeof(*taken));

	if (!taken)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory to check the process image");
	for (size_t i = 0; i < image->n_files; i++) {
		const struct ckpt_file *f = &image->files[i];

		if (f->kind != CKPT_FILE_SOCKET)
			continue;
		if (taken[f->object])
			return BAD_IMAGE("two files are one socket");
		taken[f->object] = true;
	}
	return 0;
}

int ckpt_socket_parts_check(const struct ckpt_image *image, const struct ckpt_socket_parts *parts,
			    struct ckpt_err *err)
{
	cleanup_free bool *taken = calloc(parts->n + 1, sizeof(*taken));
	size_t n = 0;

	if (!taken)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory to check the process image");
	for (size_t i = 0; i < image->n_files; i++) {
		const struct ckpt_file *f = &image->files[i];
		const struct ckpt_socket *s;

		if (f->kind != CKPT_FILE_SOCKET || !parts->has(&image->sockets[f->object]))
			continue;
		s = &image->sockets[f->object];
		if (s->part >= parts->n || taken[s->part])
			return BAD_IMAGE("a %s socket is not described, or two are one",
					 parts->noun);
		taken[s->part] = true;
		n++;
		if (parts->check(image, s, err))
			return -1;
	}
	return n == parts->n ? 0 : BAD_IMAGE("a %s socket is no socket", parts->noun);
}

static int check_socket(const struct ckpt_socket *s, struct ckpt_err *err)
{
	for (size_t i = 0; i < s->n_options; i++) {
		if (s->options[i].len > CKPT_SOCKET_OPTION_MAX)
			return BAD_IMAGE("an option of a socket has %zu bytes", s->options[i].len);
	}
	switch (s->family) {
	case AF_UNIX:
	case AF_NETLINK:
		return 0;
	case AF_INET:
	case AF_INET6:
		return ckpt_tcp_socket(s) || ckpt_udp_socket(s) ? 0 :
		       BAD_IMAGE("a socket is of no known family");
	default:
		return BAD_IMAGE("a socket is of no known family");
	}
}

int ckpt_sockets_check(const struct ckpt_image *image, struct ckpt_err *err)
{
	for (size_t i = 0; i < image->n_sockets; i++) {
		if (check_socket(&image->sockets[i], err))
			return -1;
	}
	return check_owners(image, err) || ckpt_unixes_check(image, err) ||
	       ckpt_tcps_check(image, err) || ckpt_udps_check(image, err) ||
	       ckpt_nlsocks_check(image, err) ? -1 : 0;
}
