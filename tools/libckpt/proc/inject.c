// SPDX-License-Identifier: GPL-2.0-or-later
/* Injected calls. */
#include <elf.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "proc/inject-value.h"
#include "proc/inject.h"
#include "proc/procfs.h"
#include "proc/remote.h"

extern const uint8_t ckpt_inject_code[], ckpt_inject_code_end[];

/* The process-wide questions are asked by the first thread. */
#define CALLS_FIRST 128
#define CALLS_OTHER 32
#define OUT_FIRST 4096
#define OUT_OTHER 128
#define RUN_NS 1000000000ull
#define SPINS 20
#define SYSCALL_STOP (SIGTRAP | 0x80)

static size_t align64(size_t n)
{
	return (n + 63) & ~(size_t)63;
}

static uint64_t bit(int sig)
{
	return 1ull << (sig - 1);
}

/* What is blocked during our calls: a forced SIGSYS that is blocked loses its handler. */
static uint64_t call_mask(const struct ckpt_held_thread *t)
{
	return t->dispatch_known ? ~0ull : ~bit(SIGSYS);
}

static int refuse_dispatch(const struct ckpt_held_proc *p, const struct ckpt_held_thread *t,
			   struct ckpt_err *err)
{
	return ckpt_fail(err, CKPT_REFUSED, 0,
		"pid %d (%s) uses syscall user dispatch (thread %d), which this version cannot "
		"restore", p->pid, p->comm, t->tid);
}

static int set_regs(const struct ckpt_held_thread *t, struct user_regs_struct *regs,
		    struct ckpt_err *err)
{
	struct iovec iov = { regs, sizeof(*regs) };

	if (ptrace(PTRACE_SETREGSET, t->tid, NT_PRSTATUS, &iov))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot set the registers of thread %d",
				 t->tid);
	return 0;
}

static int set_mask(struct ckpt_held_thread *t, uint64_t mask, struct ckpt_err *err)
{
	t->mask_set = true;
	if (ptrace(PTRACE_SETSIGMASK, t->tid, sizeof(mask), &mask))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot set the signal mask of thread %d",
				 t->tid);
	return 0;
}

static int put_back(struct ckpt_held_thread *t, struct ckpt_err *err)
{
	if (set_regs(t, &t->regs, err))
		return -1;
	t->regs_changed = false;
	if (set_mask(t, t->sigmask, err))
		return -1;
	t->mask_changed = false;
	return 0;
}

/*
 * When a thread last got on. Threads of all processes run at the same time, so
 * a tree that somebody freezes costs one wait and not one for each process.
 */
static uint64_t progress_ns;

/* The next stop of a thread that runs. Return: 0 with the status, -1 late or gone. */
static int next_stop(struct ckpt_held_thread *t, int *ret_status, struct ckpt_err *err)
{
	uint64_t until = progress_ns + RUN_NS;

	/* look a few times, for the other CPU is quick; then sleep, ticked out of it */
	for (unsigned int rounds = 0;; rounds++) {
		pid_t r = waitpid(t->tid, ret_status, __WALL | (rounds < SPINS ? WNOHANG : 0));

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
		if (ckpt_now_ns() > until) {
			ptrace(PTRACE_INTERRUPT, t->tid, 0, 0);
			return ckpt_fail(err, CKPT_FAILED, 0,
					 "thread %d does not come back from a call", t->tid);
		}
		if (rounds < SPINS)
			sched_yield();
	}
}

static int resume(struct ckpt_held_thread *t, int request, struct ckpt_err *err)
{
	t->stopped = false;
	progress_ns = ckpt_now_ns();
	if (!ptrace(request, t->tid, 0, 0))
		return 0;
	return ckpt_fail(err, CKPT_FAILED, errno, "cannot resume thread %d", t->tid);
}

/* SIGSTOP no mask holds back, and SIGSYS is not always in ours: they are due when we let go. */
static void note_signal(struct ckpt_held_thread *t, int status)
{
	if (!(status >> 16) && WSTOPSIG(status) == SIGSTOP)
		t->stop_due = true;
	if (!(status >> 16) && WSTOPSIG(status) == SIGSYS)
		t->sys_due = true;
}

/*
 * From a stop at a system call to one inside signal delivery: there the
 * kernel looks, when the thread is let go, whether a call is to be restarted.
 */
