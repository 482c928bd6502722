/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fault points: named places where a test build can fail or die
 *
 * CKPT_FAULT=name[:nth][=action] in the environment arms one point; action is
 * kill (SIGKILL to the calling process, the default), stop, or fail.  When the
 * point is reached the file named by CKPT_FAULT_REACHED gets a line with its
 * name, so that a test knows that the point was there.  Compiled out unless
 * built with D=inject.
 */
#ifndef CKPT_BASE_FAULT_H
#define CKPT_BASE_FAULT_H

#ifdef CKPT_INJECT
/* Return: 0 to go on, 1 when the caller shall behave as if the step failed. */
int ckpt_fault(const char *name);
#else
static inline int ckpt_fault(const char *name)
{
	(void)name;
	return 0;
}
#endif

#endif
