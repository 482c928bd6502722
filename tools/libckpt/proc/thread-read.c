// SPDX-License-Identifier: GPL-2.0-or-later
/* Threads: registers, mask, rseq, robust list, scheduling. */
#include <elf.h>
#include <errno.h>
#include <linux/ioprio.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "proc/filter.h"
#include "proc/procfs.h"
#include "proc/read.h"
#include "proc/remote.h"
#include "proc/restart.h"

#ifndef PTRACE_GET_RSEQ_CONFIGURATION
#define PTRACE_GET_RSEQ_CONFIGURATION 0x420f
#endif

#ifndef PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG
#define PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG 0x4211
#endif

#define XSTATE_MAX 16384
#define CS_64BIT 0x33

/* As the kernel's struct ptrace_rseq_configuration. */
struct rseq_configuration {
	uint64_t pointer;
	uint32_t size, signature, flags, pad;
};

/* As the kernel's struct ptrace_sud_config. */
struct dispatch_configuration {
	uint64_t mode, selector, offset, len;
};

/* As the kernel's struct rseq_cs; the pointer to it is at offset 8 of struct rseq. */
struct rseq_section {
	uint32_t version, flags;
	uint64_t start, length, abort;
};

#define RSEQ_CS_OFFSET 8

/*
 * A thread stopped inside a restartable sequence goes on at its abort
 * address: the stop was a preemption, and the kernel would have done the same.
 * It has to be done here because other code runs in the thread in between.
 */
static int abort_rseq(struct ckpt_held_thread *t, struct ckpt_err *err)
{
	struct rseq_section cs;
	uint64_t at;

	if (!t->rseq_ptr)
		return 0;
	if (ckpt_remote_read(t->tid, t->rseq_ptr + RSEQ_CS_OFFSET, &at, sizeof(at), err))
		return -1;
	if (!at)
		return 0;
	if (ckpt_remote_read(t->tid, at, &cs, sizeof(cs), err))
		return -1;
	if (t->regs.rip - cs.start >= cs.length)
		return 0;
	t->regs.rip = cs.abort;
	t->regs_changed = true;
	return 0;
}

static int get_rseq(struct ckpt_held_thread *t, struct ckpt_err *err)
{
	struct rseq_configuration conf = { 0 };

	if (ptrace(PTRACE_GET_RSEQ_CONFIGURATION, t->tid, sizeof(conf), &conf) < 0) {
		if (errno == EIO || errno == EINVAL)	/* a kernel without rseq */
			return 0;
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot read the rseq of thread %d",
				 t->tid);
	}
	t->rseq_ptr = conf.pointer;
	t->rseq_size = conf.size;
	t->rseq_sig = conf.signature;
	t->rseq_flags = conf.flags;
	return abort_rseq(t, err);
}

/*
 * A thread that gets SIGSYS instead of system calls (Wine).  Kernels before 6.4 do
 * not tell; there it shows when a call of ours ends so (inject.c).
 */
static int check_dispatch(const struct ckpt_held_proc *p, struct ckpt_held_thread *t,
			  struct ckpt_err *err)
{
	struct dispatch_configuration conf = { 0 };
	uint64_t waiting = t->status.sig_pending | t->status.sig_shared;

	if (!ckpt_fault("keeper.dispatch") &&
	    ptrace(PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG, t->tid, sizeof(conf), &conf) >= 0)
		t->dispatch_known = true;
	if (conf.mode)
		return ckpt_fail(err, CKPT_REFUSED, 0,
			"pid %d (%s) uses syscall user dispatch (thread %d), which this version "
			"cannot restore", p->pid, p->comm, t->tid);
	if (!t->dispatch_known && waiting & 1ull << (SIGSYS - 1))
		return ckpt_fail(err, CKPT_REFUSED, 0,
			"pid %d (%s) has SIGSYS waiting, and this kernel does not tell whether it "
			"uses syscall user dispatch; try again", p->pid, p->comm);
	return 0;
}