static int to_signal_stop(struct ckpt_held_thread *t, struct ckpt_err *err)
{
	int status;

	if (ptrace(PTRACE_INTERRUPT, t->tid, 0, 0))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot interrupt thread %d", t->tid);
	do {
		if (resume(t, PTRACE_CONT, err) || next_stop(t, &status, err))
			return -1;
		note_signal(t, status);
	} while (status >> 16 != PTRACE_EVENT_STOP);
	return 0;
}

/* Only of a thread that stands the kernel shows us anything. */
static bool stands(const struct ckpt_held_thread *t)
{
	uint64_t mask;

	return !ptrace(PTRACE_GETSIGMASK, t->tid, sizeof(mask), &mask);
}

/* One call by the first thread, outside the mapping. */
static int plain_call(struct ckpt_inject *inject, long nr, const uint64_t args[6],
		      int64_t *ret_value, struct ckpt_err *err)
{
	struct ckpt_held_thread *t = &inject->proc->threads[0];

	if (ckpt_inject_check(inject->proc, t, inject->at, nr, args, err))
		return -1;
	t->mask_changed = true;
	if (set_mask(t, call_mask(t), err))
		return -1;
	t->regs_changed = true;
	if (ckpt_remote_syscall(t->tid, inject->at, nr, args, ret_value, err)) {
		/* one that still runs the release waits for; then it puts both back */
		t->stopped = stands(t);
		return ckpt_remote_dispatched(t->tid) ? refuse_dispatch(inject->proc, t, err) : -1;
	}
	/* a SIGSYS of others that the call has queued again stays there */
	if (!t->dispatch_known && set_mask(t, ~0ull, err))
		return -1;
	return to_signal_stop(t, err) ? -1 : put_back(t, err);
}

static size_t lay_out(struct ckpt_inject *inject)
{
	struct ckpt_held_proc *p = inject->proc;
	size_t at = align64(ckpt_inject_code_end - ckpt_inject_code);

	for (size_t j = 0; j < p->n_threads; j++) {
		struct ckpt_inject_slot *s = &inject->slots[j];

		s->max = j ? CALLS_OTHER : CALLS_FIRST;
		s->calls = at;
		at += s->max * sizeof(struct ckpt_inject_call);
		s->out = at;
		s->out_len = j ? OUT_OTHER : OUT_FIRST;
		at += s->out_len;
		s->frame = at;
		at = align64(at + ckpt_sigframe_len(p->threads[j].xstate_len));
	}
	return (at + 4095) & ~(size_t)4095;
}

int ckpt_inject_map(struct ckpt_inject *inject, struct ckpt_held_proc *proc, uint64_t at,
		    struct ckpt_err *err)
{
	int64_t value;

	*inject = (struct ckpt_inject){ .proc = proc, .at = at };
	inject->slots = calloc(proc->n_threads, sizeof(*inject->slots));
	if (!inject->slots)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for remote calls");
	inject->len = lay_out(inject);
	inject->local = aligned_alloc(4096, inject->len);
	if (!inject->local)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for remote calls");
	memset(inject->local, 0, inject->len);
	memcpy(inject->local, ckpt_inject_code, ckpt_inject_code_end - ckpt_inject_code);
	/* what is mapped must go again */
	if (ckpt_inject_check(proc, &proc->threads[0], at, SYS_munmap,
			      (uint64_t[6]){ 0, inject->len }, err) ||
	    plain_call(inject, SYS_mmap,
		       (uint64_t[6]){ 0, inject->len, PROT_READ | PROT_WRITE | PROT_EXEC,
				      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0 }, &value, err))
		return -1;
	if (value == -EACCES)
		return ckpt_fail(err, CKPT_REFUSED, 0,
			"pid %d (%s) may not map memory that it can write and execute "
			"(PR_SET_MDWE, SELinux), which ckpt-tool needs there", proc->pid,
			proc->comm);
	if (value < 0 && value > -4096)
		return ckpt_fail(err, CKPT_FAILED, -value,
				 "pid %d (%s) cannot map %zu bytes for remote calls", proc->pid,
				 proc->comm, inject->len);
	proc->page = value;
	proc->page_len = inject->len;
	proc->page_was = value;
	proc->page_was_len = inject->len;
	ckpt_fault("keeper.mapped");
	return 0;
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
 * A signal that the program ignores by default and does not know about: it
 * stops a traced thread and does nothing to one that is not traced any more.
 */
static int end_signal(const struct ckpt_held_proc *p, const struct ckpt_held_thread *t)
{
	static const int harmless[] = { SIGURG, SIGWINCH };
	const struct ckpt_proc_status *s = &t->status;
	uint64_t taken = s->sig_caught | s->sig_pending | s->sig_shared | t->sigmask;

	if (p->threads[0].group_stop)
		return 0;
	for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++) {
		if (!(taken & bit(harmless[i])))
			return harmless[i];
	}
	return 0;
}

