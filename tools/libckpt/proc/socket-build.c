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
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/nlsock.h"
#include "proc/socket.h"
#include "proc/tcp-outside.h"
#include "proc/udp.h"
#include "proc/unix.h"

/* A kernel that does not know an option does as if it were off; this one, as if it were on. */
static bool is_usual(const struct ckpt_socket_option *o)
{
	bool on = o->level == SOL_SOCKET && o->name == SO_PASSRIGHTS;
	uint8_t any = 0;

	for (size_t i = 0; i < o->len; i++)
		any |= o->value[i];
	return !any != on;
}

static bool has_option(int own, const struct ckpt_socket_option *o)
{
	uint8_t value[CKPT_SOCKET_OPTION_MAX];
	/* a name of an interface has to have room, however short it is */
	socklen_t len = sizeof(value);

	if (getsockopt(own, o->level, o->name, value, &len))
		return (errno == ENOPROTOOPT || errno == EOPNOTSUPP) && is_usual(o);
	return len == o->len && (!len || !memcmp(value, o->value, len));
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

int ckpt_build_socket(struct ckpt_restore *r, size_t index, struct ckpt_err *err)
{
	const struct ckpt_socket *s = &r->image->sockets[r->image->files[index].object];
	cleanup_close int own = -1;
	int64_t fd = ckpt_site_call(&r->init_site, err, "make a socket", SYS_socket,
				    ARGS(s->family, s->type | SOCK_CLOEXEC, s->protocol));

	if (fd < 0 || ckpt_build_place_new(r, fd, index, err))
		return -1;
	own = ckpt_build_borrow(r, r->fd_base + index, err);
	return own < 0 || ckpt_build_socket_options(s, own, err) ? -1 : take_fd(own);
}

int ckpt_socket_try(const struct ckpt_image *image, struct ckpt_err *err)
{
	if (ckpt_tcp_try_connections(image, err))
		return -1;
	for (size_t i = 0; i < image->n_sockets; i++) {
		const struct ckpt_socket *s = &image->sockets[i];
		cleanup_close int own = socket(s->family, s->type | SOCK_CLOEXEC, s->protocol);

		if (own < 0)
			return ckpt_fail(err, CKPT_REFUSED, errno,
					 "cannot make a socket of family %u and type %u",
					 s->family, s->type);
		if (ckpt_build_socket_options(s, own, err) ||
		    (ckpt_tcp_socket(s) && ckpt_tcp_try(image, s, own, err)) ||
		    (ckpt_udp_socket(s) && ckpt_udp_try(image, s, own, err)) ||
		    (s->family == AF_NETLINK && ckpt_nlsock_try(image, s, own, err)))
			return -1;
	}
	return 0;
}

/* Owner, mode and options, which come last: some would stand in the way before. */
static int finish(struct ckpt_restore *r, size_t index, struct ckpt_err *err)
{
	const struct ckpt_file *f = &r->image->files[index];
	cleanup_close int own = ckpt_build_borrow(r, r->fd_base + index, err);
	struct stat st;

	if (own < 0)
		return -1;
	if (fstat(own, &st) ||
	    ((st.st_uid != f->uid || st.st_gid != f->gid) && fchown(own, f->uid, f->gid)) ||
	    (st.st_mode != f->mode && fchmod(own, f->mode & 07777)))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot set owner and mode of a socket");
	return ckpt_build_socket_options(&r->image->sockets[f->object], own, err);
}

static int build_sockets(void *arg, struct ckpt_err *err)
{
	struct ckpt_restore *r = arg;

	if (ckpt_build_tcps(r, err) || ckpt_build_udps(r, err) || ckpt_build_nlsocks(r, err) ||
	    ckpt_build_unixes(r, err))
		return -1;
	for (size_t i = 0; i < r->image->n_files; i++) {
		if (r->image->files[i].kind == CKPT_FILE_SOCKET && finish(r, i, err))
			return -1;
	}
	return ckpt_outside_quiet(r, err);
}

int ckpt_build_sockets(struct ckpt_restore *r, struct ckpt_err *err)
{
	return ckpt_build_in_net(r, build_sockets, err);
}

static int verify_options(const struct ckpt_restore *r, const struct ckpt_socket *s, int own,
			  struct ckpt_err *err)
{
	bool waits = ckpt_tcp_socket(s) && ckpt_outside_goes_on(r, s->part);

	for (size_t i = 0; i < s->n_options; i++) {
		if (!(waits && ckpt_outside_quiets(&s->options[i])) &&
		    !has_option(own, &s->options[i]))
			return NOT_AS_CAPTURED("option %u of a socket is not that of the "
					       "checkpoint", s->options[i].name);
	}
	return 0;
}

static int verify_sockets(void *arg, struct ckpt_err *err)
{
	struct ckpt_restore *r = arg;

	for (size_t i = 0; i < r->image->n_files; i++) {
		const struct ckpt_file *f = &r->image->files[i];
		const struct ckpt_socket *s;
		cleanup_close int own = -1;

		if (f->kind != CKPT_FILE_SOCKET)
			continue;
		s = &r->image->sockets[f->object];
		own = ckpt_build_borrow(r, r->fd_base + i, err);
		if (own < 0 || verify_options(r, s, own, err) ||
		    (ckpt_tcp_socket(s) && ckpt_verify_tcp(r, s, own, err)) ||
		    (ckpt_udp_socket(s) && ckpt_verify_udp(r, s, own, err)) ||
		    (s->family == AF_NETLINK && ckpt_verify_nlsock(r, s, own, err)) ||
		    (s->family == AF_UNIX && ckpt_verify_unix(r, i, own, err)))
			return -1;
	}
	return 0;
}

int ckpt_verify_sockets(struct ckpt_restore *r, struct ckpt_err *err)
{
	return ckpt_build_in_net(r, verify_sockets, err);
}
