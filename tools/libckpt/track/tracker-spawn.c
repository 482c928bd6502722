// SPDX-License-Identifier: GPL-2.0-or-later
/* Start, find and end of the tracker's process. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "track/tracker-main.h"
#include "track/tracker-wire.h"

/* A round of a huge group takes tens of milliseconds. */
#define ANSWER_S 5
#define END_MS 10000

static int address(const char *path, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(ret->sun_path))
		return -1;
	memcpy(ret->sun_path, path, strlen(path));
	return 0;
}

uint64_t ckpt_tracker_inode(const char *path)
{
	struct stat st;

	return stat(path, &st) ? 0 : st.st_ino;
}

int ckpt_tracker_listen(const char *path)
{
	cleanup_close int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct sockaddr_un at;
	mode_t mask = umask(0177);
	int bad = sock < 0 || address(path, &at) || (unlink(path) && errno != ENOENT) ||
		  bind(sock, (struct sockaddr *)&at, sizeof(at)) || listen(sock, 8);

	umask(mask);
	return bad ? -1 : take_fd(sock);
}

int ckpt_tracker_connect(const char *path)
{
	cleanup_close int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct timeval patience = { .tv_sec = ANSWER_S };
	struct sockaddr_un at;

	if (sock < 0 || address(path, &at) ||
	    setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) ||
	    setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) ||
	    connect(sock, (struct sockaddr *)&at, sizeof(at)))
		return -1;
	return take_fd(sock);
}

bool ckpt_tracker_listens(const char *path)
{
	cleanup_close int sock = ckpt_tracker_connect(path);

	return sock >= 0;
}

/* Its parent is whoever takes orphans. */
static int fork_twice(const char *path, const char *dir, int ready)
{
	pid_t child = fork();
	int status;

	if (!child) {
		pid_t grandchild = fork();

		if (!grandchild)
			ckpt_tracker_main(path, dir, ready);
		_exit(grandchild < 0);
	}
	while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return child > 0 && !status ? 0 : -1;
}

int ckpt_tracker_spawn(const char *path, const char *dir, struct ckpt_err *err)
{
	cleanup_close int ours = -1;
	ssize_t n = -1;
	int ends[2];
	char byte;

	if (pipe2(ends, O_CLOEXEC))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot start a tracker");
	ours = ends[0];
	if (!fork_twice(path, dir, ends[1])) {
		close(ends[1]);
		do
			n = read(ours, &byte, 1);
		while (n < 0 && errno == EINTR);
	} else {
		close(ends[1]);
	}
	return n == 1 ? 0 :
	       ckpt_fail(err, CKPT_FAILED, 0, "cannot start a tracker that listens at %s", path);
}

static bool ask_to_quit(int sock)
{
	struct ckpt_tracker_request quit = { .version = CKPT_TRACKER_VERSION,
					     .op = CKPT_TRACKER_QUIT };
	struct ckpt_tracker_reply reply;
	int fd;

	return !ckpt_tracker_send(sock, &quit, sizeof(quit), -1) &&
	       !ckpt_tracker_receive(sock, &reply, sizeof(reply), &fd) &&
	       reply.err.status == CKPT_OK;
}

/* Its descriptors are closed, and nothing is registered any more, before its end shows. */
static int kill_peer(int sock, struct ckpt_err *err)
{
	struct ucred who = { 0 };
	socklen_t len = sizeof(who);
	struct pollfd p = { .fd = -1, .events = POLLIN };
	cleanup_close int pidfd = -1;

	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &who, &len) || who.pid <= 0)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot find the group's tracker");
	pidfd = syscall(SYS_pidfd_open, who.pid, 0);
	if (pidfd < 0)
		return errno == ESRCH ? 0 : ckpt_fail(err, CKPT_FAILED, errno,
						      "cannot find the group's tracker");
	/* still connected: it is the one that listens here */
	if (syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) && errno != ESRCH)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot end the group's tracker %d",
				 who.pid);
	p.fd = pidfd;
	return poll(&p, 1, END_MS) == 1 ? 0 :
	       ckpt_fail(err, CKPT_FAILED, 0, "the group's tracker %d does not end", who.pid);
}

int ckpt_tracker_end(const char *path, struct ckpt_err *err)
{
	cleanup_close int sock = ckpt_tracker_connect(path);

	if (sock < 0 && errno != ENOENT && errno != ECONNREFUSED)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot ask the tracker at %s", path);
	if (sock >= 0 && !ask_to_quit(sock) && kill_peer(sock, err))
		return -1;
	if (unlink(path) && errno != ENOENT)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot remove %s", path);
	return 0;
}
