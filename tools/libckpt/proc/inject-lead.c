// SPDX-License-Identifier: GPL-2.0-or-later
/* Threads that are led through calls of ours: registers and mask, stops, and the way back. */
#include <elf.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "proc/inject-lead.h"
#include "proc/procfs.h"

#define RUN_NS 1000000000ull
#define SPINS 20

static uint64_t bit(int sig)
{
	return 1ull << (sig - 1);
}

uint64_t ckpt_lead_blocks(const struct ckpt_held_thread *t)
{
	return t->dispatch_known ? ~0ull : ~bit(SIGSYS);
}

int ckpt_lead_refuse_dispatch(const struct ckpt_held_proc *p, const struct ckpt_held_thread *t,
			      struct ckpt_err *err)
{
	return ckpt_fail(err, CKPT_REFUSED, 0,
		"pid %d (%s) uses syscall user dispatch (thread %d), which this version cannot "
		"restore", p->pid, p->comm, t->tid);
}

int ckpt_lead_regs(struct ckpt_held_thread *t, struct user_regs_struct *regs, struct ckpt_err *err)
{
	struct iovec iov = { regs, sizeof(*regs) };

	t->regs_changed = true;
	if (ptrace(PTRACE_SETREGSET, t->tid, NT_PRSTATUS, &iov))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot set the registers of thread %d",
				 t->tid);
	return 0;
}

int ckpt_lead_mask(struct ckpt_held_thread *t, uint64_t mask, struct ckpt_err *err)
{
	t->mask_changed = true;
	t->mask_set = true;
	if (ptrace(PTRACE_SETSIGMASK, t->tid, sizeof(mask), &mask))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot set the signal mask of thread %d",
				 t->tid);
	return 0;
}

int ckpt_lead_back(struct ckpt_held_thread *t, struct ckpt_err *err)
{
	if (ckpt_lead_regs(t, &t->regs, err))
		return -1;
	t->regs_changed = false;
	if (ckpt_lead_mask(t, t->sigmask, err))
		return -1;
	t->mask_changed = false;
	return 0;
}

/*
 * When a thread last got on. Threads of all processes run at the same time, so
 * a tree that somebody freezes costs one wait and not one for each process.
 */
static uint64_t progress_ns;

int ckpt_lead_wait(struct ckpt_held_thread *t, int *ret_status, struct ckpt_err *err)
{
	uint64_t until = progress_ns + RUN_NS;
	bool late = false;

	/* look a few times, for the other CPU is quick; then sleep, ticked out of it */
	for (unsigned int rounds = 0;; rounds++) {
		int only_look = rounds < SPINS || late ? WNOHANG : 0;
		pid_t r = waitpid(t->tid, ret_status, __WALL | only_look);

		if (r == t->tid && WIFSTOPPED(*ret_status)) {
			progress_ns = ckpt_now_ns();
			t->stopped = true;
			return 0;
		}
		if (r > 0 || (r < 0 && errno != EINTR)) {
			t->gone = true;
			t->seized = false;
			return ckpt_fail(err, CKPT_FAILED, 0, "thread %d was killed", t->tid);
		}
		/* who was kept from looking looks once more */
		if (late) {
			ptrace(PTRACE_INTERRUPT, t->tid, 0, 0);
			return ckpt_fail(err, CKPT_FAILED, 0,
					 "thread %d does not come back from a call", t->tid);
		}
		late = ckpt_now_ns() > until;
		if (rounds < SPINS)
			sched_yield();
	}
}

int ckpt_lead_resume_with(struct ckpt_held_thread *t, int request, int sig, struct ckpt_err *err)
{
	t->stopped = false;
	progress_ns = ckpt_now_ns();
	if (!ptrace(request, t->tid, 0, sig))
		return 0;
	return ckpt_fail(err, CKPT_FAILED, errno, "cannot resume thread %d", t->tid);
}

int ckpt_lead_resume(struct ckpt_held_thread *t, int request, struct ckpt_err *err)
{
	return ckpt_lead_resume_with(t, request, 0, err);
}

void ckpt_lead_note(struct ckpt_held_thread *t, int status)
{
	if (!(status >> 16) && WSTOPSIG(status) == SIGSTOP)
		t->stop_due = true;
	if (!(status >> 16) && WSTOPSIG(status) == SIGSYS)
		t->sys_due = true;
}
