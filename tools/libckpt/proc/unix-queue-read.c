// SPDX-License-Identifier: GPL-2.0-or-later
/* What waits in a Unix socket: data, who sent it, and open files that come with it. */
#include <poll.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/glance.h"
#include "proc/procfs.h"
#include "proc/unix-read.h"

static int take_files(const struct ckpt_reader *r, const struct ckpt_file *f,
		      struct ckpt_unix_peeked *p, struct ckpt_unix_message *m,
		      struct ckpt_err *err)
{
	if (!p->n_fds)
		return 0;
	m->files = p->files;
	m->n_files = p->n_fds;
	p->files = NULL;
	for (size_t i = 0; i < m->n_files; i++) {
		if (r->image->files[m->files[i]].kind == CKPT_FILE_OUTER)
			return ckpt_unix_refuse(r, f, err, "in which a descriptor waits that "
				"leads out of the tree");
		if (!ckpt_unix_brings(r->image->files[m->files[i]].kind))
			return ckpt_unix_refuse(r, f, err, "in which a pidfd, an io_uring or a "
						"file of procfs waits");
	}
	return 0;
}

static bool same_name(const struct ckpt_unix_peeked *p, const uint8_t *name, size_t len)
{
	return p->from_len == len && (!len || !memcmp(p->from, name, len));
}

/* What a connected socket gets comes from its peer, but for what came before. */
static int find_sender(const struct ckpt_reader *r, const struct ckpt_file *f,
		       const struct ckpt_unix *u, const struct ckpt_unix_peeked *p,
		       struct ckpt_unix_message *m, struct ckpt_err *err)
{
	const struct ckpt_image *image = r->image;
	const struct ckpt_unix *peer = u->peer == CKPT_NONE ? NULL : &image->unixes[u->peer];
	bool of_peer = peer ? same_name(p, peer->name, peer->name_len) :
			      same_name(p, u->peer_name, u->peer_name_len);

	m->sender = CKPT_NONE;
	if (image->sockets[f->object].type != SOCK_DGRAM)
		return 0;
	if (u->state == CKPT_UNIX_CONNECTED)
		return of_peer && (!peer || peer->peer_ino == u->ino) ? 0 :
		       ckpt_unix_refuse(r, f, err, "in which messages wait that are not from the "
					"one that it is connected to");
	for (uint32_t i = 0; p->from_len && i < image->n_unixes; i++) {
		const struct ckpt_unix *o = &image->unixes[i];

		/* one that leads out of the tree is no socket of the image any more */
		if (!same_name(p, o->name, o->name_len) || o->state == CKPT_UNIX_LISTENS ||
		    ckpt_unix_file(image, i) == CKPT_NONE ||
		    ckpt_unix_socket(image, i)->type != SOCK_DGRAM)
			continue;
		m->sender = i;
		return 0;
	}
	return ckpt_unix_refuse(r, f, err, "in which messages wait whose sender is not known");
}

static int add(const struct ckpt_reader *r, const struct ckpt_file *f, struct ckpt_unix *u,
	       struct ckpt_unix_peeked *p, struct ckpt_err *err)
{
	struct ckpt_unix_message *list = ckpt_grow(u->messages, &u->n_messages, sizeof(*list));

	if (!list)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a message");
	u->messages = list;
	list += u->n_messages - 1;
	list->data = p->data;
	list->len = p->len;
	p->data = NULL;
	return take_files(r, f, p, list, err) || find_sender(r, f, u, p, list, err) ? -1 : 0;
}

/* One that looks ahead by itself would see where we have looked. */
static bool looks_ahead(int own)
{
	int value = -1;
	socklen_t len = sizeof(value);

	return !getsockopt(own, SOL_SOCKET, SO_PEEK_OFF, &value, &len) && value >= 0;
}

/* What the kernel counts of all that was sent by @own and not read. */
static int unread(int own)
{
	int n;

	return ioctl(own, SIOCOUTQ, &n) ? -1 : n;
}

/* The same of @q, sent once more in a pair of our own. */
static int unread_of(const struct ckpt_unix_queue *q, uint32_t type)
{
	const int room = 1 << 28;
	int ends[2], n = -1;

	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends))
		return -1;
	setsockopt(ends[0], SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
	for (size_t i = 0; i < q->n; i++) {
		if (send(ends[0], q->messages[i].data, q->messages[i].len, MSG_DONTWAIT) < 0)
			goto out;
	}
	n = unread(ends[0]);
out:
	close(ends[0]);
	close(ends[1]);
	return n;
}

