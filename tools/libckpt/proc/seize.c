// SPDX-License-Identifier: GPL-2.0-or-later
/* ptrace stops: seize and interrupt, wait, put back and detach. */
#include <elf.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fault.h"
#include "proc/hold.h"
#include "proc/procfs.h"
#include "proc/remote.h"
#include "proc/restart.h"

#define SYSCALL_STOP (SIGTRAP | 0x80)

/* Why a thread cannot be seized, from what /proc says. Return: 0 when it is just gone. */
static int explain(struct ckpt_hold *hold, struct ckpt_held_proc *p, struct ckpt_held_thread *t,
		   int error, struct ckpt_err *err)
{
	struct ckpt_proc_status s;
	char name[64];
	int r;

	snprintf(name, sizeof(name), "task/%d/status", t->tid);
	r = ckpt_procfs_read_piece(p->dir, name, &hold->scratch);
	if (ckpt_procfs_gone(r)) {
		t->gone = true;
		return 0;
	}
	if (r || ckpt_parse_status((char *)hold->scratch.data, &s))
		return ckpt_fail(err, CKPT_FAILED, -r, "cannot read the status of pid %d", t->tid);
	if (s.state == 'X' || (s.state == 'Z' && t->tid != p->pid)) {
		t->gone = true;
		return 0;
	}
	if (s.state == 'Z') {
		if (p->n_threads > 1 && ckpt_tree_outlived(p))
			return ckpt_fail(err, CKPT_REFUSED, 0,
				"pid %d (%s) has ended its first thread while others run, which "
				"this version cannot restore", p->pid, p->comm);
		p->zombie = true;
		t->gone = true;
		return 0;
	}
	if (s.tracer)
		return ckpt_fail(err, CKPT_REFUSED, 0,
			"pid %d (%s) is traced by pid %d; detach the debugger", p->pid, p->comm,
			s.tracer);
	return ckpt_fail(err, CKPT_FAILED, error, "cannot seize thread %d of pid %d (%s)", t->tid,
			 p->pid, p->comm);
}

int ckpt_seize_all(struct ckpt_hold *hold, struct ckpt_err *err)
{
	for (size_t i = 0; i < hold->n_procs; i++) {
		struct ckpt_held_proc *p = &hold->procs[i];

		for (size_t j = 0; !p->zombie && j < p->n_threads; j++) {
			struct ckpt_held_thread *t = &p->threads[j];

			if (t->seized || t->gone)
				continue;
			/* never EXITKILL: the tree outlives its tracer */
			if (ptrace(PTRACE_SEIZE, t->tid, 0, PTRACE_O_TRACESYSGOOD)) {
				if (explain(hold, p, t, errno, err))
					return -1;
				continue;
			}
			t->seized = true;
			/* who has ended by now is found by the wait (EIO: it is being reaped) */
			if (ptrace(PTRACE_INTERRUPT, t->tid, 0, 0) && errno != ESRCH &&
			    errno != EIO)
				return ckpt_fail(err, CKPT_FAILED, errno,
						 "cannot interrupt thread %d of pid %d (%s)",
						 t->tid, p->pid, p->comm);
		}
	}
	return 0;
}

/* One look at a thread. Return: 1 when it needs no more waiting. */
static int look(struct ckpt_held_thread *t)
{
	int status;
	pid_t r;

	for (;;) {
		r = waitpid(t->tid, &status, __WALL | WNOHANG);
		if (!r)
			return 0;
		if (r < 0 || WIFEXITED(status) || WIFSIGNALED(status)) {
			t->gone = true;
			t->seized = false;
			return 1;
		}
		if (!WIFSTOPPED(status))
			continue;
		/* of a remote call that was given up: it is not made, the trap follows */
		if (WSTOPSIG(status) == SYSCALL_STOP) {
			ptrace(PTRACE_POKEUSER, t->tid, offsetof(struct user_regs_struct, orig_rax),
			       -1l);
			/* the stop may have taken the one that it was given up with */
			ptrace(PTRACE_INTERRUPT, t->tid, 0, 0);
			ptrace(PTRACE_CONT, t->tid, 0, 0);
			continue;
		}
		if (status >> 16 == PTRACE_EVENT_STOP) {
			int sig = WSTOPSIG(status);

			t->group_stop = sig == SIGTRAP ? 0 : sig;
			t->stopped = true;
			return 1;
		}
		/* of a call of ours that was given up, or due when we let go */
		if (WSTOPSIG(status) == SIGSYS && (t->regs_changed || t->mask_changed)) {
			t->sys_due |= !ckpt_remote_dispatched(t->tid);
			ptrace(PTRACE_CONT, t->tid, 0, 0);
			continue;
		}
		/*
		 * A signal came between seize and interrupt: let the kernel set
		 * its handler up; the trap is taken before the handler runs.
		 */
		if (ptrace(PTRACE_CONT, t->tid, 0, status >> 16 ? 0 : WSTOPSIG(status)) &&
		    errno != ESRCH)
			return 0;
	}
}

