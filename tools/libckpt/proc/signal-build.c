// SPDX-License-Identifier: GPL-2.0-or-later
/* Signals: handlers, alternate stacks, pending signals, interval timers. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include "base/cleanup.h"
#include "proc/build.h"
#include "proc/read.h"

#define NSIG_BYTES 8

/* The tree was made with default actions: only others need a call. */
int ckpt_build_signals(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err)
{
	static const struct ckpt_sigaction none;
	const struct ckpt_site s = ckpt_build_site(r, t, 0);
	uint64_t at;
	int sig;

	for (sig = 1; sig <= CKPT_NSIG; sig++) {
		const struct ckpt_sigaction *a = &t->task->actions[sig - 1];

		if (!memcmp(a, &none, sizeof(none)))
			continue;
		at = ckpt_site_put(&s, 0, a, sizeof(*a), err);
		if (!at || ckpt_site_call(&s, err, "set a signal handler", SYS_rt_sigaction,
					  ARGS(sig, at, 0, NSIG_BYTES)) < 0)
			return -1;
	}
	return 0;
}

/* What the building itself raised, the death of zombies for example. */
static int drain(const struct ckpt_site *s, struct ckpt_err *err)
{
	const struct {
		uint64_t all;
		struct timespec now;
	} at = { .all = ~0ull };
	uint64_t addr = ckpt_site_put(s, 0, &at, sizeof(at), err);
	int64_t value;

	if (!addr)
		return -1;
	do {
		if (ckpt_site_try(s, err, &value, SYS_rt_sigtimedwait,
				  ARGS(addr, 0, addr + 8, NSIG_BYTES)))
			return -1;
	} while (value > 0 || value == -EINTR);
	return 0;
}

/* A task may send itself any siginfo, one of the kernel's included. */
static int queue(const struct ckpt_site *s, int32_t pid, int32_t tid, const siginfo_t *info,
		 struct ckpt_err *err)
{
	uint64_t at = ckpt_site_put(s, 0, info, sizeof(*info), err);
	int64_t value;

	if (!at)
		return -1;
	if (tid)
		value = ckpt_site_call(s, err, "queue a signal", SYS_rt_tgsigqueueinfo,
				       ARGS(pid, tid, info->si_signo, at));
	else
		value = ckpt_site_call(s, err, "queue a signal", SYS_rt_sigqueueinfo,
				       ARGS(pid, info->si_signo, at));
	return value < 0 ? -1 : 0;
}

/* The timer that is to queue this one itself, or NULL. */
static const struct ckpt_timer *own_timer(const struct ckpt_task *task, const siginfo_t *info)
{
	for (size_t i = 0; i < task->n_timers; i++) {
		if (task->timers[i].pending && ckpt_timer_signal(&task->timers[i], info))
			return &task->timers[i];
	}
	return NULL;
}

/* In the order in which they were queued; @fire: those of timers by the timers. */
static int queue_list(struct ckpt_restore *r, struct ckpt_build_task *t, size_t thread, int32_t tid,
		      const siginfo_t *list, size_t n, bool fire, struct ckpt_err *err)
{
	const struct ckpt_site s = ckpt_build_site(r, t, thread);

	for (size_t i = 0; i < n; i++) {
		const struct ckpt_timer *timer = fire ? own_timer(t->task, &list[i]) : NULL;

		if (timer ? ckpt_build_timer_fire(r, t, timer, err) :
			    queue(&s, t->task->pid, tid, &list[i], err))
			return -1;
	}
	return 0;
}

static int queue_lists(struct ckpt_restore *r, struct ckpt_build_task *t, bool fire,
		       struct ckpt_err *err)
{
	const struct ckpt_task *task = t->task;

	if (queue_list(r, t, 0, 0, task->pending, task->n_pending, fire, err))
		return -1;
	for (size_t i = 0; i < task->n_threads; i++) {
		const struct ckpt_thread *thread = &task->threads[i];

		if (queue_list(r, t, i, thread->tid, thread->pending, thread->n_pending, fire, err))
			return -1;
	}
	return 0;
}

static bool any_pending(const struct ckpt_task *task)
{
	size_t n = task->n_pending;

	for (size_t i = 0; i < task->n_threads; i++)
		n += task->threads[i].n_pending;
	return n;
}

