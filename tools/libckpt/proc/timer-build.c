// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * POSIX timers: made by their process with the ids that they had; they run when the tree does
 *
 * One that has expired, and one whose signal was taken too late, is set to a time that is over:
 * then the kernel has it expire as often as it did, and it goes on when it would have.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "proc/build.h"
#include "proc/procfs.h"
#include "proc/read.h"
#include "proc/remote.h"

/* Linux 6.15: timer_create gives the id that it is told. */
#define TIMER_CREATE_IDS 77
#define IDS_OFF 0
#define IDS_ON 1
#define IDS_GET 2

#define NS_PER_S 1000000000ll
#define NSIG_BYTES 8
#define TRIED_IDS 65536		/* as many are made to get to the last one that is wanted */
#define TRIES 20
#define PATIENCE_NS 1000000000ull

/* As the kernel's struct sigevent, with room for the id behind it. */
struct event {
	uint64_t value;
	int32_t signo, notify, tid;
	int32_t pad[11];
	int32_t id;
};

bool ckpt_timers_reach(int32_t last)
{
	return last < TRIED_IDS || (!ckpt_fault("restore.ids") &&
				    prctl(TIMER_CREATE_IDS, IDS_GET, 0, 0, 0) >= 0);
}

/* Make a timer like @t; it gets the next id where the kernel cannot be told one. */
static int make(const struct ckpt_site *s, const struct ckpt_timer *t, int32_t *ret_id,
		struct ckpt_err *err)
{
	const struct event e = { .value = t->sigval, .signo = t->signo, .notify = t->notify,
				 .tid = t->tid, .id = t->id };
	uint64_t at = ckpt_site_put(s, 0, &e, sizeof(e), err);

	if (!at || ckpt_site_call(s, err, "make a POSIX timer", SYS_timer_create,
				  ARGS(t->clock, at, at + offsetof(struct event, id))) < 0)
		return -1;
	return ckpt_remote_read(s->tid, at + offsetof(struct event, id), ret_id, sizeof(*ret_id),
				err);
}

static int make_with_id(const struct ckpt_site *s, const struct ckpt_timer *t,
			struct ckpt_err *err)
{
	int32_t id = -1;

	while (id < t->id) {
		if (make(s, t, &id, err))
			return -1;
		if (id < t->id && ckpt_site_call(s, err, "delete a POSIX timer", SYS_timer_delete,
						 ARGS(id)) < 0)
			return -1;
	}
	return id == t->id ? 0 : ckpt_fail(err, CKPT_FAILED, 0,
		"process %d: a POSIX timer has the id %d instead of %d", s->name, id, t->id);
}

int ckpt_build_timers(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err)
{
	const struct ckpt_site s = ckpt_build_site(r, t, 0);
	int64_t told = -1;

	if (!t->task->n_timers)
		return 0;
	if (!ckpt_fault("restore.ids") &&
	    ckpt_site_try(&s, err, &told, SYS_prctl, ARGS(TIMER_CREATE_IDS, IDS_ON)))
		return -1;
	for (size_t i = 0; i < t->task->n_timers; i++) {
		if (make_with_id(&s, &t->task->timers[i], err))
			return -1;
	}
	return !told && ckpt_site_call(&s, err, "have timers numbered", SYS_prctl,
				       ARGS(TIMER_CREATE_IDS, IDS_OFF)) < 0 ? -1 : 0;
}

static struct timespec time_of(int64_t ns)
{
	return (struct timespec){ .tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S };
}

static int set(const struct ckpt_site *s, const struct ckpt_timer *t, int64_t value, bool absolute,
	       struct ckpt_err *err)
{
	const struct itimerspec spec = {
		.it_interval = time_of(t->interval_ns), .it_value = time_of(value),
	};
	uint64_t at = ckpt_site_put(s, 0, &spec, sizeof(spec), err);

	return !at || ckpt_site_call(s, err, "set a POSIX timer", SYS_timer_settime,
				     ARGS(t->id, absolute ? TIMER_ABSTIME : 0, at, 0)) < 0 ? -1 : 0;
}

/* The clock as the process sees it. */
static int look_at_clock(const struct ckpt_site *s, uint32_t clock, int64_t *ret,
			 struct ckpt_err *err)
{
	uint64_t at = ckpt_site_put(s, 0, "", 1, err);
	struct timespec ts;

	if (!at || ckpt_site_call(s, err, "look at a clock", SYS_clock_gettime,
				  ARGS(clock, at)) < 0 ||
	    ckpt_remote_read(s->tid, at, &ts, sizeof(ts), err))
		return -1;
	*ret = ts.tv_sec * NS_PER_S + ts.tv_nsec;
	return 0;
}

/*
 * Let it expire so often that what it overran is right, and it goes on when it is to.
 * @later: intervals by which it goes on later, since it takes a while to get there
 */
static int set_back(const struct ckpt_site *s, const struct ckpt_timer *t, int64_t later,
		    struct ckpt_err *err)
{
	int64_t now;

	if (!t->interval_ns)
		return set(s, t, 1, false, err);
	if (look_at_clock(s, t->clock, &now, err))
		return -1;
	now += t->value_ns + t->interval_ns * (later - t->overrun - 1);
	if (now < 1)
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "process %d: POSIX timer %d has run for longer than the clock of "
				 "this machine; try again later", s->name, t->id);
	return set(s, t, now, true, err);
}

