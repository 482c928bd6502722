/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Leading: a held thread is taken through calls of ours, from stop to stop, and back
 *
 * What is changed of it is noted there, so that a release puts it back whatever has failed.
 */
#ifndef CKPT_PROC_INJECT_LEAD_H
#define CKPT_PROC_INJECT_LEAD_H

#include <stdint.h>
#include <sys/user.h>

#include "base/err.h"
#include "proc/hold.h"

/* What is blocked during our calls: a forced SIGSYS that is blocked loses its handler. */
uint64_t ckpt_lead_blocks(const struct ckpt_held_thread *t);

/* Other registers and another mask; and those that it had. */
int ckpt_lead_regs(struct ckpt_held_thread *t, struct user_regs_struct *regs, struct ckpt_err *err);
int ckpt_lead_mask(struct ckpt_held_thread *t, uint64_t mask, struct ckpt_err *err);
int ckpt_lead_back(struct ckpt_held_thread *t, struct ckpt_err *err);

/* Let it run by a PTRACE_* request. */
int ckpt_lead_resume(struct ckpt_held_thread *t, int request, struct ckpt_err *err);
/* From the stop of a signal, with it: when it is blocked by then, it is queued as it was. */
int ckpt_lead_resume_with(struct ckpt_held_thread *t, int request, int sig, struct ckpt_err *err);
/* The next stop of one that runs. Return: 0 with the status of waitpid, -1: late or gone. */
int ckpt_lead_wait(struct ckpt_held_thread *t, int *ret_status, struct ckpt_err *err);
/* SIGSTOP no mask holds back, and SIGSYS is not always in ours: they are due when we let go. */
void ckpt_lead_note(struct ckpt_held_thread *t, int status);

int ckpt_lead_refuse_dispatch(const struct ckpt_held_proc *p, const struct ckpt_held_thread *t,
			      struct ckpt_err *err);

#endif
