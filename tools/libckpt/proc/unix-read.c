// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Unix sockets: who is connected with whom, under which names, and what waits
 *
 * What is connected to a process outside the tree cannot come back: the other end would not know.
 */
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/glance.h"
#include "proc/procfs.h"
#include "proc/socket.h"
#include "proc/unix.h"
#include "proc/unix-read.h"
#include "proc/unix-waiting.h"

/* For a survey a refusal is no end. */
#define PASS(failed) ckpt_survey_pass(r->hold->survey, failed, err)

int ckpt_unix_refuse(const struct ckpt_reader *r, const struct ckpt_file *f, struct ckpt_err *err,
		     const char *why)
{
	const struct ckpt_held_proc *p = ckpt_tree_find(r->hold, f->capture_pid);

	ckpt_fail(err, CKPT_REFUSED, 0,
		"pid %d (%s) holds a Unix socket on descriptor %d %s, which this version cannot "
		"restore", f->capture_pid, p ? p->comm : "?", f->capture_fd, why);
	/* a connection that nobody has accepted yet, a question to a service of the machine */
	return ckpt_fail_passing(err);
}

static bool is_unix(const struct ckpt_image *image, const struct ckpt_file *f)
{
	return f->kind == CKPT_FILE_SOCKET && image->sockets[f->object].family == AF_UNIX;
}

static struct ckpt_unix *unix_of(const struct ckpt_image *image, const struct ckpt_file *f)
{
	return &image->unixes[image->sockets[f->object].part];
}

static int set_name(uint8_t **ret, size_t *ret_len, int own, bool peer, struct ckpt_err *err)
{
	uint8_t name[CKPT_UNIX_NAME_MAX];
	size_t n = ckpt_unix_name_of(own, peer, name);

	if (!n)
		return 0;
	*ret = malloc(n);
	if (!*ret)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a name");
	memcpy(*ret, name, n);
	*ret_len = n;
	return 0;
}

static int from_diag(const struct ckpt_reader *r, const struct ckpt_file *f, struct ckpt_unix *u,
		     const struct ckpt_unix_diag *d, struct ckpt_err *err)
{
	if (d->state == TCP_LISTEN) {
		u->state = CKPT_UNIX_LISTENS;
		u->backlog = d->backlog;
		return u->shutdown ? ckpt_unix_refuse(r, f, err, "that listens and is shut") : 0;
	}
	u->state = d->connected ? CKPT_UNIX_CONNECTED : CKPT_UNIX_ALONE;
	return 0;
}

/* The kernel keeps an error until it is told, and tells it only once: it is seen by poll alone. */
static int check_events(const struct ckpt_reader *r, const struct ckpt_file *f, int own,
			struct ckpt_unix *u, struct ckpt_err *err)
{
	uint32_t type = r->image->sockets[f->object].type;
	int events = ckpt_socket_events(own, POLLPRI), waiting = 0;

	if (events < 0)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot poll a Unix socket");
	if (events & POLLPRI)
		return ckpt_unix_refuse(r, f, err, "with out-of-band data that was not read");
	u->failed = events & POLLERR;
	if (!u->failed)
		return 0;
	if (type == SOCK_DGRAM || u->state != CKPT_UNIX_CONNECTED || u->peer_ino ||
	    u->shutdown != CKPT_UNIX_SHUT_BOTH)
		return ckpt_unix_refuse(r, f, err, "with an error that was not told yet");
	if (type == SOCK_SEQPACKET && (ioctl(own, SIOCINQ, &waiting) || waiting))
		return ckpt_unix_refuse(r, f, err, "with an error and messages that were not read");
	return 0;
}

static int look(struct ckpt_reader *r, const struct ckpt_file *f, int diag, int own,
		struct ckpt_err *err)
{
	struct ckpt_unix *u = unix_of(r->image, f);
	struct ckpt_unix_diag d;

	if (ckpt_unix_diag(diag, f->ino, &d, err))
		return -1;
	u->shutdown = d.shutdown;
	u->peer_ino = d.peer;
	/* what others are compared with comes before what it may be refused for */
	if (set_name(&u->name, &u->name_len, own, false, err) ||
	    ckpt_read_unix_peer(r, f, own, u, err) || from_diag(r, f, u, &d, err) ||
	    check_events(r, f, own, u, err) || ckpt_read_unix_path(r, f, own, u, err) ||
	    (d.waiting && u->state == CKPT_UNIX_LISTENS &&
	     ckpt_read_waiting(r, f, diag, own, u, err)))
		return -1;
	if (u->state == CKPT_UNIX_CONNECTED && !u->peer_ino)
		return set_name(&u->peer_name, &u->peer_name_len, own, true, err);
	return 0;
}

