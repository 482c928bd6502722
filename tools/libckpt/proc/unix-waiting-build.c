// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Connections that nobody has accepted: made once more, in their order, by stand-ins of who made
 * them, for the end that accept will give remembers who that was
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/unix-build.h"
#include "proc/unix-waiting.h"

static int send_all(int own, const struct ckpt_unix_waiting *w, struct ckpt_err *err)
{
	for (size_t i = 0; i < w->n_messages; i++) {
		const struct ckpt_unix_message *m = &w->messages[i];

		if (send(own, m->data, m->len, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)m->len)
			return ckpt_fail(err, CKPT_FAILED, errno,
					 "cannot put %zu bytes into a Unix socket", m->len);
	}
	return 0;
}

/* What it had sent and shut since it was connected. */
static int fill(struct ckpt_unix_builder *b, const struct ckpt_unix_waiting *w, int64_t fd,
		struct ckpt_err *err)
{
	cleanup_close int own = ckpt_build_borrow(b->r, fd, err);
	const uint32_t shut = ckpt_unix_shut_there(w->shutdown);

	if (own < 0 || ckpt_unix_make_room(own, w->messages, w->n_messages, err) ||
	    send_all(own, w, err))
		return -1;
	if (w->client != CKPT_NONE && shut && shutdown(own, shut - 1))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot shut a Unix socket");
	return 0;
}

static int make_one(struct ckpt_unix_builder *b, uint32_t index, const struct ckpt_unix_waiting *w,
		    int64_t file, struct ckpt_err *err)
{
	const struct ckpt_image *image = b->r->image;
	const struct ckpt_unix *u = &image->unixes[index];
	const struct ckpt_unix *client = w->client == CKPT_NONE ? NULL :
					 &image->unixes[w->client];
	const struct ckpt_unix who = {
		.peer_known = true, .peer_pid = w->pid, .peer_uid = w->uid, .peer_gid = w->gid,
		.peer_groups = w->groups, .n_peer_groups = w->n_groups,
	};
	const struct ckpt_site *s = ckpt_unix_maker(b, &who, err);
	uint32_t early = client ? client->shutdown & ~ckpt_unix_shut_there(w->shutdown) : 0;
	int64_t fd;

	if (!s)
		return -1;
	fd = client ? b->r->fd_base + ckpt_unix_file(image, w->client) :
	     ckpt_site_call(s, err, "make a Unix socket", SYS_socket,
			    ARGS(AF_UNIX, ckpt_unix_socket(image, index)->type | SOCK_CLOEXEC, 0));
	if (fd < 0 || (early && ckpt_site_call(s, err, "shut a Unix socket", SYS_shutdown,
					       ARGS(fd, early - 1)) < 0) ||
	    ckpt_unix_connect(s, fd, u->name, u->name_len, file, err) || fill(b, w, fd, err))
		return -1;
	return client ? 0 : ckpt_site_call(&b->r->init_site, err, "close a descriptor", SYS_close,
					   ARGS(fd)) < 0 ? -1 : 0;
}

int ckpt_unix_knock(struct ckpt_unix_builder *b, uint32_t index, struct ckpt_err *err)
{
	const struct ckpt_unix *u = &b->r->image->unixes[index];
	int64_t file;

	if (!u->n_waiting)
		return 0;
	if (ckpt_unix_reach(b, index, &file, err))
		return -1;
	for (size_t i = 0; i < u->n_waiting; i++) {
		if (make_one(b, index, &u->waiting[i], file, err))
			return -1;
	}
	return ckpt_unix_reached(b, index, file, err);
}

/* Is it that one? */
static int verify_one(const struct ckpt_restore *r, const struct ckpt_unix_waiting *w,
		      uint32_t ino, struct ckpt_err *err)
{
	cleanup_close int own = -1;
	struct stat st = { 0 };

	if (w->client != CKPT_NONE) {
		own = ckpt_build_borrow((struct ckpt_restore *)r,
					r->fd_base + ckpt_unix_file(r->image, w->client), err);
		if (own < 0 || fstat(own, &st))
			return -1;
	}
	return (uint32_t)st.st_ino == ino ? 0 :
	       NOT_AS_CAPTURED("another connection than in the checkpoint waits to be accepted");
}

static bool same_messages(const struct ckpt_unix_waiting *a, const struct ckpt_unix_waiting *b)
{
	if (a->n_messages != b->n_messages || a->shutdown != b->shutdown || a->uid != b->uid ||
	    a->gid != b->gid || a->n_groups != b->n_groups ||
	    (a->n_groups && memcmp(a->groups, b->groups, a->n_groups * sizeof(*a->groups))))
		return false;
	for (size_t i = 0; i < a->n_messages; i++) {
		if (a->messages[i].len != b->messages[i].len ||
		    (a->messages[i].len && memcmp(a->messages[i].data, b->messages[i].data,
						  a->messages[i].len)))
			return false;
	}
	return true;
}

/* Where the kernel tells it. */
static int verify_content(const struct ckpt_unix *u, uint32_t type, int own, struct ckpt_err *err)
{
	struct ckpt_unix now = { .peer_uid = u->peer_uid, .peer_gid = u->peer_gid };
	struct ckpt_waiting_peek peek;
	const char *odd = NULL;
	bool same = true;

	if (ckpt_waiting_peek_open(&peek))
		return 0;
	if (!ckpt_waiting_peek(&peek, own, type, &now, &odd)) {
		same = !odd && now.n_waiting == u->n_waiting;
		for (size_t i = 0; same && i < u->n_waiting; i++)
			same = same_messages(&u->waiting[i], &now.waiting[i]);
	}
	ckpt_waiting_forget(&now);
	ckpt_waiting_peek_close(&peek);
	return same ? 0 : NOT_AS_CAPTURED("a connection that waits to be accepted is not as in "
					  "the checkpoint");
}

int ckpt_verify_waiting(const struct ckpt_restore *r, const struct ckpt_unix *u, uint32_t type,
			int diag, int own, struct ckpt_err *err)
{
	cleanup_free uint32_t *list = NULL;
	struct stat st;
	size_t n;

	if (fstat(own, &st) || ckpt_unix_diag_waiting(diag, st.st_ino, &list, &n, err))
		return -1;
	if (n != u->n_waiting)
		return NOT_AS_CAPTURED("%zu connections wait to be accepted instead of %zu", n,
				       u->n_waiting);
	for (size_t i = 0; i < n; i++) {
		if (verify_one(r, &u->waiting[i], list[i], err))
			return -1;
	}
	return n ? verify_content(u, type, own, err) : 0;
}
