// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * POSIX timers: the time that is left, and how often they have expired
 *
 * While its tree is stopped a timer goes from running to expired, once: it waits then until
 * its signal is taken, and one that repeats counts on.  So each is looked at before the queued
 * signals are read, which says what was left of one that has not expired by then, and after
 * that, which says when one that has goes on.
 */
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/cleanup.h"
#include "proc/ask.h"
#include "proc/remote.h"
#include "proc/restart.h"

#define NS_PER_S 1000000000ll
#define OVERRUN_MIN_NS 1000000
#define AT_ONCE 60	/* as many as fit into a table of calls */

#define REFUSE(t, format) \
	ckpt_fail(err, CKPT_REFUSED, 0, "pid %d (%s) has a POSIX timer (id %d) " format \
		  "; try again", ask->inject.proc->pid, ask->inject.proc->comm, (t)->id)

struct question {
	const struct itimerspec *left;
	const struct ckpt_inject_call *left_call, *overrun_call;
};

static int64_t ns_of(const struct timespec *t)
{
	return t->tv_sec * NS_PER_S + t->tv_nsec;
}

static void clocks(int64_t *ret_monotonic, int64_t *ret_realtime)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	*ret_monotonic = ns_of(&ts);
	clock_gettime(CLOCK_REALTIME, &ts);
	*ret_realtime = ns_of(&ts);
}

static int64_t later(int64_t now, int64_t left)
{
	return left > INT64_MAX - now ? INT64_MAX : now + left;
}

static int tell(const struct ckpt_ask *ask, const struct question *q, struct ckpt_timer *t,
		struct ckpt_err *err)
{
	if (q->left_call->value || q->overrun_call->value < 0)
		return ckpt_fail(err, CKPT_FAILED, -(int)q->left_call->value,
				 "cannot ask pid %d (%s) for the time of its timer %d",
				 ask->inject.proc->pid, ask->inject.proc->comm, t->id);
	t->value_ns = ns_of(&q->left->it_value);
	t->interval_ns = ns_of(&q->left->it_interval);
	t->overrun = q->overrun_call->value;
	return 0;
}

static int ask_some(struct ckpt_ask *ask, struct ckpt_timer *timers, size_t n,
		    struct ckpt_err *err)
{
	int64_t monotonic[2], realtime[2];
	struct question q[AT_ONCE];

	for (size_t i = 0; i < n; i++) {
		const void *out;
		uint64_t at = ckpt_inject_out(&ask->inject, 0, sizeof(*q[i].left), &out);

		q[i].left = out;
		q[i].left_call = ckpt_inject_call(&ask->inject, 0, SYS_timer_gettime,
						  timers[i].id, at, 0, 0);
		q[i].overrun_call = ckpt_inject_call(&ask->inject, 0, SYS_timer_getoverrun,
						     timers[i].id, 0, 0, 0);
	}
	clocks(&monotonic[0], &realtime[0]);
	if (ckpt_inject_start(&ask->inject, err) || ckpt_inject_wait(&ask->inject, err))
		return -1;
	clocks(&monotonic[1], &realtime[1]);
	for (size_t i = 0; i < n; i++) {
		struct ckpt_timer *t = &timers[i];

		if (tell(ask, &q[i], t, err))
			return -1;
		for (int k = 0; k < 2; k++) {
			t->seen_monotonic[k] = later(monotonic[k], t->value_ns);
			t->seen_realtime[k] = later(realtime[k], t->value_ns);
		}
	}
	return 0;
}

static int ask_times(struct ckpt_ask *ask, struct ckpt_timer *timers, size_t n,
		     struct ckpt_err *err)
{
	for (size_t i = 0; i < n; i += AT_ONCE) {
		if (ask_some(ask, timers + i, n - i < AT_ONCE ? n - i : AT_ONCE, err))
			return -1;
	}
	return 0;
}

/* The thread that gets its signal, by index, or none. */
static size_t target(const struct ckpt_task *task, const struct ckpt_timer *t)
{
	size_t i = 0;

	while (i < task->n_threads && task->threads[i].tid != t->tid)
		i++;
	return i;
}

static bool is_queued(const struct ckpt_task *task, const struct ckpt_timer *t)
{
	const siginfo_t *info = task->pending;
	size_t n = task->n_pending;

	if (t->tid && target(task, t) == task->n_threads)
		return false;
	if (t->tid) {
		info = task->threads[target(task, t)].pending;
		n = task->threads[target(task, t)].n_pending;
	}
	while (n--) {
		if (t->notify != SIGEV_NONE && ckpt_timer_signal(t, &info[n]))
			return true;
	}
	return false;
}

