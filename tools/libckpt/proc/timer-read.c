// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * POSIX timers: which there are, and which were set to a time of day
 *
 * The time that is left they are asked for (timer-ask.c).  One of CLOCK_REALTIME that was set to
 * a time of day is to expire at that time, one that was set to a time span when that is over;
 * nothing tells them apart but the queue of the kernel in which it waits.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "proc/procfs.h"
#include "proc/read.h"

#define QUEUE_MONOTONIC 0
#define QUEUE_REALTIME 1
#define QUEUES 4	/* twice, the second time those that expire in a softirq */

#define REFUSE(p, t, format, ...) \
	ckpt_fail(err, CKPT_REFUSED, 0, "pid %d (%s) has a POSIX timer (id %d) " format \
		  ", which this version cannot restore", (p)->pid, (p)->comm, (t)->id, \
		  ##__VA_ARGS__)

static int check(const struct ckpt_held_proc *p, const struct ckpt_timer *t, struct ckpt_err *err)
{
	int32_t clock = t->clock;

	if (clock < 0)
		return REFUSE(p, t, "of CPU time");
	if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC && clock != CLOCK_BOOTTIME)
		return REFUSE(p, t, "of clock %d", clock);
	return 0;
}

static int by_id(const void *a, const void *b)
{
	const struct ckpt_timer *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

static int read_list(struct ckpt_hold *hold, const struct ckpt_held_proc *p,
		     struct ckpt_timer **list, size_t *n, struct ckpt_err *err)
{
	int more, e = ckpt_procfs_read(p->dir, "timers", &hold->scratch);
	const char *at = (const char *)hold->scratch.data;
	struct ckpt_timer t, *bigger;

	if (e)
		return ckpt_fail(err, CKPT_FAILED, -e, "cannot read the timers of pid %d", p->pid);
	while ((more = ckpt_parse_timer(&at, &t)) > 0) {
		if (ckpt_survey_pass(hold->survey, check(p, &t, err), err))
			return -1;
		bigger = ckpt_grow(*list, n, sizeof(**list));
		if (!bigger)
			return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of timers");
		*list = bigger;
		bigger[*n - 1] = t;
	}
	if (more < 0)
		return ckpt_fail(err, CKPT_FAILED, 0, "cannot understand the timers of pid %d",
				 p->pid);
	if (*n)
		qsort(*list, *n, sizeof(**list), by_id);
	return 0;
}

int ckpt_scan_timers(struct ckpt_hold *hold, struct ckpt_held_proc *p, struct ckpt_err *err)
{
	cleanup_free struct ckpt_timer *list = NULL;
	size_t n = 0;

	return read_list(hold, p, &list, &n, err);
}

static int read_timers(struct ckpt_reader *r, struct ckpt_held_proc *p, struct ckpt_task *task,
		       struct ckpt_err *err)
{
	if (read_list(r->hold, p, &task->timers, &task->n_timers, err))
		return -1;
	for (size_t i = 0; i < task->n_timers; i++) {
		struct ckpt_timer *t = &task->timers[i];
		int32_t tid = 0;

		for (size_t j = 0; j < p->n_threads && t->notify & SIGEV_THREAD_ID; j++) {
			if (p->threads[j].tid == t->tid)
				tid = p->threads[j].status.ns_pid;
		}
		if (t->notify & SIGEV_THREAD_ID && !tid &&
		    ckpt_survey_pass(r->hold->survey,
				     REFUSE(p, t, "for a thread that has ended"), err))
			return -1;
		t->tid = tid;
	}
	return 0;
}

/* All of them or none. */
int ckpt_read_timers(struct ckpt_reader *r, struct ckpt_held_proc *p, struct ckpt_task *task,
		     struct ckpt_err *err)
{
	if (!read_timers(r, p, task, err))
		return 0;
	free(task->timers);
	task->timers = NULL;
	task->n_timers = 0;
	return -1;
}

/*
 * In which of these queues is there one that expires when this one does?
 * @ret_day: when exactly, by the time of day
 */
static void find_queues(const char *text, const struct ckpt_timer *t, bool ret[QUEUES],
			int64_t *ret_day)
{
	uint32_t base = 0;
	int64_t ns;

	while (ckpt_parse_timer_list(&text, &base, &ns)) {
		bool day = base % QUEUES == QUEUE_REALTIME;
		const int64_t *seen = day ? t->seen_realtime : t->seen_monotonic;

		if (ns < seen[0] || ns > seen[1])
			continue;
		ret[base % QUEUES] = true;
		if (day)
			*ret_day = ns;
	}
}

static int find_day(const struct ckpt_held_proc *p, struct ckpt_timer *t, const char *text,
		    int64_t now, struct ckpt_err *err)
{
	bool queues[QUEUES] = { false };
	int64_t day = 0;

	if (t->overrun)
		return REFUSE(p, t, "of CLOCK_REALTIME whose signal was taken too late");
	/* it is due, which makes no difference */
	if (t->notify != SIGEV_NONE && now >= t->seen_monotonic[0])
		return 0;
	if (t->notify != SIGEV_NONE)
		find_queues(text, t, queues, &day);
	if (queues[QUEUE_MONOTONIC] == queues[QUEUE_REALTIME]) {
		REFUSE(p, t, "of which the kernel does not tell whether it was set to a "
		       "time of day");
		/* somebody else's, of any process here, expires when this one may */
		return queues[QUEUE_REALTIME] ? ckpt_fail_passing(err) : -1;
	}
	t->of_day = queues[QUEUE_REALTIME];
	if (t->of_day)
		t->value_ns = day;
	return 0;
}

/* Where the kernel does not show its queues, there is nothing in them. */
static const char *read_queues(struct ckpt_buf *b)
{
	return ckpt_procfs_read(AT_FDCWD, "/proc/timer_list", b) ? "" : (const char *)b->data;
}

int ckpt_read_timers_of_day(struct ckpt_reader *r, struct ckpt_err *err)
{
	int64_t now = ckpt_now_ns();
	const char *text = NULL;

	for (size_t i = 0; i < r->image->n_tasks; i++) {
		struct ckpt_task *task = &r->image->tasks[i];
		const struct ckpt_held_proc *p = ckpt_tree_find(r->hold, task->host_pid);

		for (size_t j = 0; j < task->n_timers; j++) {
			struct ckpt_timer *t = &task->timers[j];

			if (t->clock != CLOCK_REALTIME || !t->value_ns || t->pending)
				continue;
			if (!text)
				text = read_queues(&r->hold->scratch);
			if (ckpt_survey_pass(r->hold->survey, find_day(p, t, text, now, err), err))
				return -1;
		}
	}
	return 0;
}
