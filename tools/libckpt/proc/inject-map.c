// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The mapping for injected calls: made and unmade by one call of the first thread
 *
 * It stops when it begins the call, and after it in signal delivery: it is interrupted in between,
 * so that there is no stop at its end.  Those of several processes are led side by side.
 */
#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "proc/inject-lead.h"
#include "proc/inject.h"
#include "proc/remote.h"

extern const uint8_t ckpt_inject_code[], ckpt_inject_code_end[];

/* The process-wide questions are asked by the first thread. */
#define CALLS_FIRST 128
#define CALLS_OTHER 32
#define OUT_FIRST 4096
#define OUT_OTHER 128
#define SYSCALL_STOP (SIGTRAP | 0x80)
/* Other stops that may come before that of the call; more means a livelock. */
#define FOREIGN_STOPS_MAX 64

#define MAP_ARGS(inject) \
	((uint64_t[6]){ 0, (inject)->len, PROT_READ | PROT_WRITE | PROT_EXEC, \
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0 })

static size_t align64(size_t n)
{
	return (n + 63) & ~(size_t)63;
}

static size_t align_page(size_t n)
{
	return (n + 4095) & ~(size_t)4095;
}

/*
 * Behind the last frame there is memory for the longest state that a thread may have: since 6.8 the
 * kernel touches as much of it when a page of a frame is not there.
 */
static void lay_out(struct ckpt_inject *inject)
{
	struct ckpt_held_proc *p = inject->proc;
	size_t at = align64(ckpt_inject_code_end - ckpt_inject_code), longest = 0;

	for (size_t j = 0; j < p->n_threads; j++) {
		struct ckpt_inject_slot *s = &inject->slots[j];

		s->max = j ? CALLS_OTHER : CALLS_FIRST;
		s->calls = at;
		at += s->max * sizeof(struct ckpt_inject_call);
		s->out = at;
		s->out_len = j ? OUT_OTHER : OUT_FIRST;
		at += s->out_len;
		s->frame = at;
		at = align64(at + ckpt_sigframe_len(&p->threads[j]));
		if (p->threads[j].xstate_len > longest)
			longest = p->threads[j].xstate_len;
	}
	inject->used = align_page(at);
	inject->len = align_page(at + longest);
}

/* The call, outside the mapping, by the first thread. */
static int begin_call(struct ckpt_inject *inject, long nr, const uint64_t args[6],
		      struct ckpt_err *err)
{
	struct ckpt_held_thread *t = &inject->proc->threads[0];
	struct user_regs_struct regs = t->regs;

	ckpt_remote_call_regs(&regs, inject->at, nr, args);
	if (ckpt_lead_mask(t, ckpt_lead_blocks(t), err) || ckpt_lead_regs(t, &regs, err) ||
	    ckpt_lead_resume(t, PTRACE_SYSCALL, err))
		return -1;
	inject->leading = CKPT_INJECT_BEGINS;
	return 0;
}

/* At the beginning of the call. Return: -1, with @leading as it is if it may yet be ended. */
static int let_go_on(struct ckpt_inject *inject, struct ckpt_err *err)
{
	struct ckpt_held_thread *t = &inject->proc->threads[0];

	inject->leading = CKPT_INJECT_NONE;
	if (ptrace(PTRACE_INTERRUPT, t->tid, 0, 0))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot interrupt thread %d", t->tid);
	if (ckpt_lead_resume(t, PTRACE_CONT, err))
		return -1;
	inject->leading = CKPT_INJECT_GOES;
	return 0;
}

int ckpt_inject_go(struct ckpt_inject *inject, struct ckpt_err *err)
{
	struct ckpt_held_thread *t;
	int status;

	if (inject->leading != CKPT_INJECT_BEGINS)
		return 0;
	t = &inject->proc->threads[0];
	for (int i = 0; i < FOREIGN_STOPS_MAX; i++) {
		if (ckpt_lead_wait(t, &status, err))
			return -1;
		if (WSTOPSIG(status) == SYSCALL_STOP)
			return let_go_on(inject, err);
		if (WSTOPSIG(status) == SIGSYS && ckpt_remote_dispatched(t->tid)) {
			inject->leading = CKPT_INJECT_NONE;
			return ckpt_lead_back(t, err) ? -1 :
			       ckpt_lead_refuse_dispatch(inject->proc, t, err);
		}
		ckpt_lead_note(t, status);
		if (ckpt_lead_resume(t, PTRACE_SYSCALL, err))
			return -1;
	}
	return ckpt_fail(err, CKPT_FAILED, 0,
			 "thread %d is stopped again and again by others; try again", t->tid);
}

