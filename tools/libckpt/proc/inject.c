// SPDX-License-Identifier: GPL-2.0-or-later
/* Injected calls: tables of them, which all threads of a process run at the same time. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "proc/inject-lead.h"
#include "proc/inject-value.h"
#include "proc/inject.h"
#include "proc/remote.h"

#define SYSCALL_STOP (SIGTRAP | 0x80)

static uint64_t bit(int sig)
{
	return 1ull << (sig - 1);
}

uint64_t ckpt_inject_out(struct ckpt_inject *inject, size_t thread, size_t size,
			 const void **ret_local)
{
	struct ckpt_inject_slot *s = &inject->slots[thread];
	size_t at = s->out + s->out_used;

	s->out_used += (size + 7) & ~(size_t)7;
	if (s->out_used > s->out_len)
		abort();	/* the tables are sized for what the readers ask */
	memset(inject->local + at, 0, size);
	*ret_local = inject->local + at;
	return inject->proc->page + at;
}

const struct ckpt_inject_call *ckpt_inject_call(struct ckpt_inject *inject, size_t thread, long nr,
						uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	struct ckpt_inject_slot *s = &inject->slots[thread];
	struct ckpt_inject_call *call = (void *)(inject->local + s->calls);

	if (s->n >= s->max)
		abort();
	call += s->n++;
	*call = (struct ckpt_inject_call){ .nr = nr, .args = { a, b, c, d }, .value = -ENOSYS };
	return call;
}

/*
 * A signal that the program ignores by default and does not know about: it stops a traced thread
 * and does nothing to one that is not traced any more.  Its own mask may hold it back: then it
 * has to be out of that stop before it has its mask again.
 */
static int end_signal(const struct ckpt_held_proc *p, const struct ckpt_held_thread *t)
{
	static const int harmless[] = { SIGURG, SIGWINCH };
	const struct ckpt_proc_status *s = &t->status;
	uint64_t taken = s->sig_caught | s->sig_pending | s->sig_shared;
	int found = 0;

	if (p->threads[0].group_stop)
		return 0;
	for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++) {
		if (taken & bit(harmless[i]))
			continue;
		if (!(t->sigmask & bit(harmless[i])))
			return harmless[i];
		found = harmless[i];
	}
	return found;
}

/* Stops on the way are for a descriptor, or where no signal is to spare. */
static int way(const struct ckpt_inject_slot *s)
{
	return s->sig && !s->fetch ? PTRACE_CONT : PTRACE_SYSCALL;
}

static int start_thread(struct ckpt_inject *inject, size_t j, struct ckpt_err *err)
{
	struct ckpt_held_thread *t = &inject->proc->threads[j];
	struct ckpt_inject_slot *s = &inject->slots[j];
	struct user_regs_struct regs = t->regs;
	uint64_t page = inject->proc->page, mask = ckpt_lead_blocks(t);

	regs.rip = page;
	regs.rbx = page + s->calls;
	regs.r12 = s->n;
	regs.rsp = s->sp;
	regs.orig_rax = -1;
	regs.rax = 0;
	regs.eflags &= ~0x500ull;	/* neither single-stepping nor backwards */
	if (s->sig)
		mask &= ~bit(s->sig);
	if (ckpt_lead_mask(t, mask, err) ||
	    ckpt_lead_regs(t, &regs, err) ||
	    ckpt_lead_resume(t, way(s), err))
		return -1;
	s->running = true;
	return 0;
}

/* The last call of a table: the signal, where there is one and a filter lets it be sent. */
static void add_end(struct ckpt_inject *inject, size_t j)
{
	const struct ckpt_held_proc *p = inject->proc;
	struct ckpt_inject_slot *s = &inject->slots[j];
	uint64_t args[6] = { p->threads[0].status.ns_pid, p->threads[j].status.ns_pid };

	s->sig = args[2] = end_signal(p, &p->threads[j]);
	if (s->sig && !ckpt_inject_spared(inject, j, SYS_tgkill, args))
		s->sig = 0;
	if (s->sig)
		ckpt_inject_call(inject, j, SYS_tgkill, args[0], args[1], args[2], 0);
	s->held_back = s->sig && p->threads[j].sigmask & bit(s->sig);
	s->aside = false;
}

