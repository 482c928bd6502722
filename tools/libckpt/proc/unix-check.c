// SPDX-License-Identifier: GPL-2.0-or-later
/* Consistency of the Unix sockets of an image. */
#include <string.h>

#include "proc/image-check.h"
#include "proc/unix.h"

bool ckpt_unix_brought(const struct ckpt_image *image, size_t index)
{
	for (size_t i = 0; i < image->n_unixes; i++) {
		const struct ckpt_unix *u = &image->unixes[i];

		for (size_t j = 0; j < u->n_messages; j++) {
			for (size_t k = 0; k < u->messages[j].n_files; k++) {
				if (u->messages[j].files[k] == index)
					return true;
			}
		}
	}
	return false;
}

const struct ckpt_unix_waiting *ckpt_unix_waits(const struct ckpt_image *image, uint32_t u)
{
	for (size_t i = 0; i < image->n_unixes; i++) {
		for (size_t j = 0; j < image->unixes[i].n_waiting; j++) {
			if (image->unixes[i].waiting[j].client == u)
				return &image->unixes[i].waiting[j];
		}
	}
	return NULL;
}

static int check_message(const struct ckpt_image *image, const struct ckpt_unix_message *m,
			 uint32_t type, struct ckpt_err *err)
{
	if (m->n_files > CKPT_UNIX_FILES_MAX || (type == SOCK_STREAM && !m->len))
		return BAD_IMAGE("a message of a Unix socket is impossible");
	for (size_t i = 0; i < m->n_files; i++) {
		if (m->files[i] >= image->n_files)
			return BAD_IMAGE("a message brings a file that is not there");
		if (!ckpt_unix_brings(image->files[m->files[i]].kind))
			return BAD_IMAGE("a message brings what cannot be sent");
	}
	if (m->sender == CKPT_NONE)
		return 0;
	if (m->sender >= image->n_unixes || type != SOCK_DGRAM ||
	    ckpt_unix_file(image, m->sender) == CKPT_NONE ||
	    ckpt_unix_socket(image, m->sender)->type != SOCK_DGRAM ||
	    !image->unixes[m->sender].name_len)
		return BAD_IMAGE("a message has an impossible sender");
	return 0;
}

static int check_messages(const struct ckpt_image *image, const struct ckpt_unix *u,
			  uint32_t type, struct ckpt_err *err)
{
	if (u->n_messages &&
	    (u->state == CKPT_UNIX_LISTENS || (u->state == CKPT_UNIX_ALONE && type != SOCK_DGRAM)))
		return BAD_IMAGE("a Unix socket has messages from nobody");
	for (size_t i = 0; i < u->n_messages; i++) {
		if (check_message(image, &u->messages[i], type, err))
			return -1;
		if ((u->messages[i].sender == CKPT_NONE) != (u->state == CKPT_UNIX_CONNECTED))
			return BAD_IMAGE("a message has no sender");
	}
	return 0;
}

/* Streams are connected both ways; what one end has shut the other one has shut as well. */
static int check_peer(const struct ckpt_image *image, uint32_t index, uint32_t type,
		      struct ckpt_err *err)
{
	const struct ckpt_unix *u = &image->unixes[index], *peer;

	if (u->peer == CKPT_NONE) {
		if (u->failed && (u->state != CKPT_UNIX_CONNECTED || type == SOCK_DGRAM))
			return BAD_IMAGE("a Unix socket has an impossible error");
		return 0;
	}
	if (u->state != CKPT_UNIX_CONNECTED || u->failed || u->peer >= image->n_unixes ||
	    ckpt_unix_file(image, u->peer) == CKPT_NONE ||
	    ckpt_unix_socket(image, u->peer)->type != type)
		return BAD_IMAGE("a Unix socket is connected to what is none");
	peer = &image->unixes[u->peer];
	if (type == SOCK_DGRAM) {
		if (u->peer_known ? peer->peer != index || !peer->peer_known || u->peer == index :
		    !peer->name_len)
			return BAD_IMAGE("a Unix socket is connected to one without a name");
		return 0;
	}
	/* who has been accepted, and so has a name, knows of all that is shut */
	if (peer->peer != index || u->peer == index || !u->peer_known ||
	    (u->name_len && peer->name_len) ||
	    (ckpt_unix_shut_alone(u, peer) && (u->name_len || !peer->name_len)))
		return BAD_IMAGE("the ends of a Unix socket do not fit together");
	return 0;
}

