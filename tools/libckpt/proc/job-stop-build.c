// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Processes that a job-control signal has stopped, which they stay when they are let go
 *
 * It is stopped by the same signal, while all of its handlers are the default and those of its
 * parent as well: what that hears of it is drained later.  Its threads make calls for us as
 * before; a thread that ptrace lets go is stopped again before it takes a signal.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "proc/build.h"

#define STOPS_MAX 64	/* of others, on the way */

static int cannot(const struct ckpt_build_task *t, int error, struct ckpt_err *err)
{
	return ckpt_fail(err, CKPT_FAILED, error, "process %d: cannot stop it", t->task->pid);
}

/* Until @tid stands in a stop of its own process. Return: by which signal, 0: by none, -1. */
static int wait_stop(pid_t tid, bool pass, int sig)
{
	int status;

	for (int i = 0; i < STOPS_MAX; i++) {
		if (waitpid(tid, &status, __WALL) != tid) {
			if (errno != EINTR)
				return -1;
			continue;
		}
		if (!WIFSTOPPED(status))
			return -1;
		if (status >> 16 == PTRACE_EVENT_STOP && WSTOPSIG(status) != SIGTRAP)
			return WSTOPSIG(status);
		if (status >> 16 == PTRACE_EVENT_STOP && !pass)
			return 0;
		/* it is to be taken: where it does nothing the trap follows, before any code */
		if (pass && !(status >> 16) && WSTOPSIG(status) == sig) {
			pass = false;
			if (ptrace(PTRACE_INTERRUPT, tid, 0, 0) || ptrace(PTRACE_CONT, tid, 0, sig))
				return -1;
			continue;
		}
		if (ptrace(PTRACE_CONT, tid, 0, 0))
			return -1;
	}
	return -1;
}

/* Return: 1, 0 when it is not stopped by that, -1 with errno. */
static int stop_by(const struct ckpt_build_task *t, int sig)
{
	const uint64_t all = ~0ull, mask = ~(1ull << (sig - 1));
	int by;

	if (ptrace(PTRACE_SETSIGMASK, t->tids[0], 8, &mask) || kill(t->host, sig) ||
	    ptrace(PTRACE_CONT, t->tids[0], 0, 0))
		return -1;
	by = wait_stop(t->tids[0], true, sig);
	if (by < 0 || ptrace(PTRACE_SETSIGMASK, t->tids[0], 8, &all))
		return -1;
	for (size_t i = 1; by && i < t->task->n_threads; i++) {
		/* each comes to know of it when it goes on */
		if (ptrace(PTRACE_INTERRUPT, t->tids[i], 0, 0) ||
		    ptrace(PTRACE_CONT, t->tids[i], 0, 0) ||
		    wait_stop(t->tids[i], false, 0) != by)
			return -1;
	}
	return by == sig;
}

/* What its parent was told already it is told now. */
static int tell(struct ckpt_restore *r, const struct ckpt_build_task *t, struct ckpt_err *err)
{
	const struct ckpt_build_task *parent = ckpt_build_find(r, t->task->ppid);
	const struct ckpt_site s = parent ? ckpt_build_site(r, parent, 0) : r->init_site;

	if (!t->task->stop_told)
		return 0;
	/* by the number that init has for it, where that is the parent */
	return ckpt_site_call(&s, err, "wait for a child that is stopped", SYS_wait4,
			      ARGS(t->task->pid, 0, WUNTRACED | WNOHANG | __WALL, 0)) < 0 ? -1 : 0;
}

int ckpt_build_job_stop(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err)
{
	int stopped;

	if (t->task->state != CKPT_TASK_STOPPED)
		return 0;
	stopped = stop_by(t, t->task->stop_signal);
	/* of a group whose members have lost their parents only this one stops any */
	if (!stopped)
		stopped = stop_by(t, SIGSTOP);
	if (stopped <= 0)
		return cannot(t, errno, err);
	return tell(r, t, err);
}
