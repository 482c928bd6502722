// SPDX-License-Identifier: GPL-2.0-or-later
/* Where a look into a socket begins, and that it is as before when we are gone. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proc/glance.h"

static int set_peek(int own, int value)
{
	int failed;

	do {
		failed = setsockopt(own, SOL_SOCKET, SO_PEEK_OFF, &value, sizeof(value));
	} while (failed && errno == EINTR);
	return failed;
}

static int raise_guardian(struct ckpt_glance *glance, struct ckpt_err *err)
{
	int ends[2];
	char byte;

	if (pipe2(ends, O_CLOEXEC))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot make a pipe");
	glance->guardian = fork();
	if (!glance->guardian) {
		close(ends[1]);
		while (read(ends[0], &byte, 1) < 0 && errno == EINTR)
			;
		set_peek(glance->own, -1);
		_exit(0);
	}
	close(ends[0]);
	if (glance->guardian > 0) {
		glance->guard = ends[1];
		return 0;
	}
	close(ends[1]);
	return ckpt_fail(err, CKPT_FAILED, errno, "cannot make a process");
}

int ckpt_glance_at(struct ckpt_glance *glance, size_t offset, struct ckpt_err *err)
{
	if (glance->guarded && !glance->guardian && raise_guardian(glance, err))
		return -1;
	if (set_peek(glance->own, offset))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot look into a socket");
	glance->set = true;
	return 0;
}

void ckpt_glance_done(struct ckpt_glance *glance)
{
	if (glance->set)
		set_peek(glance->own, -1);
	if (glance->guardian <= 0)
		return;
	close(glance->guard);
	while (waitpid(glance->guardian, NULL, 0) < 0 && errno == EINTR)
		;
}

int ckpt_socket_events(int own, int events)
{
	struct pollfd p = { .fd = own, .events = events };
	int n;

	do {
		n = poll(&p, 1, 0);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -1 : p.revents;
}
