// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Repair mode (TCP_REPAIR) of sockets that a tree has: for microseconds, and never left on
 *
 * In it a socket writes nothing and is of no use to the tree.  It is entered in a process of its
 * own: when that one is killed meanwhile, this one takes the socket out of the mode, and when this
 * one is, that one does.  Only the end of both at that moment leaves a socket in it.
 */
#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fault.h"
#include "proc/tcp.h"

static int set(int own, int level, int name, int value)
{
	return setsockopt(own, level, name, &value, sizeof(value));
}

int ckpt_tcp_patient(int own, struct ckpt_tcp_patient *ret, struct ckpt_err *err)
{
	socklen_t len = sizeof(ret->reuse);

	ret->own = own;
	if (getsockopt(own, SOL_SOCKET, SO_REUSEADDR, &ret->reuse, &len))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot look at a TCP socket");
	return 0;
}

int ckpt_tcp_repair_on(const struct ckpt_tcp_patient *p)
{
	return set(p->own, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_ON);
}

int ckpt_tcp_repair_off(const struct ckpt_tcp_patient *p)
{
	return set(p->own, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_OFF_NO_WP) ||
	       set(p->own, SOL_SOCKET, SO_REUSEADDR, p->reuse) ? -1 : 0;
}

int ckpt_tcp_queue_seq(int own, int queue, uint32_t *ret)
{
	socklen_t len = sizeof(*ret);

	return set(own, IPPROTO_TCP, TCP_REPAIR_QUEUE, queue) ||
	       getsockopt(own, IPPROTO_TCP, TCP_QUEUE_SEQ, ret, &len) ? -1 : 0;
}

/* Nothing but the end of the other process can have left it so. */
static void mend(const struct ckpt_tcp_patient *p)
{
	int on = 0;
	socklen_t len = sizeof(on);

	if (!getsockopt(p->own, IPPROTO_TCP, TCP_REPAIR, &on, &len) && on)
		ckpt_tcp_repair_off(p);
	set(p->own, SOL_SOCKET, SO_REUSEADDR, p->reuse);
}

int ckpt_tcp_aside(const struct ckpt_tcp_patient *patients, size_t n, void (*look)(void *arg),
		   void *arg, struct ckpt_err *err)
{
	int status = -1;
	pid_t pid = fork();

	if (!pid) {
		look(arg);
		_exit(0);
	}
	if (pid < 0)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot start a process");
	ckpt_fault("keeper.repairing");
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!status)
		return 0;
	for (size_t i = 0; i < n; i++)
		mend(&patients[i]);
	return ckpt_fail(err, CKPT_FAILED, 0,
			 "a process that looked at a TCP connection was killed; try again");
}
