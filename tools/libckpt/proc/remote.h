/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Remote system calls: one call executed by a ptrace-stopped thread
 *
 * The primitive of both directions: capture asks a task for what /proc does
 * not tell, restore builds a task out of an empty one.  The caller owns the
 * thread's registers: ckpt_remote_syscall leaves them changed.
 */
#ifndef CKPT_PROC_REMOTE_H
#define CKPT_PROC_REMOTE_H

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/**
 * ckpt_remote_syscall - run one system call in a stopped thread
 * @tid: thread seized by the caller and in a ptrace stop
 * @at: address of a syscall instruction in its memory
 * @nr: system call number
 * @args: six arguments
 * @ret_value: what the call returned, -errno included
 *
 * The thread's signals must be blocked (PTRACE_SETSIGMASK) by the caller.
 *
 * Return: 0 when the call was made, -1 when the thread died or left the stop.
 */
int ckpt_remote_syscall(pid_t tid, uint64_t at, long nr, const uint64_t args[6],
			int64_t *ret_value, struct ckpt_err *err);

/* Address of a syscall instruction inside the vdso of @pid. */
int ckpt_remote_vdso_syscall(pid_t pid, uint64_t *ret_at, struct ckpt_err *err);

/* Read or write the memory of a stopped thread through /proc/PID/mem. */
int ckpt_remote_read(pid_t pid, uint64_t addr, void *data, size_t len, struct ckpt_err *err);
int ckpt_remote_write(pid_t pid, uint64_t addr, const void *data, size_t len, struct ckpt_err *err);

#endif