int ckpt_inject_start(struct ckpt_inject *inject, struct ckpt_err *err)
{
	struct ckpt_held_proc *p = inject->proc;

	for (size_t j = 0; j < p->n_threads; j++) {
		struct ckpt_inject_slot *s = &inject->slots[j];

		if (!s->n)
			continue;
		add_end(inject, j);
		if (ckpt_inject_check_table(inject, j, err))
			return -1;
		s->sp = ckpt_sigframe_put(inject->local + s->frame, p->page + s->frame,
					  &p->threads[j]);
	}
	/* the way back is in place before any register is changed */
	if (ckpt_remote_write(p->pid, p->page, inject->local, inject->used, err))
		return -1;
	ckpt_fault("keeper.written");
	for (size_t j = 0; j < p->n_threads; j++) {
		if (inject->slots[j].n && start_thread(inject, j, err))
			return -1;
		ckpt_fault("keeper.started");
	}
	return 0;
}

/* Is this the stop that the last call asked for? */
static bool at_end(const struct ckpt_inject *inject, size_t j, int status)
{
	const struct ckpt_inject_slot *s = &inject->slots[j];
	uint64_t last = inject->proc->page + s->calls +
			(s->n - 1) * sizeof(struct ckpt_inject_call);

	return status >> 16 == 0 && WSTOPSIG(status) == s->sig &&
	       (uint64_t)ptrace(PTRACE_PEEKUSER, inject->proc->threads[j].tid,
				offsetof(struct user_regs_struct, rbx), 0) == last;
}

/* Without a signal to spare: stop at every call until rt_sigreturn, and skip that. */
static bool at_return(const struct ckpt_held_thread *t, int status)
{
	size_t nr = offsetof(struct user_regs_struct, orig_rax);

	if (WSTOPSIG(status) != SYSCALL_STOP ||
	    ptrace(PTRACE_PEEKUSER, t->tid, nr, 0) != SYS_rt_sigreturn)
		return false;
	return !ptrace(PTRACE_POKEUSER, t->tid, nr, -1l);
}

/*
 * It stands before it closes what it has just opened: then that is ours as well.  A call that
 * has opened nothing left its error there.
 */
static void fetch(struct ckpt_inject_slot *s, const struct ckpt_held_thread *t, pid_t pid,
		  int status)
{
	long nr = ptrace(PTRACE_PEEKUSER, t->tid, offsetof(struct user_regs_struct, orig_rax), 0);
	long fd = ptrace(PTRACE_PEEKUSER, t->tid, offsetof(struct user_regs_struct, rdi), 0);
	cleanup_close int pidfd = -1;

	if (WSTOPSIG(status) != SYSCALL_STOP || nr != SYS_close)
		return;
	s->fetch = false;
	s->fetched = fd;
	if (fd < 0)
		return;
	ckpt_fault("keeper.opened");
	pidfd = syscall(SYS_pidfd_open, pid, 0);
	s->fetched = pidfd < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	if (s->fetched < 0)
		s->fetched = -errno;
	ckpt_fault("keeper.fetched");
}

/*
 * A signal of somebody else, which our run has let through: its own mask holds it back.  Blocked
 * again it is queued as it was; then nothing ends the run but a look at every call, and the last
 * one is left out.
 */
static int queue_again(struct ckpt_inject_slot *s, struct ckpt_held_thread *t, struct ckpt_err *err)
{
	int sig = s->sig;

	s->sig = 0;
	return ckpt_lead_mask(t, ckpt_lead_blocks(t), err) ||
	       ckpt_lead_resume_with(t, PTRACE_SYSCALL, sig, err) ? -1 : 0;
}

static void leave_out_end(const struct ckpt_held_thread *t, int status)
{
	size_t nr = offsetof(struct user_regs_struct, orig_rax);

	if (WSTOPSIG(status) == SYSCALL_STOP &&
	    ptrace(PTRACE_PEEKUSER, t->tid, nr, 0) == SYS_tgkill)
		ptrace(PTRACE_POKEUSER, t->tid, nr, -1l);
}

/* The table is done: to a stop that is of no signal and no call, where that is needed. */
static int step_aside(struct ckpt_inject_slot *s, struct ckpt_held_thread *t, struct ckpt_err *err)
{
	s->aside = true;
	if (ptrace(PTRACE_INTERRUPT, t->tid, 0, 0))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot interrupt thread %d", t->tid);
	return ckpt_lead_resume(t, PTRACE_CONT, err);
}