static int get_xstate(struct ckpt_held_thread *t, struct ckpt_err *err)
{
	static uint8_t buffer[XSTATE_MAX];
	struct iovec iov = { buffer, sizeof(buffer) };

	if (ptrace(PTRACE_GETREGSET, t->tid, NT_X86_XSTATE, &iov))
		return ckpt_fail(err, CKPT_FAILED, errno,
				 "cannot read the extended state of thread %d", t->tid);
	t->xstate = malloc(iov.iov_len);
	if (!t->xstate)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for the state of a thread");
	memcpy(t->xstate, buffer, iov.iov_len);
	t->xstate_len = iov.iov_len;
	return 0;
}

static int get_status(struct ckpt_hold *hold, struct ckpt_held_proc *p,
		      struct ckpt_held_thread *t, struct ckpt_err *err)
{
	char name[64];
	int r;

	snprintf(name, sizeof(name), "task/%d/status", t->tid);
	r = ckpt_procfs_read_piece(p->dir, name, &hold->scratch);
	if (!r) {
		t->status_text = strdup((char *)hold->scratch.data);
		r = t->status_text ? 0 : -ENOMEM;
	}
	if (r || ckpt_parse_status(t->status_text, &t->status))
		return ckpt_fail(err, CKPT_FAILED, -r, "cannot read the status of thread %d",
				 t->tid);
	return ckpt_filters_hold(p, t, err);
}

static int get_call(struct ckpt_held_proc *p, struct ckpt_held_thread *t, struct ckpt_err *err)
{
	uint8_t code[CKPT_RESTART_CODE];

	t->call = t->regs.orig_rax;
	if (t->call != SYS_restart_syscall || !ckpt_restart_pending(&t->regs))
		return 0;
	if (ckpt_remote_read(t->tid, t->regs.rip - sizeof(code), code, sizeof(code), err))
		return -1;
	t->call = ckpt_restart_number(&t->regs, code);
	if (t->call >= 0)
		return 0;
	return ckpt_fail(err, CKPT_REFUSED, 0,
		"thread %d of pid %d (%s) is in a system call that was interrupted before and "
		"whose number cannot be known; try again", t->tid, p->pid, p->comm);
}

static int get_registers(struct ckpt_hold *hold, struct ckpt_held_proc *p,
			 struct ckpt_held_thread *t, struct ckpt_err *err)
{
	struct iovec iov = { &t->regs, sizeof(t->regs) };

	if (get_status(hold, p, t, err))
		return -1;
	if (ptrace(PTRACE_GETREGSET, t->tid, NT_PRSTATUS, &iov) ||
	    ptrace(PTRACE_GETSIGMASK, t->tid, sizeof(t->sigmask), &t->sigmask))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot read the registers of thread %d",
				 t->tid);
	if (iov.iov_len != sizeof(t->regs) || t->regs.cs != CS_64BIT)
		return ckpt_fail(err, CKPT_REFUSED, 0,
			"pid %d (%s) runs 32-bit code, which this version cannot restore", p->pid,
			p->comm);
	t->regs_known = true;
	if (get_call(p, t, err) || ckpt_held_forgive(t, err) || get_rseq(t, err) ||
	    get_xstate(t, err))
		return -1;
	return check_dispatch(p, t, err);
}

int ckpt_read_registers(struct ckpt_hold *hold, struct ckpt_err *err)
{
	for (size_t i = 0; i < hold->n_procs; i++) {
		struct ckpt_held_proc *p = &hold->procs[i];
		size_t kept = 0;

		if (p->zombie)
			continue;
		/* threads that ended while the others were being stopped */
		for (size_t j = 0; j < p->n_threads; j++) {
			if (!p->threads[j].gone)
				p->threads[kept++] = p->threads[j];
		}
		p->n_threads = kept;
		if (!kept)
			return ckpt_fail(err, CKPT_FAILED, 0,
					 "pid %d (%s) ended while it was being stopped; try again",
					 p->pid, p->comm);
		for (size_t j = 0; j < p->n_threads; j++) {
			if (!get_registers(hold, p, &p->threads[j], err))
				continue;
			if (ckpt_survey_pass(hold->survey, -1, err))
				return -1;
			p->refused = true;
		}
	}
	return 0;
}

