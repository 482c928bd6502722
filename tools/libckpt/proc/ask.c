// SPDX-License-Identifier: GPL-2.0-or-later
/* What injected calls tell: handlers, timers, stacks, and mm and task fields. */
#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include "proc/ask.h"

#define CALL_FAILED(c) ((c)->value < 0 && (c)->value > -4096)

/* Not in the headers of older kernels. */
#define MEMBARRIER_GET_REGISTRATIONS (1 << 9)

/* As the kernel's struct sigaction on x86-64. */
struct kernel_sigaction {
	uint64_t handler, flags, restorer, mask;
};

static const int itimer_numbers[3] = { ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF };

static void ask_thread(struct ckpt_ask *ask, size_t j)
{
	struct ckpt_ask_thread *t = &ask->threads[j];
	struct ckpt_inject *in = &ask->inject;
	const void *out;
	uint64_t at;

	at = ckpt_inject_out(in, j, sizeof(stack_t), &out);
	t->altstack = out;
	t->calls[0] = ckpt_inject_call(in, j, SYS_sigaltstack, 0, at, 0, 0);
	at = ckpt_inject_out(in, j, sizeof(uint64_t), &out);
	t->clear_tid = out;
	t->calls[1] = ckpt_inject_call(in, j, SYS_prctl, PR_GET_TID_ADDRESS, at, 0, 0);
	t->calls[2] = ckpt_inject_call(in, j, SYS_prctl, PR_GET_SECUREBITS, 0, 0, 0);
	t->calls[3] = ckpt_inject_call(in, j, SYS_prctl, PR_GET_TIMERSLACK, 0, 0, 0);
	at = ckpt_inject_out(in, j, sizeof(int), &out);
	t->pdeath = out;
	t->calls[4] = ckpt_inject_call(in, j, SYS_prctl, PR_GET_PDEATHSIG, at, 0, 0);
	ckpt_strange_ask(in, j, &t->strange);
	ckpt_states_ask(in, j, t->states);
	ckpt_urings_ask(in, j, t->rings);
}

/* Signals at their default say nothing, but SIGCHLD may have flags all the same. */
static void ask_actions(struct ckpt_ask *ask)
{
	const struct ckpt_proc_status *s = &ask->inject.proc->threads[0].status;
	uint64_t set = s->sig_caught | s->sig_ignored | (1ull << (SIGCHLD - 1));

	for (int sig = 1; sig <= CKPT_NSIG; sig++) {
		const void *out;
		uint64_t at;

		if (!(set & (1ull << (sig - 1))) || sig == SIGKILL || sig == SIGSTOP)
			continue;
		at = ckpt_inject_out(&ask->inject, 0, sizeof(struct kernel_sigaction), &out);
		ask->actions[sig - 1] = out;
		ask->action_calls[sig - 1] = ckpt_inject_call(&ask->inject, 0, SYS_rt_sigaction,
							      sig, 0, at, sizeof(uint64_t));
	}
}

static void ask_itimers(struct ckpt_ask *ask)
{
	for (int i = 0; i < 3; i++) {
		const void *out;
		uint64_t at = ckpt_inject_out(&ask->inject, 0, sizeof(struct itimerval), &out);

		ask->itimers[i] = out;
		ask->itimer_calls[i] = ckpt_inject_call(&ask->inject, 0, SYS_getitimer,
							itimer_numbers[i], at, 0, 0);
	}
}

static void ask_task(struct ckpt_ask *ask)
{
	struct ckpt_inject *in = &ask->inject;
	const void *out;
	uint64_t at;

	at = ckpt_inject_out(in, 0, sizeof(int), &out);
	ask->subreaper = out;
	ask->task_calls[0] = ckpt_inject_call(in, 0, SYS_prctl, PR_GET_CHILD_SUBREAPER, at, 0, 0);
	ask->task_calls[1] = ckpt_inject_call(in, 0, SYS_prctl, PR_GET_DUMPABLE, 0, 0, 0);
	ask->task_calls[2] = ckpt_inject_call(in, 0, SYS_brk, 0, 0, 0, 0);
	/* an error here is a kernel that does not tell (before 6.3) */
	ask->membarrier = ckpt_inject_call(in, 0, SYS_membarrier, MEMBARRIER_GET_REGISTRATIONS,
					   0, 0, 0);
}

int ckpt_ask_start(struct ckpt_ask *ask, struct ckpt_err *err)
{
	struct ckpt_held_proc *p = ask->inject.proc;

	ask->threads = calloc(p->n_threads, sizeof(*ask->threads));
	if (!ask->threads)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for remote calls");
	ask_itimers(ask);
	ask_actions(ask);
	ask_task(ask);
	for (size_t j = 0; j < p->n_threads; j++)
		ask_thread(ask, j);
	return ckpt_inject_start(&ask->inject, err);
}

static int check(const struct ckpt_ask *ask, const struct ckpt_inject_call *const *calls, size_t n,
		 struct ckpt_err *err)
{
	for (size_t i = 0; i < n; i++) {
		if (calls[i] && CALL_FAILED(calls[i]))
			return ckpt_fail(err, CKPT_FAILED, -calls[i]->value,
				"pid %d (%s) cannot make system call %llu", ask->inject.proc->pid,
				ask->inject.proc->comm, (unsigned long long)calls[i]->nr);
	}
	return 0;
}

static int64_t ns_of(const struct timeval *t)
{
	return t->tv_sec * 1000000000ll + t->tv_usec * 1000ll;
}