int ckpt_seize_wait(struct ckpt_hold *hold, uint64_t until_ns, struct ckpt_held_proc **ret_proc,
		    pid_t *ret_tid)
{
	unsigned int rounds = 0;

	for (;;) {
		struct ckpt_held_proc *left = NULL;
		pid_t tid = 0;

		for (size_t i = 0; i < hold->n_procs; i++) {
			struct ckpt_held_proc *p = &hold->procs[i];

			for (size_t j = 0; j < p->n_threads; j++) {
				struct ckpt_held_thread *t = &p->threads[j];

				if (!t->seized || t->stopped || t->gone || look(t))
					continue;
				left = p;
				tid = t->tid;
			}
		}
		if (!left)
			return 0;
		if (ckpt_now_ns() > until_ns) {
			*ret_proc = left;
			*ret_tid = tid;
			return 1;
		}
		if (++rounds < 50)
			sched_yield();
		else
			ckpt_sleep_us(rounds < 200 ? 10 : 200);
	}
}

static bool in_call(const struct user_regs_struct *regs)
{
	return ckpt_restart_pending(regs) || ckpt_restart_eintr(regs);
}

struct user_regs_struct ckpt_held_regs(const struct ckpt_held_thread *t)
{
	struct user_regs_struct regs = t->regs;

	if (!in_call(&regs))
		return regs;
	regs.orig_rax = t->call;
	ckpt_restart_rewind(&regs);
	return regs;
}

/*
 * Does only the mask of the call itself (sigsuspend, ppoll, ...) hold back the
 * signals that are due?  That mask goes with the call, which sets it again.
 */
static bool held_back_by_call(const struct ckpt_held_thread *t)
{
	uint64_t due = (t->status.sig_pending | t->status.sig_shared) & t->status.sig_caught;

	return due & ~t->sigmask && !(due & ~t->status.sig_blocked);
}

struct user_regs_struct ckpt_held_regs_deferred(const struct ckpt_held_thread *t)
{
	struct user_regs_struct regs = t->regs;

	if (!in_call(&regs))
		return regs;
	if (held_back_by_call(t))
		return ckpt_held_regs(t);
	ckpt_restart_defer(&regs, t->call);
	return regs;
}

/* EINTR that only our stop has caused becomes the call again. */
static void forgive_eintr(struct ckpt_held_thread *t)
{
	if (!ckpt_restart_eintr(&t->regs))
		return;
	ckpt_restart_defer(&t->regs, t->regs.orig_rax);
	t->forgiven = true;
	t->regs_changed = true;
}

int ckpt_held_forgive(struct ckpt_held_thread *t, struct ckpt_err *err)
{
	struct iovec iov = { &t->regs, sizeof(t->regs) };

	if (!ckpt_restart_eintr(&t->regs))
		return 0;
	forgive_eintr(t);
	if (ptrace(PTRACE_SETREGSET, t->tid, NT_PRSTATUS, &iov))
		return ckpt_fail(err, CKPT_FAILED, errno,
				 "cannot set the registers of thread %d", t->tid);
	return 0;
}

/* The signals that are due by now; the mask stays that of the call. */
static void look_at_pending(struct ckpt_hold *hold, const struct ckpt_held_proc *p,
			    struct ckpt_held_thread *t)
{
	struct ckpt_proc_status now;
	char name[64];

	snprintf(name, sizeof(name), "task/%d/status", t->tid);
	if (ckpt_procfs_read_piece(p->dir, name, &hold->scratch) ||
	    ckpt_parse_status((char *)hold->scratch.data, &now))
		return;
	t->status.sig_pending = now.sig_pending;
	t->status.sig_shared = now.sig_shared;
}

