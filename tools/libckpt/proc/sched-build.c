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

/* Bits beyond what this kernel knows are zero in both. */
static bool same_cpus(const cpu_set_t *a, const struct ckpt_thread *thread)
{
	return !memcmp(a, thread->affinity, sizeof(thread->affinity));
}

static int set_cpus(const struct ckpt_site *s, const struct ckpt_thread *thread,
		    struct ckpt_err *err)
{
	cpu_set_t now;

	_Static_assert(sizeof(cpu_set_t) == sizeof(thread->affinity), "one size of CPU sets");
	if (!thread->affinity_len)
		return 0;
	memset(&now, 0, sizeof(now));
	if (sched_getaffinity(s->tid, sizeof(now), &now))
		return ckpt_fail(err, CKPT_FAILED, errno, "thread %d: cannot read its CPUs",
				 s->name);
	if (same_cpus(&now, thread))
		return 0;
	memcpy(&now, thread->affinity, sizeof(now));
	if (sched_setaffinity(s->tid, sizeof(now), &now))
		return ckpt_fail(err, CKPT_FAILED, errno, "thread %d: cannot set its CPUs",
				 s->name);
	return 0;
}

static int set_ioprio(const struct ckpt_site *s, const struct ckpt_thread *thread,
		      struct ckpt_err *err)
{
	if (syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, s->tid) != (long)thread->ioprio &&
	    syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, s->tid, thread->ioprio))
		return ckpt_fail(err, CKPT_FAILED, errno, "thread %d: cannot set its I/O priority",
				 s->name);
	return 0;
}

int ckpt_build_sched(const struct ckpt_site *s, const struct ckpt_thread *thread,
		     struct ckpt_err *err)
{
	const struct sched_param param = { .sched_priority = thread->sched_prio };
	struct sched_param now;

	if (set_cpus(s, thread, err))
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
