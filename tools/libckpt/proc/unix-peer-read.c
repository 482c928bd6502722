// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who made the other end of a Unix socket (SO_PEERCRED, SO_PEERGROUPS)
 *
 * That may be a process that has ended.  Its pid in the namespace of the tree only a process of
 * that namespace is told, so where it matters a child of ours goes there and asks.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/unix-read.h"

#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59
#endif

static int read_groups(int own, struct ckpt_unix *u, struct ckpt_err *err)
{
	socklen_t len = 0;

	if (!getsockopt(own, SOL_SOCKET, SO_PEERGROUPS, NULL, &len) || errno != ERANGE)
		return 0;
	u->peer_groups = malloc(len);
	if (!u->peer_groups)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for groups");
	if (getsockopt(own, SOL_SOCKET, SO_PEERGROUPS, u->peer_groups, &len))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot look at a Unix socket");
	u->n_peer_groups = len / sizeof(*u->peer_groups);
	return 0;
}

/* A process by its pid here, as the tree calls it; 0: none of it. */
static int32_t name_in_tree(const struct ckpt_image *image, pid_t pid)
{
	for (size_t i = 0; i < image->n_tasks; i++) {
		if (image->tasks[i].host_pid == pid)
			return image->tasks[i].pid;
	}
	return image->private_pidns ? 0 : pid;
}

int ckpt_read_unix_peer(struct ckpt_reader *r, const struct ckpt_file *f, int own,
			struct ckpt_unix *u, struct ckpt_err *err)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(own, SOL_SOCKET, SO_PEERCRED, &cred, &len))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot look at a Unix socket");
	if (!cred.pid && cred.uid == (uid_t)-1)
		return 0;
	(void)f;
	u->peer_known = true;
	u->peer_pid = cred.pid ? name_in_tree(r->image, cred.pid) : 0;
	u->peer_uid = cred.uid;
	u->peer_gid = cred.gid;
	return read_groups(own, u, err);
}

static bool is_asked(const struct ckpt_image *image, const struct ckpt_file *f)
{
	const struct ckpt_socket *s = f->kind == CKPT_FILE_SOCKET ? &image->sockets[f->object] :
				      NULL;

	return s && s->family == AF_UNIX && image->unixes[s->part].peer_known &&
	       !image->unixes[s->part].peer_pid;
}

/* In the pid namespace of the tree.  Descriptors are ours, pids are told to all of us. */
static void __attribute__((noreturn)) tell(const int *fds, size_t n, int32_t *pids)
{
	for (size_t i = 0; i < n; i++) {
		struct ucred cred;
		socklen_t len = sizeof(cred);

		if (getsockopt(fds[i], SOL_SOCKET, SO_PEERCRED, &cred, &len))
			_exit(1);
		pids[i] = cred.pid;
	}
	_exit(0);
}

/* Ask from a child in the namespace of process @pid. */
static int ask_there(pid_t pid, const int *fds, size_t n, int32_t *pids, struct ckpt_err *err)
{
	cleanup_close int own = open("/proc/self/ns/pid_for_children", O_RDONLY | O_CLOEXEC);
	cleanup_close int there = -1;
	char path[64];
	int status = -1;
	pid_t child;

	snprintf(path, sizeof(path), "/proc/%d/ns/pid", pid);
	there = open(path, O_RDONLY | O_CLOEXEC);
	if (own < 0 || there < 0 || setns(there, CLONE_NEWPID))
		return ckpt_fail(err, CKPT_FAILED, errno,
				 "cannot enter the pid namespace of pid %d", pid);
	child = fork();
	if (!child)
		tell(fds, n, pids);
	if (setns(own, CLONE_NEWPID))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot leave a pid namespace");
	while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return child > 0 && !status ? 0 :
	       ckpt_fail(err, CKPT_FAILED, 0, "cannot ask in the pid namespace of pid %d", pid);
}

static int ask(struct ckpt_reader *r, const size_t *files, int *fds, size_t n,
	       struct ckpt_err *err)
{
	const size_t len = n * sizeof(int32_t);
	int32_t *pids = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct ckpt_image *image = r->image;
	int failed;

	if (pids == MAP_FAILED)
		return ckpt_fail(err, CKPT_FAILED, errno, "no memory for pids");
	failed = ask_there(ckpt_first_held(r->hold)->pid, fds, n, pids, err);
	for (size_t i = 0; i < n && !failed; i++) {
		const struct ckpt_file *f = &image->files[files[i]];

		image->unixes[image->sockets[f->object].part].peer_pid = pids[i];
	}
	munmap(pids, len);
	return failed;
}

/* One that is not in the namespace of the tree, or its init, cannot make it again. */
static int check_pids(const struct ckpt_reader *r, struct ckpt_err *err)
{
	const struct ckpt_image *image = r->image;

	for (size_t i = 0; i < image->n_files; i++) {
		const struct ckpt_file *f = &image->files[i];
		const struct ckpt_unix *u;

		if (f->kind != CKPT_FILE_SOCKET || image->sockets[f->object].family != AF_UNIX)
			continue;
		u = &image->unixes[image->sockets[f->object].part];
		if (u->peer_known && u->peer_pid < 2 && !u->refused &&
		    ckpt_survey_pass(r->hold->survey, ckpt_unix_refuse(r, f, err, "whose other end "
				     "was made by a process that the tree does not see"), err))
			return -1;
	}
	return 0;
}

int ckpt_read_unix_pids(struct ckpt_reader *r, struct ckpt_err *err)
{
	struct ckpt_image *image = r->image;
	cleanup_free size_t *files = calloc(image->n_unixes, sizeof(*files));
	cleanup_free int *fds = calloc(image->n_unixes, sizeof(*fds));
	size_t n = 0;
	int failed = 0;

	if (!files || !fds)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for pids");
	for (size_t i = 0; i < image->n_files && !failed; i++) {
		if (!is_asked(image, &image->files[i]))
			continue;
		fds[n] = ckpt_borrow_fd(&image->files[i], err);
		failed = fds[n] < 0;
		if (!failed)
			files[n++] = i;
	}
	if (n && !failed)
		failed = ask(r, files, fds, n, err);
	while (n)
		close(fds[--n]);
	return failed ? -1 : check_pids(r, err);
}
