// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Filters of system calls: given back before their threads lose the right to have any set, and
 * suspended until the threads are let go
 *
 * What all threads of a process have in common is given to all at once, as one that has them
 * all may give them more together later on.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "proc/build.h"
#include "proc/filter.h"

static int give(const struct ckpt_restore *r, const struct ckpt_site *s, uint32_t filter,
		uint32_t flags, struct ckpt_err *err)
{
	const struct ckpt_filter *f = &r->image->filters[filter];
	struct sock_fprog prog = { .len = f->n_insns };
	uint64_t at = ckpt_site_put(s, sizeof(prog), f->insns, f->n_insns * sizeof(*f->insns), err);
	int64_t value;

	if (!at)
		return -1;
	prog.filter = (struct sock_filter *)at;
	at = ckpt_site_put(s, 0, &prog, sizeof(prog), err);
	if (!at)
		return -1;
	value = ckpt_site_call(s, err, "set a seccomp filter", SYS_seccomp,
			       ARGS(SECCOMP_SET_MODE_FILTER, f->flags | flags, at));
	if (value > 0)
		return ckpt_fail(err, CKPT_FAILED, 0,
				 "process %d: thread %ld does not take a seccomp filter", s->name,
				 value);
	return value < 0 ? -1 : 0;
}

static int suspend(const struct ckpt_build_task *t, struct ckpt_err *err)
{
	for (size_t i = 0; i < t->task->n_threads; i++) {
		if (ptrace(PTRACE_SETOPTIONS, t->tids[i], 0,
			   CKPT_BUILD_OPTIONS | PTRACE_O_SUSPEND_SECCOMP))
			return ckpt_fail(err, CKPT_FAILED, errno,
					 "process %d: cannot suspend its seccomp filters",
					 t->task->pid);
	}
	return 0;
}

int ckpt_build_filters(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err)
{
	const struct ckpt_task *task = t->task;
	const size_t shared = ckpt_filters_common(task);
	const struct ckpt_site first = ckpt_build_site(r, t, 0);
	size_t n = 0;

	for (size_t i = 0; i < task->n_threads; i++)
		n += task->threads[i].n_filters;
	if (!n)
		return 0;
	if (suspend(t, err))
		return -1;
	for (size_t k = 0; k < shared; k++) {
		if (give(r, &first, task->threads[0].filters[k],
			 task->n_threads > 1 ? SECCOMP_FILTER_FLAG_TSYNC : 0, err))
			return -1;
	}
	for (size_t i = 0; i < task->n_threads; i++) {
		const struct ckpt_site s = ckpt_build_site(r, t, i);

		for (size_t k = shared; k < task->threads[i].n_filters; k++) {
			if (give(r, &s, task->threads[i].filters[k], 0, err))
				return -1;
		}
	}
	return 0;
}

int ckpt_filters_machine(const struct ckpt_image *image, const struct ckpt_proc_status *own,
			 struct ckpt_err *err)
{
	if (!image->n_filters)
		return 0;
	if (own->seccomp)
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "the tree has seccomp filters, and ckpt-tool runs under one that "
				 "it would get as well; run ckpt-tool without");
	/* both came with the same option of the kernel */
	if (!ckpt_timerfd_has_ticks())
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "the tree has seccomp filters, which this kernel cannot suspend "
				 "(CONFIG_CHECKPOINT_RESTORE)");
	return 0;
}

static int verify_one(const struct ckpt_filter *f, pid_t tid, size_t i)
{
	cleanup_free uint64_t *insns = calloc(CKPT_FILTER_INSNS, sizeof(*insns));

	if (!insns || ptrace(PTRACE_SECCOMP_GET_FILTER, tid, i, NULL) != (long)f->n_insns ||
	    ptrace(PTRACE_SECCOMP_GET_FILTER, tid, i, insns) != (long)f->n_insns)
		return -1;
	return memcmp(insns, f->insns, f->n_insns * sizeof(*insns)) ? -1 : 0;
}

int ckpt_verify_filters(const struct ckpt_restore *r, const struct ckpt_thread *thread, pid_t tid,
			const struct ckpt_proc_status *now, struct ckpt_err *err)
{
	size_t i;

	if (!thread->n_filters)
		return 0;
	for (i = 0; i < thread->n_filters; i++) {
		if (verify_one(&r->image->filters[thread->filters[i]], tid, i))
			break;
	}
	return now->seccomp != SECCOMP_MODE_FILTER || i < thread->n_filters ||
	       ptrace(PTRACE_SECCOMP_GET_FILTER, tid, i, NULL) >= 0 ?
		ckpt_fail(err, CKPT_DAMAGED, 0, "thread %d has other seccomp filters",
			  thread->tid) : 0;
}