/*
 * A call whose own mask is lost by our calls is made again where only that mask
 * holds back what is due: the handler runs before it, and it does not end early.
 */
static bool remake_call(struct ckpt_hold *hold, const struct ckpt_held_proc *p,
			struct ckpt_held_thread *t)
{
	if (!t->mask_set || !in_call(&t->regs))
		return false;
	look_at_pending(hold, p, t);
	if (!held_back_by_call(t))
		return false;
	t->regs = ckpt_held_regs(t);
	t->regs_changed = true;
	return true;
}

/* The last word was SIGCONT: a later SIGSTOP would have taken it out of the queue. */
static bool was_continued(struct ckpt_hold *hold, const struct ckpt_held_proc *p,
			  struct ckpt_held_thread *t)
{
	look_at_pending(hold, p, t);
	return (t->status.sig_pending | t->status.sig_shared) & 1ull << (SIGCONT - 1);
}

/* One that was stopped and never looked at may still need its call again. */
static void get_ready(struct ckpt_hold *hold, const struct ckpt_held_proc *p,
		      struct ckpt_held_thread *t)
{
	struct iovec iov = { &t->regs, sizeof(t->regs) };

	if (!t->regs_known)
		t->regs_known = !ptrace(PTRACE_GETREGSET, t->tid, NT_PRSTATUS, &iov) &&
				!ptrace(PTRACE_GETSIGMASK, t->tid, sizeof(t->sigmask),
					&t->sigmask);
	if (!t->regs_known)
		return;
	forgive_eintr(t);
	ckpt_limits_note(hold, p, t);
}

static void let_go(struct ckpt_hold *hold, const struct ckpt_held_proc *p,
		   struct ckpt_held_thread *t)
{
	struct iovec iov = { &t->regs, sizeof(t->regs) };

	if (t->regs_known) {
		bool rewound = remake_call(hold, p, t);

		t->regs_changed |= ckpt_held_wait_go_on(hold, t, rewound);
	}
	if (t->regs_changed)
		ptrace(PTRACE_SETREGSET, t->tid, NT_PRSTATUS, &iov);
	if (t->mask_changed)
		ptrace(PTRACE_SETSIGMASK, t->tid, sizeof(t->sigmask), &t->sigmask);
	t->regs_changed = false;
	t->mask_changed = false;
	if (t->stop_due && !was_continued(hold, p, t))
		syscall(SYS_tkill, t->tid, SIGSTOP);
	if (t->sys_due)
		syscall(SYS_tkill, t->tid, SIGSYS);
	t->stop_due = false;
	t->sys_due = false;
	ckpt_fault("keeper.detaching");
	t->stopped = false;
	/* killed meanwhile: its parent hears of it when we have taken the end of it */
	t->seized = ptrace(PTRACE_DETACH, t->tid, 0, 0) != 0;
}

static void each_stopped(struct ckpt_hold *hold,
			 void (*fn)(struct ckpt_hold *, const struct ckpt_held_proc *,
				    struct ckpt_held_thread *))
{
	for (size_t i = 0; i < hold->n_procs; i++) {
		struct ckpt_held_proc *p = &hold->procs[i];

		for (size_t j = 0; j < p->n_threads; j++) {
			if (p->threads[j].seized && p->threads[j].stopped)
				fn(hold, p, &p->threads[j]);
		}
	}
}

static void let_go_stopped(struct ckpt_hold *hold)
{
	each_stopped(hold, get_ready);
	ckpt_limits_shorten(hold);
	each_stopped(hold, let_go);
}

/*
 * Only a stopped thread can be detached.  One that is seized and still on its
 * way (a vfork parent stops when its child has gone on) is waited for; after
 * two seconds it is left to the end of the keeper, when the kernel detaches it.
 */
void ckpt_hold_release(struct ckpt_hold *hold)
{
	uint64_t until = ckpt_now_ns() + 2000000000ull;
	struct ckpt_held_proc *p;
	pid_t tid;

	let_go_stopped(hold);
	ckpt_freeze_off(hold);
	ckpt_limits_go(hold);
	while (ckpt_seize_wait(hold, ckpt_now_ns() + 2000000, &p, &tid) > 0 &&
	       ckpt_now_ns() < until)
		let_go_stopped(hold);
	let_go_stopped(hold);
}