static int get_scheduling(struct ckpt_held_proc *p, pid_t tid, struct ckpt_thread *ret,
			  struct ckpt_err *err)
{
	struct sched_param param;
	long n;

	ret->sched_policy = sched_getscheduler(tid);
	errno = 0;
	ret->nice = getpriority(PRIO_PROCESS, tid);
	if (errno || ret->sched_policy < 0 || sched_getparam(tid, &param))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot read the scheduling of thread %d",
				 tid);
	if ((ret->sched_policy & ~SCHED_RESET_ON_FORK) == 6)	/* SCHED_DEADLINE */
		return ckpt_fail(err, CKPT_REFUSED, 0,
			"pid %d (%s) runs under the deadline scheduler, which this version cannot "
			"restore", p->pid, p->comm);
	ret->sched_prio = param.sched_priority;
	n = syscall(SYS_sched_getaffinity, tid, sizeof(ret->affinity), ret->affinity);
	if (n < 0)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot read the CPUs of thread %d", tid);
	ret->affinity_len = n;
	n = syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, tid);
	if (n < 0)
		return ckpt_fail(err, CKPT_FAILED, errno,
				 "cannot read the I/O priority of thread %d", tid);
	ret->ioprio = n;
	return 0;
}

static int get_comm(struct ckpt_reader *r, struct ckpt_held_proc *p, pid_t tid, char ret[16],
		    struct ckpt_err *err)
{
	struct ckpt_buf *b = &r->hold->scratch;
	char name[64];
	int e;

	snprintf(name, sizeof(name), "task/%d/comm", tid);
	e = ckpt_procfs_read_piece(p->dir, name, b);
	if (e || !b->len || b->len > 16)
		return ckpt_fail(err, CKPT_FAILED, -e, "cannot read the name of thread %d", tid);
	memset(ret, 0, 16);
	memcpy(ret, b->data, b->len - 1);	/* without the newline */
	return 0;
}

/* Of one that was refused before its state was read there are none. */
static int keep_registers(struct ckpt_reader *r, struct ckpt_held_thread *t,
			  struct ckpt_thread *ret, struct ckpt_err *err)
{
	ret->regs = ckpt_held_regs_deferred(t);
	ckpt_read_wait(r, t, ret);
	ret->sigmask = t->sigmask;
	ret->rseq_ptr = t->rseq_ptr;
	ret->rseq_size = t->rseq_size;
	ret->rseq_sig = t->rseq_sig;
	ret->rseq_flags = t->rseq_flags;
	ret->xstate = malloc(t->xstate_len);
	if (!ret->xstate)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for the state of a thread");
	memcpy(ret->xstate, t->xstate, t->xstate_len);
	ret->xstate_len = t->xstate_len;
	return 0;
}

int ckpt_read_thread(struct ckpt_reader *r, struct ckpt_held_proc *p, struct ckpt_held_thread *t,
		     struct ckpt_thread *ret, struct ckpt_err *err)
{
	unsigned long head;
	size_t len;

	ret->tid = t->status.ns_pid;
	ret->host_tid = t->tid;
	if (t->xstate && keep_registers(r, t, ret, err))
		return -1;
	if (syscall(SYS_get_robust_list, t->tid, &head, &len))
		return ckpt_fail(err, CKPT_FAILED, errno,
				 "cannot read the robust list of thread %d", t->tid);
	ret->robust_head = head;
	ret->robust_len = len;
	if (get_comm(r, p, t->tid, ret->comm, err) || get_scheduling(p, t->tid, ret, err) ||
	    ckpt_read_creds(p, &t->status, &ret->creds, err) ||
	    ckpt_filters_keep(r->image, t, &ret->filters, &ret->n_filters, err))
		return -1;
	return ckpt_read_pending(p, t->tid, false, t->status.sig_pending, &ret->pending,
				 &ret->n_pending, err);
}