static int start_thread(struct ckpt_inject *inject, size_t j, struct ckpt_err *err)
{
	struct ckpt_held_thread *t = &inject->proc->threads[j];
	struct ckpt_inject_slot *s = &inject->slots[j];
	struct user_regs_struct regs = t->regs;
	uint64_t page = inject->proc->page;

	regs.rip = page;
	regs.rbx = page + s->calls;
	regs.r12 = s->n;
	regs.rsp = s->sp;
	regs.orig_rax = -1;
	regs.rax = 0;
	regs.eflags &= ~0x500ull;	/* neither single-stepping nor backwards */
	t->mask_changed = true;
	if (set_mask(t, s->sig ? call_mask(t) & ~bit(s->sig) : call_mask(t), err))
		return -1;
	t->regs_changed = true;
	if (set_regs(t, &regs, err) || resume(t, s->sig ? PTRACE_CONT : PTRACE_SYSCALL, err))
		return -1;
	s->running = true;
	return 0;
}

int ckpt_inject_start(struct ckpt_inject *inject, struct ckpt_err *err)
{
	struct ckpt_held_proc *p = inject->proc;

	for (size_t j = 0; j < p->n_threads; j++) {
		struct ckpt_inject_slot *s = &inject->slots[j];

		if (!s->n)
			continue;
		s->sig = s->fetch ? 0 : end_signal(p, &p->threads[j]);
		if (s->sig)
			ckpt_inject_call(inject, j, SYS_tgkill, p->threads[0].status.ns_pid,
					 p->threads[j].status.ns_pid, s->sig, 0);
		if (ckpt_inject_check_table(inject, j, err))
			return -1;
		s->sp = ckpt_sigframe_put(inject->local + s->frame, p->page + s->frame,
					  &p->threads[j]);
	}
	/* the way back is in place before any register is changed */
	if (ckpt_remote_write(p->pid, p->page, inject->local, inject->len, err))
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
	s->fetch = false;	/* the next stop is the end of this very call */
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

static int wait_thread(struct ckpt_inject *inject, size_t j, struct ckpt_err *err)
{
	struct ckpt_held_thread *t = &inject->proc->threads[j];
	struct ckpt_inject_slot *s = &inject->slots[j];
	int status;

	for (;;) {
		if (next_stop(t, &status, err))
			return -1;
		if (s->sig && at_end(inject, j, status))
			break;
		if (s->fetch)
			fetch(s, t, inject->proc->pid, status);
		if (!s->sig && at_return(t, status)) {
			if (to_signal_stop(t, err))
				return -1;
			break;
		}
		if (WSTOPSIG(status) == SIGSYS && ckpt_remote_dispatched(t->tid)) {
			s->running = false;
			return put_back(t, err) ? -1 : refuse_dispatch(inject->proc, t, err);
		}
		/* what else comes here the program ignores as well: drop it */
		note_signal(t, status);
		if (resume(t, s->sig ? PTRACE_CONT : PTRACE_SYSCALL, err))
			return -1;
	}
	s->running = false;
	return put_back(t, err);
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

int ckpt_inject_unmap(struct ckpt_inject *inject, struct ckpt_err *err)
{
	struct ckpt_held_proc *p = inject->proc;
	int64_t value;

	if (!p->page)
		return 0;
	if (plain_call(inject, SYS_munmap, (uint64_t[6]){ p->page, p->page_len }, &value, err))
		return -1;
	if (value)
		return ckpt_fail(err, CKPT_FAILED, -value,
				 "pid %d (%s) cannot unmap the memory of remote calls", p->pid,
				 p->comm);
	p->page = 0;
	ckpt_fault("keeper.unmapped");
	return 0;
}

void ckpt_inject_done(struct ckpt_inject *inject)
{
	free(inject->local);
	free(inject->slots);
	*inject = (struct ckpt_inject){ 0 };
}