/* The client of @w has nothing but what it had sent; @w is the only connection it has made. */
static int check_client(const struct ckpt_image *image, const struct ckpt_unix_waiting *w,
			uint32_t type, struct ckpt_err *err)
{
	const struct ckpt_unix *c;

	if (w->client == CKPT_NONE)
		return w->shutdown == CKPT_UNIX_SHUT_BOTH ? 0 :
		       BAD_IMAGE("a connection of a closed Unix socket is not shut");
	if (w->client >= image->n_unixes || ckpt_unix_file(image, w->client) == CKPT_NONE ||
	    ckpt_unix_socket(image, w->client)->type != type ||
	    ckpt_unix_waits(image, w->client) != w)
		return BAD_IMAGE("a connection is of no Unix socket, or one of two of it");
	c = &image->unixes[w->client];
	if (c->state != CKPT_UNIX_CONNECTED || c->peer != CKPT_NONE || c->name_len || c->failed ||
	    c->n_messages || ckpt_unix_shut_there(w->shutdown) & ~c->shutdown)
		return BAD_IMAGE("a Unix socket cannot have made a connection");
	return 0;
}

static int check_waiting(const struct ckpt_image *image, const struct ckpt_unix *u, uint32_t type,
			 struct ckpt_err *err)
{
	if (u->n_waiting &&
	    (u->state != CKPT_UNIX_LISTENS || u->n_waiting > (uint64_t)u->backlog + 1))
		return BAD_IMAGE("more connections wait in a Unix socket than it has room for");
	for (size_t i = 0; i < u->n_waiting; i++) {
		const struct ckpt_unix_waiting *w = &u->waiting[i];

		if (w->pid < 2 || (int32_t)w->uid == -1 || w->shutdown > CKPT_UNIX_SHUT_BOTH)
			return BAD_IMAGE("a connection was made by nobody");
		if (check_client(image, w, type, err))
			return -1;
		for (size_t j = 0; j < w->n_messages; j++) {
			if (w->messages[j].n_files || w->messages[j].sender != CKPT_NONE ||
			    (type == SOCK_STREAM && !w->messages[j].len))
				return BAD_IMAGE("a message of a connection is impossible");
		}
	}
	return 0;
}

static int check_unix(const struct ckpt_image *image, uint32_t index, uint32_t type,
		      struct ckpt_err *err)
{
	const struct ckpt_unix *u = &image->unixes[index];

	if (u->state > CKPT_UNIX_CONNECTED || u->shutdown > CKPT_UNIX_SHUT_BOTH ||
	    u->name_len > CKPT_UNIX_NAME_MAX || u->peer_name_len > CKPT_UNIX_NAME_MAX ||
	    (u->state == CKPT_UNIX_LISTENS && (!u->name_len || type == SOCK_DGRAM)))
		return BAD_IMAGE("a Unix socket is in no known state");
	if (u->path && (u->path[0] != '/' || !strrchr(u->path, '/')[1] || !u->name_len ||
			!u->name[0]))
		return BAD_IMAGE("a Unix socket has a file without a name");
	if (u->peer_known && (u->peer_pid < 2 || (int32_t)u->peer_uid == -1))
		return BAD_IMAGE("the other end of a Unix socket was made by nobody");
	if (u->state == CKPT_UNIX_CONNECTED && type != SOCK_DGRAM && u->peer == CKPT_NONE &&
	    (!u->peer_known ||
	     (u->shutdown != CKPT_UNIX_SHUT_BOTH && !ckpt_unix_waits(image, index))))
		return BAD_IMAGE("a Unix socket is not shut whose other end is closed");
	return check_peer(image, index, type, err) || check_messages(image, u, type, err) ||
	       check_waiting(image, u, type, err) ? -1 : 0;
}

int ckpt_unixes_check(const struct ckpt_image *image, struct ckpt_err *err)
{
	for (size_t i = 0; i < image->n_files; i++) {
		const struct ckpt_file *f = &image->files[i];
		const struct ckpt_socket *s;

		if (f->kind != CKPT_FILE_SOCKET)
			continue;
		s = &image->sockets[f->object];
		if (s->family != AF_UNIX)
			continue;
		if (s->part >= image->n_unixes ||
		    (s->type != SOCK_STREAM && s->type != SOCK_DGRAM &&
		     s->type != SOCK_SEQPACKET) ||
		    ckpt_unix_file(image, s->part) != i)
			return BAD_IMAGE("a Unix socket is not there");
		if (check_unix(image, s->part, s->type, err))
			return -1;
	}
	return 0;
}
