// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Unix sockets: made by stand-ins of those who made them, for the other end remembers who that was
 *
 * First the connected ones: those that were accepted need their name for a moment, which another
 * one may have for good.  The end that is closed is made as well, and stays open until it has
 * sent what it had sent.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/remote.h"
#include "proc/unix-build.h"

const struct ckpt_site *ckpt_unix_maker(struct ckpt_unix_builder *b, const struct ckpt_unix *u,
					struct ckpt_err *err)
{
	bool matters = u && u->peer_known;
	struct ckpt_stand_in *in = &b->in;

	if (!in->there || (matters && in->pid != u->peer_pid)) {
		if (ckpt_stand_in_lay(b->r, in, err) ||
		    ckpt_stand_in_raise(b->r, matters ? u->peer_pid : 0, 0, in, err))
			return NULL;
	}
	if (matters && ckpt_stand_in_dress(in, u->peer_uid, u->peer_gid, u->peer_groups,
					   u->n_peer_groups, err))
		return NULL;
	return &in->site;
}

/* Descriptor @fd of init becomes that of @u; or the closed other end of @of. */
static int settle(struct ckpt_unix_builder *b, int64_t fd, uint32_t u, uint32_t of,
		  struct ckpt_err *err)
{
	struct ckpt_restore *r = b->r;

	if (u != CKPT_NONE)
		return ckpt_build_place_new(r, fd, ckpt_unix_file(r->image, u), err);
	b->gone[of] = ckpt_build_borrow(r, fd, err);
	if (b->gone[of] < 0 || ckpt_site_call(&r->init_site, err, "close a descriptor", SYS_close,
					      ARGS(fd)) < 0)
		return -1;
	return 0;
}

static int64_t make(struct ckpt_unix_builder *b, uint32_t type, struct ckpt_err *err)
{
	const struct ckpt_site *s = ckpt_unix_maker(b, NULL, err);

	return s ? ckpt_site_call(s, err, "make a Unix socket", SYS_socket,
				  ARGS(AF_UNIX, type | SOCK_CLOEXEC, 0)) : -1;
}

static int make_pair(struct ckpt_unix_builder *b, uint32_t index, struct ckpt_err *err)
{
	const struct ckpt_image *image = b->r->image;
	const struct ckpt_unix *u = &image->unixes[index];
	uint32_t type = ckpt_unix_socket(image, index)->type;
	const struct ckpt_site *s = ckpt_unix_maker(b, u, err);
	int ends[2];

	if (!s || ckpt_site_call(s, err, "make a pair of Unix sockets", SYS_socketpair,
				 ARGS(AF_UNIX, type | SOCK_CLOEXEC, 0, s->scratch)) < 0 ||
	    ckpt_remote_read(s->tid, s->scratch, ends, sizeof(ends), err))
		return -1;
	if (type == SOCK_DGRAM && u->peer == CKPT_NONE &&
	    ckpt_unix_bind(b->r, ends[1], u->peer_name, u->peer_name_len, NULL, NULL, err))
		return -1;
	return settle(b, ends[0], index, CKPT_NONE, err) ||
	       settle(b, ends[1], u->peer, index, err) ? -1 : 0;
}

/**
 * struct meeting - a connection through a socket that listens
 * @client, @accepted: as they come to be, descriptors of init
 * @asks, @listens: whose other ends remember who connected, and who listened
 * @shut: what the client had shut before it connected, of which the other end does not know
 */
struct meeting {
	int64_t listener, file;
	int64_t client, accepted;
	const struct ckpt_unix *asks, *listens;
	uint32_t shut;
};

static int meet(struct ckpt_unix_builder *b, struct meeting *m, uint32_t type,
		const uint8_t *name, size_t len, struct ckpt_err *err)
{
	const struct ckpt_site *s, *init = &b->r->init_site;

	m->listener = make(b, type, err);
	if (m->listener < 0 || ckpt_unix_bind(b->r, m->listener, name, len, NULL, &m->file, err))
		return -1;
	s = ckpt_unix_maker(b, m->listens, err);
	if (!s || ckpt_site_call(s, err, "let a Unix socket listen", SYS_listen,
				 ARGS(m->listener, 1)) < 0)
		return -1;
	s = ckpt_unix_maker(b, m->asks, err);
	m->client = s ? ckpt_site_call(s, err, "make a Unix socket", SYS_socket,
				       ARGS(AF_UNIX, type | SOCK_CLOEXEC, 0)) : -1;
	if (m->client < 0 ||
	    (m->shut && ckpt_site_call(s, err, "shut a Unix socket", SYS_shutdown,
				       ARGS(m->client, m->shut - 1)) < 0) ||
	    ckpt_unix_connect(s, m->client, name, len, m->file, err))
		return -1;
	m->accepted = ckpt_site_call(init, err, "accept a Unix socket", SYS_accept4,
				     ARGS(m->listener, 0, 0, SOCK_CLOEXEC | SOCK_NONBLOCK));
	if (m->accepted < 0 ||
	    ckpt_site_call(init, err, "close a descriptor", SYS_close, ARGS(m->listener)) < 0 ||
	    (m->file >= 0 &&
	     ckpt_site_call(init, err, "close a descriptor", SYS_close, ARGS(m->file)) < 0))
		return -1;
	return 0;
}