/* Is it on standard descriptors alone?  Those are of the restore, if it leads out. */
static bool is_standard(const struct ckpt_image *image, uint32_t index)
{
	for (size_t i = 0; i < image->n_fdtables; i++) {
		for (size_t j = 0; j < image->fdtables[i].n_fds; j++) {
			if (image->fdtables[i].fds[j].file == index)
				return ckpt_fd_beyond_standard(image, index) < 0;
		}
	}
	return false;
}

/* Of another network namespace, where the other end and its name are: outside, like these. */
static int elsewhere(struct ckpt_reader *r, struct ckpt_file *f, struct ckpt_err *err)
{
	if (!is_standard(r->image, f - r->image->files))
		return ckpt_unix_refuse(r, f, err, "of another network namespace");
	f->kind = CKPT_FILE_OUTER;
	return 0;
}

static int add(struct ckpt_reader *r, struct ckpt_file *f, int diag, struct ckpt_err *err)
{
	struct ckpt_image *image = r->image;
	bool ours;
	struct ckpt_unix *list = ckpt_grow(image->unixes, &image->n_unixes, sizeof(*list));
	cleanup_close int own = -1;

	if (!list)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of sockets");
	image->unixes = list;
	image->sockets[f->object].part = image->n_unixes - 1;
	unix_of(image, f)->ino = f->ino;
	unix_of(image, f)->peer = CKPT_NONE;
	own = ckpt_borrow_fd(f, err);
	if (own < 0 || ckpt_socket_is_ours(r, own, &ours, err))
		return -1;
	return ours ? look(r, f, diag, own, err) : elsewhere(r, f, err);
}

uint32_t ckpt_unix_by_ino(const struct ckpt_image *image, uint64_t ino)
{
	for (uint32_t i = 0; i < image->n_unixes; i++) {
		if (image->unixes[i].ino == ino)
			return i;
	}
	return CKPT_NONE;
}

/* For a survey: the other end was refused, and something else stands in its place. */
static bool is_replaced(const struct ckpt_reader *r, uint64_t ino)
{
	for (uint32_t i = 0; r->hold->survey && i < r->image->n_files; i++) {
		const struct ckpt_file *f = &r->image->files[i];

		if (f->kind != CKPT_FILE_SOCKET && S_ISSOCK(f->mode) && f->ino == ino)
			return true;
	}
	return false;
}

static int outside(struct ckpt_reader *r, size_t index, struct ckpt_err *err)
{
	struct ckpt_file *f = &r->image->files[index];
	char text[CKPT_UNIX_NAME_MAX + 1], why[CKPT_UNIX_NAME_MAX + 64];
	uint8_t name[CKPT_UNIX_NAME_MAX];
	cleanup_close int own = -1;
	size_t n;

	if (is_standard(r->image, index)) {
		f->kind = CKPT_FILE_OUTER;
		return 0;
	}
	own = ckpt_borrow_fd(f, err);
	if (own < 0)
		return -1;
	n = ckpt_unix_name_of(own, true, name);
	snprintf(why, sizeof(why), "that is connected to %s, outside the tree",
		 ckpt_unix_name_text(name, n, text));
	return ckpt_unix_refuse(r, f, err, why);
}

static int connect_datagram(const struct ckpt_reader *r, const struct ckpt_file *f,
			    const struct ckpt_unix *u, struct ckpt_err *err)
{
	const struct ckpt_unix *peer = &r->image->unixes[u->peer];

	if (peer->refused)
		return 0;
	if (peer->peer_ino == u->ino && u->peer_known && peer->peer_known)
		return 0;	/* socketpair */
	if (u->peer_known)
		return ckpt_unix_refuse(r, f, err, "that has left the other one of its pair");
	if (!peer->name_len)
		return ckpt_unix_refuse(r, f, err, "that is connected to one which has no name");
	return 0;
}

/* Has the socket with this number connected to one of the tree, which has not accepted it? */
static bool waits_for(const struct ckpt_image *image, uint64_t ino)
{
	for (size_t i = 0; i < image->n_unixes; i++) {
		for (size_t j = 0; j < image->unixes[i].n_waiting; j++) {
			if (image->unixes[i].waiting[j].ino == ino)
				return true;
		}
	}
	return false;
}

