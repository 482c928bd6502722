/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interrupted system calls: how a stopped thread goes on
 *
 * A thread stopped inside a system call shows a kernel-internal error in rax
 * and the number of the call in orig_rax; the kernel restarts the call when
 * the thread leaves the stop.  Some calls it ends with EINTR instead, which
 * the program would see only because of the stop.
 */
#ifndef CKPT_PROC_RESTART_H
#define CKPT_PROC_RESTART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/user.h>

/**
 * ckpt_restart_pending - is the thread inside a call that is to be made again?
 * @regs: as read in the stop
 *
 * Return: true for the kernel's own restart errors.
 */
bool ckpt_restart_pending(const struct user_regs_struct *regs);

/**
 * ckpt_restart_by_kernel - does the kernel itself remember until when the call lasts?
 * @regs: as read in the stop
 *
 * In its restart block, which the thread has until it comes to the end of the stop.
 */
bool ckpt_restart_by_kernel(const struct user_regs_struct *regs);

/**
 * ckpt_restart_unless_handled - is the call made again unless a handler runs?
 * @regs: as read in the stop
 *
 * What ckpt_restart_defer makes of one that has ended with EINTR looks so as well.
 */
bool ckpt_restart_unless_handled(const struct user_regs_struct *regs);

/**
 * ckpt_restart_eintr - did the stop itself end the call with EINTR?
 * @regs: as read in the stop
 *
 * True for the calls that the kernel never restarts by itself (signal(7)),
 * whether or not a handler ran.  The caller knows whether a signal is about
 * to be delivered; if so, EINTR is right and stays.
 */
bool ckpt_restart_eintr(const struct user_regs_struct *regs);

/**
 * ckpt_restart_defer - let the kernel decide at the end of the stop
 * @regs: changed: of a thread for which one of the above is true
 * @call: number of the call
 *
 * With these registers a thread that leaves a stop inside signal delivery, or
 * goes through it before it runs, gets what signal(7) says: with a handler to
 * run EINTR, or the call again where SA_RESTART asks for it; without one the
 * call again.  A handler may become due until the last moment.
 */
void ckpt_restart_defer(struct user_regs_struct *regs, long call);

/* Bytes of code before rip that ckpt_restart_number looks at. */
#define CKPT_RESTART_CODE 7

/**
 * ckpt_restart_number - which call does a thread make?
 * @regs: as read in the stop, ckpt_restart_pending
 * @code: the CKPT_RESTART_CODE bytes before rip, or NULL
 *
 * A call that was interrupted once before is shown as restart_syscall, and
 * what is restarted only the kernel knows.  Four calls use it; the code before
 * the instruction mostly names the number, else the arguments, which are still
 * in their registers, tell them apart.
 *
 * Return: the number, or -1 when it cannot be known.
 */
long ckpt_restart_number(const struct user_regs_struct *regs, const uint8_t *code);

/**
 * ckpt_restart_rewind - let the thread make its call again
 * @regs: changed: at the syscall instruction, its number in rax
 *
 * A handler that is due runs before the call then, which does not see it.  What
 * becomes of its time is said in proc/wait.h.
 */
void ckpt_restart_rewind(struct user_regs_struct *regs);

#endif