/* Streams, of which one end has a name at most: that one was accepted. */
static int make_connected(struct ckpt_unix_builder *b, uint32_t index, struct ckpt_err *err)
{
	const struct ckpt_image *image = b->r->image;
	const struct ckpt_unix *u = &image->unixes[index];
	const struct ckpt_unix *peer = u->peer == CKPT_NONE ? NULL : &image->unixes[u->peer];
	const uint8_t *name = peer ? peer->name : u->peer_name;
	size_t len = peer ? peer->name_len : u->peer_name_len;
	struct meeting m = { .asks = peer, .listens = u };

	if (!u->name_len && !len)
		return make_pair(b, index, err);
	if (u->name_len) {
		m = (struct meeting){ .asks = u, .listens = peer };
		name = u->name;
		len = u->name_len;
	}
	if (peer)
		m.shut = u->name_len ? ckpt_unix_shut_alone(peer, u) :
				       ckpt_unix_shut_alone(u, peer);
	if (meet(b, &m, ckpt_unix_socket(image, index)->type, name, len, err))
		return -1;
	return settle(b, u->name_len ? m.accepted : m.client, index, CKPT_NONE, err) ||
	       settle(b, u->name_len ? m.client : m.accepted, u->peer, index, err) ? -1 : 0;
}

/* One whose other end is closed, which it was connected to by name. */
static int connect_to_gone(struct ckpt_unix_builder *b, uint32_t index, int64_t fd,
			   struct ckpt_err *err)
{
	const struct ckpt_unix *u = &b->r->image->unixes[index];
	int64_t other = make(b, SOCK_DGRAM, err), file;

	if (other < 0 || ckpt_unix_bind(b->r, other, u->peer_name, u->peer_name_len, NULL, &file,
					err) ||
	    ckpt_unix_connect(&b->r->init_site, fd, u->peer_name, u->peer_name_len, file, err) ||
	    (file >= 0 && ckpt_site_call(&b->r->init_site, err, "close a descriptor", SYS_close,
					 ARGS(file)) < 0))
		return -1;
	return settle(b, other, CKPT_NONE, index, err);
}

static int make_single(struct ckpt_unix_builder *b, uint32_t index, struct ckpt_err *err)
{
	const struct ckpt_image *image = b->r->image;
	const struct ckpt_unix *u = &image->unixes[index];
	int64_t fd = make(b, ckpt_unix_socket(image, index)->type, err);

	if (fd < 0 || (u->state == CKPT_UNIX_CONNECTED && u->peer == CKPT_NONE &&
		       !ckpt_unix_waits(image, index) && connect_to_gone(b, index, fd, err)))
		return -1;
	return settle(b, fd, index, CKPT_NONE, err);
}

static int build_socket(struct ckpt_unix_builder *b, uint32_t index, bool streams,
			struct ckpt_err *err)
{
	const struct ckpt_image *image = b->r->image;
	const struct ckpt_unix *u = &image->unixes[index];
	bool datagram = ckpt_unix_socket(image, index)->type == SOCK_DGRAM;
	bool connected = u->state == CKPT_UNIX_CONNECTED && !ckpt_unix_waits(image, index);

	if (streams != (!datagram && connected))
		return 0;
	if (connected && (!datagram || u->peer_known)) {
		if (u->peer != CKPT_NONE && u->peer < index)
			return 0;	/* made with that one */
		return datagram ? make_pair(b, index, err) : make_connected(b, index, err);
	}
	return make_single(b, index, err);
}

/* Does somebody send to it, or connect to it, when it has its name? */
static bool is_reached(const struct ckpt_image *image, uint32_t index)
{
	for (uint32_t i = 0; i < image->n_unixes; i++) {
		if (image->unixes[i].peer == index)
			return true;
	}
	return image->unixes[index].n_messages || image->unixes[index].n_waiting;
}

