/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Listening to functions of the kernel
 *
 * CKPT_HOOKS is defined where that is possible: with the arguments of a function at hand, with
 * its event functions as they are known here, and compiled as functions.  A real-time kernel
 * lets nobody take a lock where the tracer calls.
 */
#ifndef _CKPT_COMPAT_FTRACE_H
#define _CKPT_COMPAT_FTRACE_H

#include <linux/ftrace.h>

#if defined(CONFIG_DYNAMIC_FTRACE_WITH_ARGS) && defined(CKPT_HAVE_EVENT_FUNCTIONS) && \
	!defined(CONFIG_PREEMPT_RT) && !defined(CONFIG_LTO)
#define CKPT_HOOKS 1

/* 6.2 API change: the arguments have a helper. */
#ifdef ftrace_regs_get_argument
#define ckpt_ftrace_arg(fregs, n) ftrace_regs_get_argument(fregs, n)
#else
static __always_inline unsigned long ckpt_ftrace_arg(struct ftrace_regs *fregs, unsigned int n)
{
	const struct pt_regs *regs = &fregs->regs;

	return n == 0 ? regs->di : n == 1 ? regs->si : n == 2 ? regs->dx : regs->cx;
}
#endif
#endif

#endif