static void tell_itimers(const struct ckpt_ask *ask, struct ckpt_task *task)
{
	for (int i = 0; i < 3; i++) {
		task->itimers[i].value_ns = ns_of(&ask->itimers[i]->it_value);
		task->itimers[i].interval_ns = ns_of(&ask->itimers[i]->it_interval);
	}
}

static void tell_actions(const struct ckpt_ask *ask, struct ckpt_task *task)
{
	for (int i = 0; i < CKPT_NSIG; i++) {
		const struct kernel_sigaction *a = ask->actions[i];

		if (!a)
			continue;
		task->actions[i].handler = a->handler;
		task->actions[i].flags = a->flags;
		task->actions[i].restorer = a->restorer;
		task->actions[i].mask = a->mask;
	}
}

static void tell_thread(const struct ckpt_ask_thread *t, struct ckpt_thread *ret)
{
	ret->altstack_sp = (uintptr_t)t->altstack->ss_sp;
	ret->altstack_size = t->altstack->ss_size;
	ret->altstack_flags = t->altstack->ss_flags;
	ret->clear_tid = *t->clear_tid;
	ret->creds.securebits = t->calls[2]->value;
	ret->timerslack_ns = t->calls[3]->value;
}

/* To be registered for one more does no harm, and to lack one does. */
static uint32_t all_barriers(void)
{
	long known = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);

	return known < 0 ? 0 : known & CKPT_BARRIERS;
}

/* Has one gone off, or might it have, since it was as @before says? */
static bool went_off(const struct ckpt_itimer *before, const struct ckpt_itimer *now)
{
	return before->value_ns && (!now->value_ns || now->value_ns > before->value_ns);
}

/*
 * A timer that goes off between the look at the timers and the look at the
 * queued signals would be lost or would go off twice: look at the timers again
 * until nothing went off in between.  Our calls use the time of those that count
 * that of the processor.
 */
static int settle_timers(struct ckpt_ask *ask, struct ckpt_task *task, struct ckpt_err *err)
{
	struct ckpt_held_proc *p = ask->inject.proc;

	for (int tries = 0; tries < 8; tries++) {
		struct ckpt_itimer before[3];
		bool again = false;

		memcpy(before, task->itimers, sizeof(before));
		if (ckpt_read_pending(p, p->pid, true, p->threads[0].status.sig_shared,
				      &task->pending, &task->n_pending, err))
			return -1;
		if (!before[0].value_ns && !before[1].value_ns && !before[2].value_ns)
			return 0;
		ask_itimers(ask);
		if (ckpt_inject_start(&ask->inject, err) || ckpt_inject_wait(&ask->inject, err) ||
		    check(ask, ask->itimer_calls, 3, err))
			return -1;
		tell_itimers(ask, task);
		for (int i = 0; i < 3; i++)
			again |= went_off(&before[i], &task->itimers[i]);
		if (!again)
			return 0;
	}
	return ckpt_fail(err, CKPT_FAILED, 0,
			 "pid %d (%s) has an interval timer too fast to be read; try again", p->pid,
			 p->comm);
}

int ckpt_ask_finish(struct ckpt_ask *ask, struct ckpt_task *task, struct ckpt_mm *mm,
		    struct ckpt_err *err)
{
	struct ckpt_held_proc *p = ask->inject.proc;

	if (ckpt_inject_wait(&ask->inject, err) ||
	    check(ask, ask->action_calls, CKPT_NSIG, err) ||
	    check(ask, ask->itimer_calls, 3, err) || check(ask, ask->task_calls, 3, err))
		return -1;
	tell_itimers(ask, task);
	tell_actions(ask, task);
	task->pdeath_sig = *ask->threads[0].pdeath;
	task->child_subreaper = *ask->subreaper;
	task->dumpable = ask->task_calls[1]->value;
	mm->layout[5] = ask->task_calls[2]->value;
	mm->membarrier = CALL_FAILED(ask->membarrier) ? all_barriers() : ask->membarrier->value;
	mm->skip_start = p->page_was;
	mm->skip_end = p->page_was + p->page_was_len;
	for (size_t j = 0; j < p->n_threads; j++) {
		if (check(ask, ask->threads[j].calls, 5, err) ||
		    ckpt_strange_check(&ask->inject, j, &ask->threads[j].strange, err) ||
		    ckpt_states_check(&ask->inject, j, ask->threads[j].states, err) ||
		    ckpt_urings_none(&ask->inject, j, ask->threads[j].rings, err))
			return -1;
		tell_thread(&ask->threads[j], &task->threads[j]);
		task->threads[j].pdeath_sig = j ? *ask->threads[j].pdeath : 0;
	}
	return ckpt_timers_look(ask, task, err) || settle_timers(ask, task, err) ||
	       ckpt_timers_settle(ask, task, err) ? -1 : 0;
}

void ckpt_ask_done(struct ckpt_ask *ask)
{
	struct ckpt_err ignored = CKPT_ERR_INIT;

	/* after a failure: take the threads out of the page before it goes */
	ckpt_inject_settle(&ask->inject);
	if (ask->inject.proc && ask->inject.proc->page &&
	    !ckpt_inject_wait(&ask->inject, &ignored))
		ckpt_inject_unmap(&ask->inject, &ignored);
	ckpt_inject_done(&ask->inject);
	free(ask->threads);
	ask->threads = NULL;
}