static int resolve(struct ckpt_reader *r, size_t index, struct ckpt_err *err)
{
	const struct ckpt_file *f = &r->image->files[index];
	struct ckpt_unix *u = unix_of(r->image, f);
	bool datagram = r->image->sockets[f->object].type == SOCK_DGRAM;

	if (u->state != CKPT_UNIX_CONNECTED) {
		if (datagram ? u->peer_known : u->shutdown != 0)
			return ckpt_unix_refuse(r, f, err, "that was connected before");
		return 0;
	}
	if (!u->peer_ino) {
		if (!datagram && waits_for(r->image, u->ino))
			return 0;
		if (!datagram && u->shutdown != CKPT_UNIX_SHUT_BOTH)
			return outside(r, index, err);	/* who has not accepted it yet */
		return datagram && !u->peer_known && !u->peer_name_len ? ckpt_unix_refuse(r, f,
			err, "whose other end is closed and had no name") : 0;
	}
	u->peer = ckpt_unix_by_ino(r->image, u->peer_ino);
	if (u->peer == CKPT_NONE) {
		u->refused = is_replaced(r, u->peer_ino);
		return u->refused ? 0 : outside(r, index, err);
	}
	if (datagram)
		return connect_datagram(r, f, u, err);
	if (u->name_len && r->image->unixes[u->peer].name_len)
		return ckpt_unix_refuse(r, f, err, "that is connected, with a name at both ends");
	/* the one that was accepted has a name, and knows of all that is shut */
	if (ckpt_unix_shut_alone(u, &r->image->unixes[u->peer]) &&
	    (u->name_len || !r->image->unixes[u->peer].name_len))
		return ckpt_unix_refuse(r, f, err, "that is shut in a way that its end is not");
	return 0;
}

/* Its peer may have turned out to be one that leads out of the tree. */
static int check_peer(const struct ckpt_reader *r, const struct ckpt_file *f, struct ckpt_err *err)
{
	const struct ckpt_unix *u = unix_of(r->image, f);

	return u->peer == CKPT_NONE || r->image->unixes[u->peer].refused ||
	       ckpt_unix_file(r->image, u->peer) != CKPT_NONE ? 0 :
	       ckpt_unix_refuse(r, f, err, "that is connected to one which leads out of the tree");
}

/* The file of a Unix socket of which nothing was refused yet, or NULL. */
static struct ckpt_file *to_look_at(const struct ckpt_image *image, size_t index)
{
	struct ckpt_file *f = &image->files[index];

	return is_unix(image, f) && !unix_of(image, f)->refused ? f : NULL;
}

/* A step of the look at one is over. */
static int pass(struct ckpt_reader *r, uint32_t index, int failed, struct ckpt_err *err)
{
	if (!failed)
		return 0;
	failed = PASS(failed);
	unix_of(r->image, &r->image->files[index])->refused = true;
	return failed;
}

/*
 * May it turn out to be connected to somebody outside?  Of standard descriptors that is no
 * refusal, and nothing of what waits in them is ours.
 */
static bool leads_out_perhaps(const struct ckpt_reader *r, uint32_t index)
{
	const struct ckpt_image *image = r->image;
	const struct ckpt_file *f = &image->files[index];
	const struct ckpt_unix *u = unix_of(image, f);

	if (u->state != CKPT_UNIX_CONNECTED || !is_standard(image, index))
		return false;
	return u->peer_ino ? ckpt_unix_by_ino(image, u->peer_ino) == CKPT_NONE :
	       image->sockets[f->object].type != SOCK_DGRAM &&
	       u->shutdown != CKPT_UNIX_SHUT_BOTH;
}

static int look_at(struct ckpt_reader *r, uint32_t index, int *diag, bool *ret_more,
		   struct ckpt_err *err)
{
	struct ckpt_file *f = &r->image->files[index];
	uint32_t *part = &r->image->sockets[f->object].part;

	if (*part == CKPT_NONE) {
		if (*diag < 0)
			*diag = ckpt_unix_diag_open(err);
		*ret_more = true;
		return *diag < 0 ? -1 : pass(r, index, add(r, f, *diag, err), err);
	}
	if (unix_of(r->image, f)->refused || ckpt_unix_looked(r, *part) ||
	    leads_out_perhaps(r, index))
		return 0;
	*ret_more = true;
	return pass(r, index, ckpt_look_unix_queue(r, index, err), err);
}

int ckpt_look_unixes(struct ckpt_reader *r, struct ckpt_err *err)
{
	cleanup_close int diag = -1;
	bool more = true;

	/* what waits in one may be another one, or the other end of one */
	while (more) {
		more = false;
		for (uint32_t i = 0; i < r->image->n_files; i++) {
			if (is_unix(r->image, &r->image->files[i]) &&
			    look_at(r, i, &diag, &more, err))
				return -1;
		}
	}
	return 0;
}

int ckpt_read_unixes(struct ckpt_reader *r, struct ckpt_err *err)
{
	struct ckpt_image *image = r->image;
	struct ckpt_file *f;

	for (size_t i = 0; i < image->n_files; i++) {
		f = to_look_at(image, i);
		if (f && pass(r, i, resolve(r, i, err), err))
			return -1;
	}
	for (size_t i = 0; i < image->n_files; i++) {
		f = to_look_at(image, i);
		if (f && pass(r, i, check_peer(r, f, err) ||
			      ckpt_read_unix_queue(r, f, unix_of(image, f), err), err))
			return -1;
	}
	return image->n_unixes && (ckpt_read_unix_pids(r, err) ||
				   ckpt_read_waiting_clients(r, err)) ? -1 : 0;
}