/* Is the signal that it stands at that of its last call, and not of somebody just before it? */
static bool is_own(const struct ckpt_held_proc *p, const struct ckpt_held_thread *t)
{
	siginfo_t info;

	return !ptrace(PTRACE_GETSIGINFO, t->tid, 0, &info) && info.si_code == SI_TKILL &&
	       info.si_pid == p->threads[0].status.ns_tgid;
}

/* One stop. Return: 1 when the run is over, 0 when it goes on, -1. */
static int pass_stop(struct ckpt_inject *inject, size_t j, int status, struct ckpt_err *err)
{
	struct ckpt_held_thread *t = &inject->proc->threads[j];
	struct ckpt_inject_slot *s = &inject->slots[j];

	if (s->aside && status >> 16 == PTRACE_EVENT_STOP) {
		ckpt_lead_note(t, status);
		return 1;
	}
	if (!s->aside && s->sig && at_end(inject, j, status) && !s->held_back)
		return 1;
	if (!s->aside && s->sig && at_end(inject, j, status) && is_own(inject->proc, t))
		return step_aside(s, t, err);
	if (!s->aside && !s->sig && at_return(t, status))
		return step_aside(s, t, err);
	if (WSTOPSIG(status) == SIGSYS && ckpt_remote_dispatched(t->tid)) {
		s->running = false;
		return ckpt_lead_back(t, err) ? -1 :
		       ckpt_lead_refuse_dispatch(inject->proc, t, err);
	}
	if (!s->aside && s->held_back && s->sig && status >> 16 == 0 && WSTOPSIG(status) == s->sig)
		return queue_again(s, t, err);
	if (s->fetch)
		fetch(s, t, inject->proc->pid, status);
	if (s->held_back && !s->sig)
		leave_out_end(t, status);
	/* what else comes here the program ignores as well: drop it */
	ckpt_lead_note(t, status);
	return ckpt_lead_resume(t, s->aside ? PTRACE_CONT : way(s), err);
}

static int wait_thread(struct ckpt_inject *inject, size_t j, struct ckpt_err *err)
{
	struct ckpt_held_thread *t = &inject->proc->threads[j];
	struct ckpt_inject_slot *s = &inject->slots[j];
	int status, over = 0;

	while (!over) {
		if (ckpt_lead_wait(t, &status, err))
			return -1;
		over = pass_stop(inject, j, status, err);
	}
	if (over < 0)
		return -1;
	s->running = false;
	return ckpt_lead_back(t, err);
}

int ckpt_inject_wait(struct ckpt_inject *inject, struct ckpt_err *err)
{
	struct ckpt_held_proc *p = inject->proc;
	int ret = 0;

	/* after a failure of one the others are brought back all the same */
	for (size_t j = 0; j < p->n_threads; j++) {
		struct ckpt_inject_slot *s = &inject->slots[j];

		if (s->running && wait_thread(inject, j, ret ? NULL : err))
			ret = -1;
		ckpt_fault("keeper.answered");
		if (!ret && s->n &&
		    ckpt_remote_read(p->pid, p->page + s->calls, inject->local + s->calls,
				     s->out - s->calls + s->out_used, err))
			ret = -1;
		if (s->running)
			continue;
		s->n = 0;
		s->out_used = 0;
	}
	return ret;
}

int ckpt_inject_fetch(struct ckpt_inject *inject, long nr, uint64_t a, int *ret_fd,
		      struct ckpt_err *err)
{
	struct ckpt_inject_slot *s = &inject->slots[0];
	struct ckpt_err why = CKPT_ERR_INIT;
	int failed;

	s->fetch = true;
	s->fetched = -ESRCH;
	ckpt_inject_call(inject, 0, nr, a, 0, 0, 0);
	ckpt_inject_call(inject, 0, SYS_close, (int64_t)CKPT_INJECT_LAST_VALUE, 0, 0, 0);
	/* what can be gone without is not worth a refusal */
	if (ckpt_inject_check_table(inject, 0, &why)) {
		s->n = 0;
		s->fetch = false;
		*ret_fd = -EACCES;
		return 0;
	}
	failed = ckpt_inject_start(inject, err) || ckpt_inject_wait(inject, err);
	s->fetch = false;
	if (!failed) {
		*ret_fd = s->fetched;
		return 0;
	}
	if (s->fetched >= 0)
		close(s->fetched);
	return -1;
}

void ckpt_inject_done(struct ckpt_inject *inject)
{
	free(inject->local);
	free(inject->slots);
	*inject = (struct ckpt_inject){ 0 };
}