int ckpt_timers_look(struct ckpt_ask *ask, struct ckpt_task *task, struct ckpt_err *err)
{
	struct ckpt_held_proc *p = ask->inject.proc;

	if (!task->n_timers)
		return 0;
	/* those of threads have been read */
	if (ckpt_read_pending(p, p->pid, true, p->threads[0].status.sig_shared,
			      &task->pending, &task->n_pending, err))
		return -1;
	for (size_t i = 0; i < task->n_timers; i++)
		task->timers[i].pending = is_queued(task, &task->timers[i]);
	return ask_times(ask, task->timers, task->n_timers, err);
}

static int read_targets(struct ckpt_ask *ask, struct ckpt_task *task, struct ckpt_err *err)
{
	struct ckpt_held_proc *p = ask->inject.proc;

	for (size_t i = 0; i < task->n_timers; i++) {
		const size_t j = task->timers[i].tid ? target(task, &task->timers[i]) : 0;
		struct ckpt_thread *thread = &task->threads[j];

		if (task->timers[i].tid && j < task->n_threads &&
		    ckpt_read_pending(p, p->threads[j].tid, false, p->threads[j].status.sig_pending,
				      &thread->pending, &thread->n_pending, err))
			return -1;
	}
	return 0;
}

/* Would it have taken the signal before it was stopped? By its handler, or by waiting for it. */
static bool takes(const struct ckpt_held_thread *t, int signo)
{
	const uint64_t bit = 1ull << (signo - 1);
	uint64_t set;

	if (!(t->sigmask & bit))
		return true;
	return t->call == SYS_rt_sigtimedwait && ckpt_restart_pending(&t->regs) &&
	       !ckpt_remote_read(t->tid, t->regs.rdi, &set, sizeof(set), NULL) && set & bit;
}

static bool somebody_takes(const struct ckpt_held_proc *p, const struct ckpt_task *task,
			   const struct ckpt_timer *t)
{
	if (p->threads[0].group_stop)
		return false;
	for (size_t j = 0; j < p->n_threads; j++) {
		if ((!t->tid || task->threads[j].tid == t->tid) && takes(&p->threads[j], t->signo))
			return true;
	}
	return false;
}

/*
 * It repeats and has expired.  How often by now nothing tells; but not before the stop when it
 * was not there at the first look, or is taken as it comes.
 */
static int check_repeated(const struct ckpt_ask *ask, const struct ckpt_task *task,
			  const struct ckpt_timer *t, struct ckpt_err *err)
{
	if (t->pending && !somebody_takes(ask->inject.proc, task, t))
		return REFUSE(t, "whose signal waits, and of which nothing tells how often it has "
			      "expired since");
	if (t->overrun)
		return REFUSE(t, "that has expired, and whose signal was taken too late before");
	if (t->clock == CLOCK_REALTIME)
		return REFUSE(t, "that has expired, and of which nothing tells whether it was set "
			      "to a time of day");
	return 0;
}

/* @t as first looked at, @now as it was after its signal was queued. */
static int settle(const struct ckpt_ask *ask, const struct ckpt_task *task, struct ckpt_timer *t,
		  const struct ckpt_timer *now, struct ckpt_err *err)
{
	if (!is_queued(task, t)) {
		t->pending = false;
		return t->overrun && t->interval_ns < OVERRUN_MIN_NS ?
			REFUSE(t, "that repeats faster than what it overran can be made again") : 0;
	}
	if (now->interval_ns && now->value_ns <= now->interval_ns) {
		if (check_repeated(ask, task, t, err))
			return -1;
		*t = *now;
		t->pending = true;
		return 0;
	}
	/* before Linux 6.13 the signal may be of a time before it was set anew */
	*t = *now;
	t->pending = !now->value_ns;
	return 0;
}

int ckpt_timers_settle(struct ckpt_ask *ask, struct ckpt_task *task, struct ckpt_err *err)
{
	cleanup_free struct ckpt_timer *now = calloc(task->n_timers + 1, sizeof(*now));

	if (!task->n_timers)
		return 0;
	if (!now)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of timers");
	memcpy(now, task->timers, task->n_timers * sizeof(*now));
	if (read_targets(ask, task, err) || ask_times(ask, now, task->n_timers, err))
		return -1;
	for (size_t i = 0; i < task->n_timers; i++) {
		if (settle(ask, task, &task->timers[i], &now[i], err))
			return -1;
	}
	return 0;
}
