// SPDX-License-Identifier: GPL-2.0-or-later
/* Comparison of Unix sockets with the image, and what of it this machine has no place for. */
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/glance.h"
#include "proc/unix.h"

static bool has_name(int own, bool peer, const uint8_t *wanted, size_t len)
{
	uint8_t name[CKPT_UNIX_NAME_MAX];

	return ckpt_unix_name_of(own, peer, name) == len &&
	       (!len || !memcmp(name, wanted, len));
}

static int verify_names(const struct ckpt_image *image, const struct ckpt_unix *u, int own,
			struct ckpt_err *err)
{
	const struct ckpt_unix *peer = u->peer == CKPT_NONE ? NULL : &image->unixes[u->peer];

	if (!has_name(own, false, u->name, u->name_len) ||
	    !has_name(own, true, peer ? peer->name : u->peer_name,
		      peer ? peer->name_len : u->peer_name_len))
		return NOT_AS_CAPTURED("a Unix socket has other names than in the checkpoint");
	return 0;
}

static int verify_peer(const struct ckpt_unix *u, int own, struct ckpt_err *err)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(own, SOL_SOCKET, SO_PEERCRED, &cred, &len))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot look at a Unix socket");
	if (u->peer_known ? cred.uid != u->peer_uid || cred.gid != u->peer_gid :
			    cred.uid != (uid_t)-1)
		return NOT_AS_CAPTURED("a Unix socket was made by user %u instead of %u", cred.uid,
				       u->peer_uid);
	return 0;
}

static int verify_state(const struct ckpt_restore *r, const struct ckpt_unix *u, uint32_t type,
			int own, struct ckpt_err *err)
{
	static const uint8_t states[] = {
		[CKPT_UNIX_LISTENS] = TCP_LISTEN, [CKPT_UNIX_CONNECTED] = TCP_ESTABLISHED,
	};
	cleanup_close int diag = ckpt_unix_diag_open(err);
	cleanup_close int peer = -1;
	struct ckpt_unix_diag d;
	struct stat st, other = { 0 };

	if (diag < 0 || fstat(own, &st) || ckpt_unix_diag(diag, st.st_ino, &d, err))
		return -1;
	if (u->peer != CKPT_NONE) {
		peer = ckpt_build_borrow((struct ckpt_restore *)r,
					 r->fd_base + ckpt_unix_file(r->image, u->peer), err);
		if (peer < 0 || fstat(peer, &other))
			return -1;
	}
	if (d.shutdown != u->shutdown || d.connected != (u->state == CKPT_UNIX_CONNECTED) ||
	    (states[u->state] && d.state != states[u->state]) || d.peer != other.st_ino ||
	    (u->state == CKPT_UNIX_LISTENS && d.backlog != u->backlog))
		return NOT_AS_CAPTURED("a Unix socket is not connected as in the checkpoint");
	return u->state != CKPT_UNIX_LISTENS ? 0 :
	       ckpt_verify_waiting(r, u, type, diag, own, err);
}

/* Are the descriptors that came with @now those of the files of @m in init, as captured? */
static int verify_files(struct ckpt_restore *r, const struct ckpt_unix_peeked *now,
			const struct ckpt_unix_message *m, struct ckpt_err *err)
{
	for (size_t i = 0; i < m->n_files; i++) {
		if (syscall(SYS_kcmp, getpid(), r->init.pid, KCMP_FILE, now->fds[i],
			    r->fd_base + m->files[i]))
			return NOT_AS_CAPTURED("a message in a Unix socket brings another file");
		if (ckpt_verify_brought(r, m->files[i], err))
			return -1;
	}
	return 0;
}

static int verify_queue(const struct ckpt_restore *r, const struct ckpt_unix *u, uint32_t type,
			int own, struct ckpt_err *err)
{
	cleanup_with(ckpt_unix_queue_done) struct ckpt_unix_queue q = { 0 };

	/* one of no bytes would not show any more after this look */
	for (size_t i = 0; i < u->n_messages; i++) {
		if (!u->messages[i].len)
			return 0;
	}
	if (u->n_messages && ckpt_unix_peek(own, type, false, &q, err))
		return -1;
	if (q.n != u->n_messages)
		return NOT_AS_CAPTURED("%zu messages wait in a Unix socket instead of %zu", q.n,
				       u->n_messages);
	for (size_t i = 0; i < q.n; i++) {
		const struct ckpt_unix_peeked *now = &q.messages[i];
		const struct ckpt_unix_message *m = &u->messages[i];

		if (now->len != m->len || now->n_fds != m->n_files ||
		    (m->len && memcmp(now->data, m->data, m->len)))
			return NOT_AS_CAPTURED("a message in a Unix socket is not that of the "
					       "checkpoint");
		if (verify_files((struct ckpt_restore *)r, now, m, err))
			return -1;
	}
	return 0;
}

