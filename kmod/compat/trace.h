/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Arguments of the kernel's tracepoints
 *
 * A probe is called with what its tracepoint has, so it must take just that.
 */
#ifndef _CKPT_COMPAT_TRACE_H
#define _CKPT_COMPAT_TRACE_H

#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/sched/signal.h>
#include <trace/events/oom.h>
#include <trace/events/sched.h>

/*
 * 6.16 API change: the end of a thread says whether it was the last of its process.  Before,
 * threads that end at one instant may each find none left.
 */
#ifdef CKPT_HAVE_TRACE_EXIT_LAST
#define CKPT_EXIT_ARGS		struct task_struct *task, bool last
#define CKPT_EXIT_LAST		last
#else
#define CKPT_EXIT_ARGS		struct task_struct *task
#define CKPT_EXIT_LAST		(!atomic_read(&task->signal->live))
#endif

/* 6.10 API change (and where it is backported): the victim itself instead of its pid. */
#ifdef CKPT_HAVE_TRACE_VICTIM_TASK
#define CKPT_VICTIM_ARGS	struct task_struct *task, uid_t uid
#define CKPT_VICTIM_TASK	task
#else
#define CKPT_VICTIM_ARGS	int pid
#define CKPT_VICTIM_TASK	pid_task(find_pid_ns(pid, &init_pid_ns), PIDTYPE_PID)
#endif

#endif
