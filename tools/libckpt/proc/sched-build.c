// SPDX-License-Identifier: GPL-2.0-or-later
/* Scheduling of threads: policy, priority, niceness, CPUs, I/O priority. */
#include <errno.h>
#include <linux/ioprio.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proc/build.h"
#include "proc/cpus.h"

static const uint8_t *wanted_cpus(const struct ckpt_restore *r, const struct ckpt_thread *thread)
{
	return ckpt_cpus_unasked(r->image, thread) ? r->cpus : thread->affinity;
}

/*
 * Bits beyond what this kernel knows are zero in both.  An older image does not say whether
 * they were asked for: then those that there are do.
 */
static bool same_cpus(const struct ckpt_restore *r, const struct ckpt_thread *thread,
		      const cpu_set_t *now)
{
	const uint8_t *wanted = wanted_cpus(r, thread);

	if (!ckpt_cpus_recorded(r->image))
		return ckpt_cpus_outside((const uint8_t *)now, wanted) < 0;
	return !memcmp(now, wanted, sizeof(*now));
}

static int get_cpus(pid_t tid, const struct ckpt_thread *thread, cpu_set_t *ret,
		    struct ckpt_err *err)
{
	memset(ret, 0, sizeof(*ret));
	if (sched_getaffinity(tid, sizeof(*ret), ret))
		return ckpt_fail(err, CKPT_FAILED, errno, "thread %d: cannot read its CPUs",
				 thread->tid);
	return 0;
}

static int set_cpus(const struct ckpt_restore *r, const struct ckpt_site *s,
		    const struct ckpt_thread *thread, struct ckpt_err *err)
{
	cpu_set_t now;

	_Static_assert(sizeof(cpu_set_t) == sizeof(thread->affinity), "one size of CPU sets");
	if (!thread->affinity_len)
		return 0;
	if (get_cpus(s->tid, thread, &now, err))
		return -1;
	if (!memcmp(&now, wanted_cpus(r, thread), sizeof(now)))
		return 0;
	memcpy(&now, wanted_cpus(r, thread), sizeof(now));
	if (sched_setaffinity(s->tid, sizeof(now), &now))
		return ckpt_fail(err, CKPT_FAILED, errno, "thread %d: cannot set its CPUs",
				 s->name);
	return 0;
}

/* None of its own: some kernels tell a level with it, which none of them takes. */
static bool no_ioprio(long ioprio)
{
	return IOPRIO_PRIO_CLASS(ioprio) == IOPRIO_CLASS_NONE;
}

static bool same_ioprio(const struct ckpt_thread *thread, pid_t tid)
{
	long now = syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, tid);

	return now == (long)thread->ioprio ||
	       (now >= 0 && no_ioprio(now) && no_ioprio(thread->ioprio));
}

static int set_ioprio(const struct ckpt_site *s, const struct ckpt_thread *thread,
		      struct ckpt_err *err)
{
	if (!same_ioprio(thread, s->tid) &&
	    syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, s->tid,
		    no_ioprio(thread->ioprio) ? 0 : thread->ioprio))
		return ckpt_fail(err, CKPT_FAILED, errno, "thread %d: cannot set its I/O priority",
				 s->name);
	return 0;
}

int ckpt_build_sched(const struct ckpt_restore *r, const struct ckpt_site *s,
		     const struct ckpt_thread *thread, struct ckpt_err *err)
{
	const struct sched_param param = { .sched_priority = thread->sched_prio };
	struct sched_param now;

	if (set_cpus(r, s, thread, err))
		return -1;
	if ((sched_getscheduler(s->tid) != thread->sched_policy || sched_getparam(s->tid, &now) ||
	     now.sched_priority != thread->sched_prio) &&
	    sched_setscheduler(s->tid, thread->sched_policy, &param))
		return ckpt_fail(err, CKPT_FAILED, errno, "thread %d: cannot set its scheduling",
				 s->name);
	if (getpriority(PRIO_PROCESS, s->tid) != thread->nice &&
	    setpriority(PRIO_PROCESS, s->tid, thread->nice))
		return ckpt_fail(err, CKPT_FAILED, errno, "thread %d: cannot set its niceness",
				 s->name);
	return set_ioprio(s, thread, err);
}

int ckpt_verify_sched(const struct ckpt_restore *r, const struct ckpt_thread *thread, pid_t tid,
		      struct ckpt_err *err)
{
	struct sched_param param;
	cpu_set_t now;

	if (sched_getscheduler(tid) != thread->sched_policy || sched_getparam(tid, &param) ||
	    param.sched_priority != thread->sched_prio)
		return NOT_AS_CAPTURED("thread %d has another scheduling policy or priority",
				       thread->tid);
	errno = 0;
	if (getpriority(PRIO_PROCESS, tid) != thread->nice || errno)
		return NOT_AS_CAPTURED("thread %d has another niceness", thread->tid);
	if (get_cpus(tid, thread, &now, err))
		return -1;
	if (thread->affinity_len && !same_cpus(r, thread, &now))
		return NOT_AS_CAPTURED("thread %d has other CPUs", thread->tid);
	if (!same_ioprio(thread, tid))
		return NOT_AS_CAPTURED("thread %d has another I/O priority", thread->tid);
	return 0;
}