int ckpt_verify_unix(const struct ckpt_restore *r, size_t index, int own, struct ckpt_err *err)
{
	const struct ckpt_socket *s = &r->image->sockets[r->image->files[index].object];
	const struct ckpt_unix *u = &r->image->unixes[s->part];
	int events = ckpt_socket_events(own, 0);

	if (events < 0 || !(events & POLLERR) == u->failed)
		return NOT_AS_CAPTURED("a Unix socket has another error than in the checkpoint");
	return verify_names(r->image, u, own, err) || verify_peer(u, own, err) ||
	       verify_state(r, u, s->type, own, err) ||
	       verify_queue(r, u, s->type, own, err) ? -1 : 0;
}

/* A name without a file that nobody has. */
static int check_abstract(const struct ckpt_unix *u, uint32_t type, struct ckpt_err *err)
{
	cleanup_close int own = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	char text[CKPT_UNIX_NAME_MAX + 1];

	if (own < 0 || u->name_len > sizeof(un.sun_path))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot make a Unix socket");
	memcpy(un.sun_path, u->name, u->name_len);
	if (!bind(own, (struct sockaddr *)&un,
		  offsetof(struct sockaddr_un, sun_path) + u->name_len))
		return 0;
	return ckpt_fail(err, CKPT_REFUSED, errno, "the name %s of a Unix socket of the checkpoint",
			 ckpt_unix_name_text(u->name, u->name_len, text));
}

/* Whose namespace it is in is no matter: only a file that nobody has refuses. */
static bool answers(const char *path)
{
	cleanup_close int file = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	cleanup_close int own = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	if (file < 0)
		return false;
	snprintf(un.sun_path, sizeof(un.sun_path), "/proc/self/fd/%d", file);
	return own < 0 || !connect(own, (struct sockaddr *)&un, sizeof(un)) ||
	       errno != ECONNREFUSED;
}

/* The directory of a file is there, and nothing that is in use is in its place. */
static int check_place(const struct ckpt_restore_params *params, const struct ckpt_unix *u,
		       struct ckpt_err *err)
{
	cleanup_free char *dir = strdup(u->path);
	cleanup_close int diag = -1;
	struct stat st;
	int bound;

	if (!dir)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a path");
	*(strrchr(dir, '/') + (strrchr(dir, '/') == dir)) = 0;
	if ((stat(dir, &st) || !S_ISDIR(st.st_mode)) &&
	    !(params->later && params->later(params->later_arg, u->path)))
		return ckpt_fail(err, CKPT_REFUSED, 0,
			"the checkpoint has a Unix socket %s, whose directory is not there",
			u->path);
	if (lstat(u->path, &st))
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return params->later && params->later(params->later_arg, u->path) ? 0 :
		       ckpt_fail(err, CKPT_REFUSED, 0,
				 "the checkpoint has a Unix socket %s, where there is something "
				 "else now", u->path);
	diag = ckpt_unix_diag_open(err);
	bound = diag < 0 ? -1 : ckpt_unix_diag_bound(diag, st.st_dev, st.st_ino, err);
	return bound < 0 || (!bound && !answers(u->path)) ? bound :
	       ckpt_fail(err, CKPT_REFUSED, 0,
			 "the checkpoint has a Unix socket %s, which a process has bound; end that "
			 "process first", u->path);
}

int ckpt_unix_preflight(const struct ckpt_restore_params *params, struct ckpt_err *err)
{
	const struct ckpt_image *image = params->image;

	for (uint32_t i = 0; i < image->n_unixes; i++) {
		const struct ckpt_unix *u = &image->unixes[i];
		uint32_t type;

		if (ckpt_unix_file(image, i) == CKPT_NONE)
			continue;
		type = ckpt_unix_socket(image, i)->type;
		if (type != SOCK_DGRAM && u->state == CKPT_UNIX_CONNECTED)
			continue;
		/* a network namespace that is made anew has none of these names */
		if ((u->name_len && !u->name[0] && !image->n_net &&
		     check_abstract(u, type, err)) ||
		    (u->path && check_place(params, u, err)))
			return -1;
	}
	return 0;
}