/* As high as we may: above its hard limit takes CAP_SYS_RESOURCE. */
static bool raise_limit(const struct ckpt_build_task *t, struct rlimit *ret_was)
{
	static const struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY };
	struct rlimit high;

	if (prlimit(t->host, RLIMIT_SIGPENDING, NULL, ret_was))
		return false;
	high = (struct rlimit){ ret_was->rlim_max, ret_was->rlim_max };
	return !prlimit(t->host, RLIMIT_SIGPENDING, &none, NULL) ||
	       !prlimit(t->host, RLIMIT_SIGPENDING, &high, NULL);
}

/*
 * A limit that was lowered when they were queued already must not keep one, or what it tells.
 * What is kept all the same is found when all is compared.
 */
static int queue_all(struct ckpt_restore *r, struct ckpt_build_task *t, bool fire,
		     struct ckpt_err *err)
{
	struct rlimit limit;
	bool raised;
	int ret;

	if (!any_pending(t->task))
		return 0;
	raised = raise_limit(t, &limit);
	ret = queue_lists(r, t, fire, err);
	if (raised && prlimit(t->host, RLIMIT_SIGPENDING, &limit, NULL) && !ret)
		return ckpt_fail(err, CKPT_FAILED, errno,
				 "process %d: cannot limit its signals again", t->task->pid);
	return ret;
}

int ckpt_build_pending(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err)
{
	const struct ckpt_site s = ckpt_build_site(r, t, 0);

	return drain(&s, err) || queue_all(r, t, false, err) ? -1 : 0;
}

int ckpt_build_pending_again(struct ckpt_restore *r, struct ckpt_build_task *t,
			     struct ckpt_err *err)
{
	const struct ckpt_task *task = t->task;

	for (size_t i = 0; i < task->n_threads; i++) {
		const struct ckpt_site s = ckpt_build_site(r, t, i);

		if (drain(&s, err))
			return -1;
	}
	/* while nothing else is queued that could be taken instead */
	for (size_t i = 0; i < task->n_timers; i++) {
		if (task->timers[i].overrun &&
		    ckpt_build_timer_fire(r, t, &task->timers[i], err))
			return -1;
	}
	return queue_all(r, t, true, err);
}

bool ckpt_pending_same(const struct ckpt_build_task *t, pid_t tid, bool shared, uint64_t waiting,
		       const siginfo_t *list, size_t n)
{
	struct ckpt_held_proc p = { .pid = t->host };
	struct ckpt_err ignored = CKPT_ERR_INIT;
	cleanup_free siginfo_t *now = NULL;
	size_t n_now;

	if (!waiting || !n)
		return !waiting && !n;
	return !ckpt_read_pending(&p, tid, shared, waiting, &now, &n_now, &ignored) &&
	       n_now == n && !memcmp(now, list, n * sizeof(*list));
}

static struct timeval to_timeval(int64_t ns)
{
	int64_t us = (ns + 999) / 1000;	/* a running timer never becomes a stopped one */

	return (struct timeval){ us / 1000000, us % 1000000 };
}

/*
 * A periodic timer of real time that has gone off starts anew when its signal is
 * taken.  Until then it shows no time left: armed for a moment it is started
 * again in the same way, and the signal of that merges with the one that waits.
 */
static int64_t time_left(const struct ckpt_task *task, int which)
{
	const struct ckpt_itimer *timer = &task->itimers[which];

	if (which == ITIMER_REAL && timer->interval_ns && !timer->value_ns)
		return 1000;
	return timer->value_ns;
}

int ckpt_build_itimers(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err)
{
	const struct ckpt_site s = ckpt_build_site(r, t, 0);
	uint64_t at;
	int i;

	for (i = 0; i < 3; i++) {
		const struct ckpt_itimer *timer = &t->task->itimers[i];
		const int64_t left = time_left(t->task, i);
		const struct itimerval value = { to_timeval(timer->interval_ns),
						 to_timeval(left) };

		if (!left)
			continue;
		at = ckpt_site_put(&s, 0, &value, sizeof(value), err);
		if (!at || ckpt_site_call(&s, err, "start a timer", SYS_setitimer,
					  ARGS(i, at, 0)) < 0)
			return -1;
	}
	return 0;
}
