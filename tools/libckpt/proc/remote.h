/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Remote system calls: one call executed by a ptrace-stopped thread
 *
 * The primitive of both directions: capture asks a task for what /proc does
 * not tell, restore builds a task out of an empty one.  The caller owns the
 * thread's registers: ckpt_remote_syscall leaves them changed.
 *
 * The thread is seized with PTRACE_O_TRACESYSGOOD: the call is bracketed by
 * system call stops, so that no signal is raised in the thread and no handler
 * or mask of it changes.
 */
#ifndef CKPT_PROC_REMOTE_H
#define CKPT_PROC_REMOTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

#include "base/err.h"

/* Registers of a thread that makes a call next, at a syscall instruction; no call of its own. */
void ckpt_remote_call_regs(struct user_regs_struct *regs, uint64_t at, long nr,
			   const uint64_t args[6]);

/**
 * ckpt_remote_syscall - run one system call in a stopped thread
 * @tid: thread seized by the caller and in a ptrace stop
 * @at: address of a syscall instruction in its memory
 * @nr: system call number
 * @args: six arguments
 * @ret_value: what the call returned, -errno included
 *
 * The thread's signals must be blocked (PTRACE_SETSIGMASK) by the caller; but
 * SIGSYS where it may use syscall user dispatch: a blocked one that the kernel
 * forces would lose its handler.  A SIGSTOP or SIGSYS that comes meanwhile is
 * queued again behind the call.
 *
 * Return: 0 when the call was made, -1 when the thread died, left the stop, did
 * not come back in time, or uses syscall user dispatch (CKPT_REFUSED: it stands
 * at a SIGSYS, which is gone when it is let go without it).
 */
int ckpt_remote_syscall(pid_t tid, uint64_t at, long nr, const uint64_t args[6],
			int64_t *ret_value, struct ckpt_err *err);

/**
 * ckpt_remote_clone - run clone3 in a stopped thread
 * @tid: as above, with PTRACE_O_TRACEFORK, TRACEVFORK and TRACECLONE set as well
 * @at: as above
 * @args: address of the struct clone_args in its memory
 * @len: size of that struct
 * @ret_value: what the call returned there: a pid of its namespace, or -errno
 * @ret_tid: the new task in the caller's pid namespace, traced, stopped before
 *	its first instruction; 0 when the call failed
 *
 * Return: 0 when the call was made, -1 when the thread died or left the stop.
 */
int ckpt_remote_clone(pid_t tid, uint64_t at, uint64_t args, size_t len, int64_t *ret_value,
		      pid_t *ret_tid, struct ckpt_err *err);

/*
 * How long a thread may take to come to its next stop, 10000 ms unless set: a
 * call that is under way when it ends fails, and its thread is interrupted.
 * Without a bound a thread whose cgroup is frozen would keep us for ever.
 */
void ckpt_remote_bound(unsigned int ms);

/* Does a stopped thread stand at a SIGSYS that it got instead of a system call? */
bool ckpt_remote_dispatched(pid_t tid);

/* Address of a syscall instruction inside the vdso of @pid. */
int ckpt_remote_vdso_syscall(pid_t pid, uint64_t *ret_at, struct ckpt_err *err);

/*
 * Read or write the memory of a process, whatever the protection of its pages.
 * Return: 0 when all @len bytes were moved.
 */
int ckpt_remote_read(pid_t pid, uint64_t addr, void *data, size_t len, struct ckpt_err *err);
int ckpt_remote_write(pid_t pid, uint64_t addr, const void *data, size_t len, struct ckpt_err *err);

#endif
