// SPDX-License-Identifier: GPL-2.0-or-later
/* Threads: their creation and what each has of its own. */
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "proc/build.h"

#define THREAD_FLAGS (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | \
		      CLONE_SYSVSEM)

static int set_altstack(const struct ckpt_site *s, const struct ckpt_thread *thread,
			struct ckpt_err *err)
{
	/* SS_ONSTACK is where the stack pointer is, not a setting. */
	const stack_t stack = {
		.ss_sp = (void *)thread->altstack_sp,
		.ss_flags = thread->altstack_flags & ~(uint32_t)SS_ONSTACK,
		.ss_size = thread->altstack_size,
	};
	uint64_t at;

	if (!thread->altstack_size || thread->altstack_flags & SS_DISABLE)
		return 0;
	at = ckpt_site_put(s, 0, &stack, sizeof(stack), err);
	return !at || ckpt_site_call(s, err, "set a signal stack", SYS_sigaltstack,
				     ARGS(at, 0)) < 0 ? -1 : 0;
}

static int set_name(const struct ckpt_site *s, const char *comm, struct ckpt_err *err)
{
	uint64_t at = ckpt_site_put(s, 0, comm, 16, err);

	return !at || ckpt_site_call(s, err, "set its name", SYS_prctl,
				     ARGS(PR_SET_NAME, at)) < 0 ? -1 : 0;
}

static int dress(const struct ckpt_restore *r, const struct ckpt_site *s,
		 const struct ckpt_thread *thread, struct ckpt_err *err)
{
	if (set_name(s, thread->comm, err) || set_altstack(s, thread, err))
		return -1;
	if (thread->robust_head &&
	    ckpt_site_call(s, err, "set its robust list", SYS_set_robust_list,
			   ARGS(thread->robust_head, thread->robust_len)) < 0)
		return -1;
	if (thread->clear_tid &&
	    ckpt_site_call(s, err, "set its exit futex", SYS_set_tid_address,
			   ARGS(thread->clear_tid)) < 0)
		return -1;
	if (thread->timerslack_ns &&
	    ckpt_site_call(s, err, "set its timer slack", SYS_prctl,
			   ARGS(PR_SET_TIMERSLACK, thread->timerslack_ns)) < 0)
		return -1;
	return ckpt_build_sched(r, s, thread, err);
}

int ckpt_build_threads(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err)
{
	const struct ckpt_site leader = ckpt_build_site(r, t, 0);
	struct ckpt_site s;
	size_t i;

	for (i = 1; i < t->task->n_threads; i++) {
		if (ckpt_build_clone(r, &leader, THREAD_FLAGS, t->task->threads[i].tid, 0,
				     &t->tids[i], err))
			return -1;
	}
	for (i = 0; i < t->task->n_threads; i++) {
		s = ckpt_build_site(r, t, i);
		if (dress(r, &s, &t->task->threads[i], err))
			return -1;
	}
	return 0;
}