static size_t thread_of(const struct ckpt_task *task, const struct ckpt_timer *t)
{
	size_t i = 0;

	while (t->tid && task->threads[i].tid != t->tid)
		i++;
	return i;
}

/* Wait until its signal is queued, which takes an interrupt. */
static int wait_queued(const struct ckpt_build_task *t, const struct ckpt_timer *timer,
		       struct ckpt_err *err)
{
	struct ckpt_held_proc p = { .pid = t->host };
	pid_t tid = t->tids[thread_of(t->task, timer)];
	uint64_t until = ckpt_now_ns() + PATIENCE_NS;

	do {
		cleanup_free siginfo_t *info = NULL;
		size_t n;

		if (ckpt_read_pending(&p, tid, !timer->tid, 0, &info, &n, err))
			return -1;
		while (n--) {
			if (ckpt_timer_signal(timer, &info[n]))
				return 0;
		}
		ckpt_sleep_us(50);
	} while (ckpt_now_ns() < until);
	return ckpt_fail(err, CKPT_FAILED, 0, "process %d: POSIX timer %d does not expire",
			 t->task->pid, timer->id);
}

/* Take the signal; only then the kernel counts. */
static int take(const struct ckpt_site *s, const struct ckpt_timer *t, int64_t *ret_overrun,
		struct ckpt_err *err)
{
	const struct {
		uint64_t set;
		struct timespec now;
	} only = { .set = 1ull << (t->signo - 1) };
	uint64_t at = ckpt_site_put(s, 0, &only, sizeof(only), err);

	if (!at || ckpt_site_call(s, err, "take the signal of a timer", SYS_rt_sigtimedwait,
				  ARGS(at, 0, at + offsetof(typeof(only), now), NSIG_BYTES)) < 0)
		return -1;
	*ret_overrun = ckpt_site_call(s, err, "look at a timer", SYS_timer_getoverrun,
				      ARGS(t->id));
	return *ret_overrun < 0 ? -1 : 0;
}

int ckpt_build_timer_fire(struct ckpt_restore *r, struct ckpt_build_task *t,
			  const struct ckpt_timer *timer, struct ckpt_err *err)
{
	const struct ckpt_site s = ckpt_build_site(r, t, thread_of(t->task, timer));
	int64_t overrun = 0, later = 0;

	for (int i = 0; i < TRIES; i++) {
		if (set_back(&s, timer, later, err) || wait_queued(t, timer, err))
			return -1;
		if (timer->pending)
			return 0;
		if (take(&s, timer, &overrun, err))
			return -1;
		if (overrun == timer->overrun)
			return 0;
		later += overrun - timer->overrun;
	}
	return NOT_AS_CAPTURED("process %d: POSIX timer %d has overrun %ld times instead of %d",
			       t->task->pid, timer->id, overrun, timer->overrun);
}

int ckpt_build_timers_arm(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err)
{
	const struct ckpt_site s = ckpt_build_site(r, t, 0);
	const struct ckpt_task *task = t->task;
	bool fire = false;

	for (size_t i = 0; i < task->n_timers; i++)
		fire |= task->timers[i].pending || task->timers[i].overrun;
	if (fire && ckpt_build_pending_again(r, t, err))
		return -1;
	for (size_t i = 0; i < task->n_timers; i++) {
		const struct ckpt_timer *timer = &task->timers[i];

		if (timer->value_ns && !timer->pending && !timer->overrun &&
		    set(&s, timer, timer->value_ns, timer->of_day, err))
			return -1;
	}
	return 0;
}

static const struct ckpt_timer *find(const struct ckpt_task *task, int32_t id)
{
	for (size_t i = 0; i < task->n_timers; i++) {
		if (task->timers[i].id == id)
			return &task->timers[i];
	}
	return NULL;
}

/* Times are not compared: they run on later. */
int ckpt_verify_timers(const struct ckpt_build_task *t, struct ckpt_err *err)
{
	cleanup_free char *text = NULL;
	struct ckpt_timer now;
	const char *at;
	char path[64];
	size_t n = 0;
	int more;

	snprintf(path, sizeof(path), "/proc/%d/timers", t->host);
	if (ckpt_build_text(path, &text, err))
		return -1;
	at = text;
	while ((more = ckpt_parse_timer(&at, &now)) > 0) {
		const struct ckpt_timer *wanted = find(t->task, now.id);

		if (!wanted || now.clock != wanted->clock || now.notify != wanted->notify ||
		    now.signo != wanted->signo || now.sigval != wanted->sigval ||
		    now.tid != (wanted->tid ? t->tids[thread_of(t->task, wanted)] : t->host))
			return ckpt_fail(err, CKPT_DAMAGED, 0,
					 "process %d: POSIX timer %d is not that of the checkpoint",
					 t->task->pid, now.id);
		n++;
	}
	return more || n != t->task->n_timers ?
		ckpt_fail(err, CKPT_DAMAGED, 0, "process %d has %zu POSIX timers instead of %zu",
			  t->task->pid, n, t->task->n_timers) : 0;
}