/* Names, once those that have one for a moment are done. */
static int name_socket(struct ckpt_unix_builder *b, uint32_t index, struct ckpt_err *err)
{
	const struct ckpt_image *image = b->r->image;
	const struct ckpt_unix *u = &image->unixes[index];
	int64_t fd = b->r->fd_base + ckpt_unix_file(image, index);
	const struct ckpt_site *s;

	if (u->state == CKPT_UNIX_CONNECTED && ckpt_unix_socket(image, index)->type != SOCK_DGRAM)
		return 0;
	if (ckpt_unix_bind(b->r, fd, u->name, u->name_len, u,
			   ckpt_unix_lost_file(u) && is_reached(image, index) ? &b->files[index] :
			   NULL, err))
		return -1;
	if (u->state != CKPT_UNIX_LISTENS)
		return 0;
	s = ckpt_unix_maker(b, u, err);
	return !s || ckpt_site_call(s, err, "let a Unix socket listen", SYS_listen,
				    ARGS(fd, u->backlog)) < 0 ? -1 : 0;
}

int ckpt_unix_reach(struct ckpt_unix_builder *b, uint32_t index, int64_t *ret_file,
		    struct ckpt_err *err)
{
	const struct ckpt_unix *u = &b->r->image->unixes[index];
	const struct ckpt_site *s = &b->r->init_site;
	uint64_t at;

	*ret_file = b->files[index];
	if (!u->path)
		return 0;
	at = ckpt_site_put(s, 0, u->path, strlen(u->path) + 1, err);
	*ret_file = at ? ckpt_site_call(s, err, "open a socket as a path", SYS_openat,
					ARGS(AT_FDCWD, at, O_PATH | O_CLOEXEC)) : -1;
	return *ret_file < 0 ? -1 : 0;
}

int ckpt_unix_reached(struct ckpt_unix_builder *b, uint32_t index, int64_t file,
		      struct ckpt_err *err)
{
	return file < 0 || file == b->files[index] ? 0 :
	       ckpt_site_call(&b->r->init_site, err, "close a descriptor", SYS_close,
			      ARGS(file)) < 0 ? -1 : 0;
}

/* Datagrams to one with a name. */
static int connect_socket(struct ckpt_unix_builder *b, uint32_t index, struct ckpt_err *err)
{
	struct ckpt_restore *r = b->r;
	const struct ckpt_unix *u = &r->image->unixes[index], *peer;
	int64_t file;

	if (u->peer == CKPT_NONE || u->peer_known ||
	    ckpt_unix_socket(r->image, index)->type != SOCK_DGRAM)
		return 0;
	peer = &r->image->unixes[u->peer];
	if (ckpt_unix_reach(b, u->peer, &file, err) ||
	    ckpt_unix_connect(&r->init_site, r->fd_base + ckpt_unix_file(r->image, index),
			      peer->name, peer->name_len, file, err))
		return -1;
	return ckpt_unix_reached(b, u->peer, file, err);
}

/* Those that are gone were kept for who connects. */
static int forget_file(struct ckpt_unix_builder *b, uint32_t index, struct ckpt_err *err)
{
	int64_t file = b->files[index];

	b->files[index] = -1;
	return ckpt_unix_reached(b, index, file, err);
}

typedef int (*step_fn)(struct ckpt_unix_builder *b, uint32_t index, struct ckpt_err *err);

static int build_streams(struct ckpt_unix_builder *b, uint32_t index, struct ckpt_err *err)
{
	return build_socket(b, index, true, err);
}

static int build_others(struct ckpt_unix_builder *b, uint32_t index, struct ckpt_err *err)
{
	return build_socket(b, index, false, err);
}

static int build(struct ckpt_unix_builder *b, struct ckpt_err *err)
{
	static const step_fn steps[] = {
		build_streams, build_others, name_socket, connect_socket, ckpt_unix_knock,
	};

	for (size_t k = 0; k < sizeof(steps) / sizeof(steps[0]); k++) {
		for (uint32_t i = 0; i < b->r->image->n_unixes; i++) {
			if (ckpt_unix_file(b->r->image, i) != CKPT_NONE && steps[k](b, i, err))
				return -1;
		}
	}
	if (ckpt_stand_in_lay(b->r, &b->in, err) || ckpt_unix_fill(b, err))
		return -1;
	for (uint32_t i = 0; i < b->r->image->n_unixes; i++) {
		if (forget_file(b, i, err))
			return -1;
	}
	return 0;
}

int ckpt_build_unixes(struct ckpt_restore *r, struct ckpt_err *err)
{
	struct ckpt_unix_builder b = { .r = r };
	size_t i, n = r->image->n_unixes;
	int failed;

	if (!n)
		return 0;
	b.gone = malloc(n * sizeof(*b.gone));
	b.files = malloc(n * sizeof(*b.files));
	if (!b.gone || !b.files) {
		free(b.gone);
		free(b.files);
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for sockets");
	}
	for (i = 0; i < n; i++) {
		b.gone[i] = -1;
		b.files[i] = -1;
	}
	failed = build(&b, err);
	for (i = 0; i < n; i++) {
		if (b.gone[i] >= 0)
			close(b.gone[i]);
	}
	free(b.gone);
	free(b.files);
	return failed;
}