/* In any order with others; those that began together best go together, too. */
static int end_call(struct ckpt_inject *inject, int64_t *ret_value, struct ckpt_err *err)
{
	struct ckpt_held_thread *t = &inject->proc->threads[0];
	struct user_regs_struct regs;
	struct iovec iov = { &regs, sizeof(regs) };
	int status = 0;

	if (ckpt_inject_go(inject, err))
		return -1;
	while (status >> 16 != PTRACE_EVENT_STOP) {
		if (status && ckpt_lead_resume(t, PTRACE_CONT, err))
			return -1;
		if (ckpt_lead_wait(t, &status, err))
			return -1;
		ckpt_lead_note(t, status);
	}
	inject->leading = CKPT_INJECT_NONE;
	if (ptrace(PTRACE_GETREGSET, t->tid, NT_PRSTATUS, &iov))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot read the registers of thread %d",
				 t->tid);
	*ret_value = regs.rax;
	return ckpt_lead_back(t, err);
}

int ckpt_inject_prepare(struct ckpt_inject *inject, struct ckpt_held_proc *proc, uint64_t at,
			struct ckpt_err *err)
{
	const struct ckpt_held_thread *t = &proc->threads[0];

	*inject = (struct ckpt_inject){ .proc = proc, .at = at };
	inject->slots = calloc(proc->n_threads, sizeof(*inject->slots));
	if (!inject->slots)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for remote calls");
	lay_out(inject);
	inject->local = aligned_alloc(4096, inject->used);
	if (!inject->local)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for remote calls");
	memset(inject->local, 0, inject->used);
	memcpy(inject->local, ckpt_inject_code, ckpt_inject_code_end - ckpt_inject_code);
	/* what is mapped must go again */
	if (ckpt_inject_check(proc, t, at, SYS_munmap, (uint64_t[6]){ 0, inject->len }, err) ||
	    ckpt_inject_check(proc, t, at, SYS_mmap, MAP_ARGS(inject), err))
		return -1;
	inject->ready = true;
	return 0;
}

int ckpt_inject_map_start(struct ckpt_inject *inject, struct ckpt_err *err)
{
	return begin_call(inject, SYS_mmap, MAP_ARGS(inject), err);
}

int ckpt_inject_map_end(struct ckpt_inject *inject, struct ckpt_err *err)
{
	struct ckpt_held_proc *proc = inject->proc;
	int64_t value;

	if (end_call(inject, &value, err))
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
	return 0;
}

int ckpt_inject_unmap_start(struct ckpt_inject *inject, struct ckpt_err *err)
{
	const struct ckpt_held_proc *p = inject->proc;

	return begin_call(inject, SYS_munmap, (uint64_t[6]){ p->page, p->page_len }, err);
}

int ckpt_inject_unmap_end(struct ckpt_inject *inject, struct ckpt_err *err)
{
	struct ckpt_held_proc *p = inject->proc;
	int64_t value;

	if (end_call(inject, &value, err))
		return -1;
	if (value)
		return ckpt_fail(err, CKPT_FAILED, -value,
				 "pid %d (%s) cannot unmap the memory of remote calls", p->pid,
				 p->comm);
	p->page = 0;
	return 0;
}

int ckpt_inject_unmap(struct ckpt_inject *inject, struct ckpt_err *err)
{
	if (!inject->proc->page)
		return 0;
	return ckpt_inject_unmap_start(inject, err) || ckpt_inject_unmap_end(inject, err) ? -1 : 0;
}

void ckpt_inject_settle(struct ckpt_inject *inject)
{
	struct ckpt_err ignored = CKPT_ERR_INIT;
	bool unmaps = inject->proc && inject->proc->page;

	if (inject->leading == CKPT_INJECT_NONE)
		return;
	if (unmaps)
		ckpt_inject_unmap_end(inject, &ignored);
	else
		ckpt_inject_map_end(inject, &ignored);
}