/*
 * A datagram of no bytes shows once: then the kernel takes it for looked at, and leaves it out
 * of what it shows behind others.  It still counts for who sent it.
 */
static int check_hidden(const struct ckpt_reader *r, const struct ckpt_file *f,
			const struct ckpt_unix *u, const struct ckpt_unix_queue *q, uint32_t type,
			struct ckpt_err *err)
{
	cleanup_close int peer = -1;

	if (type == SOCK_STREAM || u->peer == CKPT_NONE || !q->n ||
	    r->image->unixes[u->peer].peer_ino != u->ino)
		return 0;
	peer = ckpt_borrow_fd(&r->image->files[ckpt_unix_file(r->image, u->peer)], err);
	if (peer < 0)
		return -1;
	if (unread(peer) == unread_of(q, type))
		return 0;
	return ckpt_unix_refuse(r, f, err,
		"with unread messages that do not show, being of no bytes");
}

/* Return: 1 when there may be something in it. */
static int has_content(const struct ckpt_unix *u, uint32_t type, int own)
{
	int waiting = 0;

	if (u->state == CKPT_UNIX_LISTENS || (type != SOCK_DGRAM && u->state == CKPT_UNIX_ALONE))
		return 0;
	if (type == SOCK_STREAM || u->failed)
		return !ioctl(own, SIOCINQ, &waiting) && waiting;
	return 1;
}

/* The queue of the @u-th Unix socket of the image, made when it is not there yet. */
static struct ckpt_unix_queue *queue_of(struct ckpt_reader *r, uint32_t u)
{
	while (r->n_queues <= u) {
		struct ckpt_unix_queue *list = ckpt_grow(r->queues, &r->n_queues, sizeof(*list));

		if (!list)
			return NULL;
		r->queues = list;
		list[r->n_queues - 1] = (struct ckpt_unix_queue){ 0 };
	}
	return &r->queues[u];
}

void ckpt_unix_queues_done(struct ckpt_reader *r)
{
	for (size_t i = 0; i < r->n_queues; i++)
		ckpt_unix_queue_done(&r->queues[i]);
	free(r->queues);
}

int ckpt_look_unix_queue(struct ckpt_reader *r, uint32_t file, struct ckpt_err *err)
{
	const struct ckpt_file *f = &r->image->files[file];
	const struct ckpt_socket *s = &r->image->sockets[f->object];
	const struct ckpt_unix *u = &r->image->unixes[s->part];
	cleanup_with(ckpt_unix_queue_done) struct ckpt_unix_queue q = { 0 };
	struct ckpt_unix_queue *queue = queue_of(r, s->part);
	cleanup_close int own = ckpt_borrow_fd(f, err);

	if (!queue)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a queue");
	queue->looked = true;
	if (own < 0)
		return -1;
	if (!has_content(u, s->type, own))
		return 0;
	if (looks_ahead(own) && ckpt_socket_events(own, POLLIN) & POLLIN)
		return ckpt_unix_refuse(r, f, err, "with unread data and SO_PEEK_OFF");
	if (ckpt_unix_peek(own, s->type, true, &q, err))
		return -1;
	if (q.n && ckpt_unix_tells_more(own))
		return ckpt_unix_refuse(r, f, err, "with unread messages that are told with "
			"credentials or times (SO_PASSCRED, SO_TIMESTAMP)");
	/* the list of files moves with those that are added */
	for (size_t i = 0; i < q.n; i++) {
		if (ckpt_read_flight(r, file, &q.messages[i], err))
			return -1;
	}
	q.looked = true;
	*queue = q;
	q = (struct ckpt_unix_queue){ 0 };
	return 0;
}

bool ckpt_unix_looked(const struct ckpt_reader *r, uint32_t u)
{
	return u < r->n_queues && r->queues[u].looked;
}

int ckpt_read_unix_queue(struct ckpt_reader *r, const struct ckpt_file *f, struct ckpt_unix *u,
			 struct ckpt_err *err)
{
	const struct ckpt_socket *s = &r->image->sockets[f->object];
	struct ckpt_unix_queue *q = queue_of(r, s->part);

	if (!q)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a queue");
	if (check_hidden(r, f, u, q, s->type, err))
		return -1;
	for (size_t i = 0; i < q->n; i++) {
		if (add(r, f, u, &q->messages[i], err))
			return -1;
	}
	return 0;
}
