// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sockets: made by the files of their families, given their options, compared
 *
 * Options are set through a descriptor of ours, so with our rights, and only where they are not
 * as wanted already.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/socket.h"

static bool has_option(int own, const struct ckpt_socket_option *o)
{
	uint8_t value[CKPT_SOCKET_OPTION_MAX];
	socklen_t len = o->len;

	return !getsockopt(own, o->level, o->name, value, &len) && len == o->len &&
	       !memcmp(value, o->value, len);
}

/* A buffer is made twice as large as asked for. */
static int set_buffer(int own, const struct ckpt_socket_option *o)
{
	int value;

	memcpy(&value, o->value, sizeof(value));
	value /= 2;
	return setsockopt(own, SOL_SOCKET, o->name == SO_SNDBUF ? SO_SNDBUFFORCE : SO_RCVBUFFORCE,
			  &value, sizeof(value)) &&
	       setsockopt(own, SOL_SOCKET, o->name, &value, sizeof(value));
}

static int set_option(int own, const struct ckpt_socket_option *o, struct ckpt_err *err)
{
	bool buffer = o->level == SOL_SOCKET && (o->name == SO_SNDBUF || o->name == SO_RCVBUF) &&
		      o->len == sizeof(int);

	if (has_option(own, o))
		return 0;
	if (buffer ? set_buffer(own, o) : setsockopt(own, o->level, o->name, o->value, o->len))
		return ckpt_fail(err, CKPT_REFUSED, errno, "cannot set option %u of a socket",
				 o->name);
	return has_option(own, o) ? 0 :
	       ckpt_fail(err, CKPT_REFUSED, 0, "option %u of a socket is not what was set",
			 o->name);
}

int ckpt_build_socket_options(const struct ckpt_socket *s, int own, struct ckpt_err *err)
{
	for (size_t i = 0; i < s->n_options; i++) {
		if (set_option(own, &s->options[i], err))
			return -1;
	}
	return 0;
}

int ckpt_socket_try(const struct ckpt_image *image, struct ckpt_err *err)
{
	for (size_t i = 0; i < image->n_sockets; i++) {
		const struct ckpt_socket *s = &image->sockets[i];
		cleanup_close int own = socket(s->family, s->type | SOCK_CLOEXEC, s->protocol);

		if (own < 0)
			return ckpt_fail(err, CKPT_REFUSED, errno,
					 "cannot make a socket of family %u and type %u",
					 s->family, s->type);
		if (ckpt_build_socket_options(s, own, err))
			return -1;
	}
	return 0;
}

int ckpt_build_sockets(struct ckpt_restore *r, struct ckpt_err *err)
{
	(void)r;
	(void)err;
	return 0;
}

static int verify_options(const struct ckpt_socket *s, int own, struct ckpt_err *err)
{
	for (size_t i = 0; i < s->n_options; i++) {
		if (!has_option(own, &s->options[i]))
			return ckpt_fail(err, CKPT_FAILED, 0,
					 "option %u of a socket is not that of the checkpoint",
					 s->options[i].name);
	}
	return 0;
}

int ckpt_verify_sockets(struct ckpt_restore *r, struct ckpt_err *err)
{
	for (size_t i = 0; i < r->image->n_files; i++) {
		const struct ckpt_file *f = &r->image->files[i];
		cleanup_close int own = -1;

		if (f->kind != CKPT_FILE_SOCKET)
			continue;
		own = ckpt_build_borrow(r, r->fd_base + i, err);
		if (own < 0 || verify_options(&r->image->sockets[f->object], own, err))
			return -1;
	}
	return 0;
}
