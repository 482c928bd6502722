// SPDX-License-Identifier: GPL-2.0-or-later
/* Consistency of the POSIX timers of a task. */
#include <signal.h>
#include <time.h>

#include "proc/image-check.h"

#define BAD(format, ...) \
	BAD_IMAGE("task %d has a POSIX timer " format, task->pid, ##__VA_ARGS__)

bool ckpt_timer_signal(const struct ckpt_timer *timer, const siginfo_t *info)
{
	return info->si_code == SI_TIMER && info->si_signo == timer->signo &&
	       info->si_timerid == timer->id;
}

static const struct ckpt_thread *target(const struct ckpt_task *task, const struct ckpt_timer *t)
{
	for (size_t i = 0; i < task->n_threads; i++) {
		if (task->threads[i].tid == t->tid)
			return &task->threads[i];
	}
	return NULL;
}

static bool is_queued(const struct ckpt_timer *t, const siginfo_t *info, size_t n)
{
	while (n--) {
		if (ckpt_timer_signal(t, &info[n]))
			return true;
	}
	return false;
}

static int check_signal(const struct ckpt_task *task, const struct ckpt_timer *t,
			struct ckpt_err *err)
{
	bool aimed = t->notify == SIGEV_THREAD_ID;
	const struct ckpt_thread *thread = target(task, t);

	if (t->notify != SIGEV_SIGNAL && t->notify != SIGEV_NONE && t->notify != SIGEV_THREAD &&
	    !aimed)
		return BAD("of no known kind");
	if (t->notify != SIGEV_NONE && (t->signo < 1 || t->signo > CKPT_NSIG))
		return BAD("with a signal of no number");
	if (aimed ? !thread : t->tid)
		return BAD("for a thread that is not there");
	if (t->pending && (t->notify == SIGEV_NONE || t->of_day || t->overrun ||
			   !(aimed ? is_queued(t, thread->pending, thread->n_pending) :
				     is_queued(t, task->pending, task->n_pending))))
		return BAD("that has expired, without a signal");
	return 0;
}

static int check_time(const struct ckpt_task *task, const struct ckpt_timer *t,
		      struct ckpt_err *err)
{
	if (t->clock != CLOCK_REALTIME && t->clock != CLOCK_MONOTONIC &&
	    t->clock != CLOCK_BOOTTIME)
		return BAD("without a known clock");
	if (t->value_ns < 0 || t->interval_ns < 0 || (t->of_day && t->clock != CLOCK_REALTIME))
		return BAD("of an impossible time");
	/* what it is counted back by to have expired as often */
	if (t->overrun < 0 ||
	    (t->overrun && (!t->interval_ns || !t->value_ns || t->clock == CLOCK_REALTIME ||
			    t->notify == SIGEV_NONE ||
			    t->interval_ns > INT64_MAX / ((int64_t)t->overrun + 1))))
		return BAD("that cannot have expired too late so often");
	return 0;
}

int ckpt_timers_check(const struct ckpt_task *task, struct ckpt_err *err)
{
	int32_t last = -1;

	for (size_t i = 0; i < task->n_timers; i++) {
		const struct ckpt_timer *t = &task->timers[i];

		if (t->id <= last)
			return BAD("whose id is not in order");
		last = t->id;
		if (check_signal(task, t, err) || check_time(task, t, err))
			return -1;
	}
	return 0;
}
