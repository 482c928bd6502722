/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inside: something done in a namespace of another process. */
#ifndef CKPT_PROC_INSIDE_H
#define CKPT_PROC_INSIDE_H

#include "base/err.h"

/* One that takes file names or pids must not be called in a mount or pid namespace. */
typedef int (*ckpt_inside_fn)(void *arg, struct ckpt_err *err);

/**
 * ckpt_inside - call @fn in a namespace of a process
 * @dir: descriptor of its /proc/PID
 * @name: file below ns: uts, ipc, net or cgroup
 *
 * This thread alone goes there, and comes back.  What @fn starts stays there.
 *
 * Return: what @fn returns; -1 when this thread cannot enter, or come back.
 */
int ckpt_inside(int dir, const char *name, ckpt_inside_fn fn, void *arg, struct ckpt_err *err);
/* The same for a namespace that is open as @theirs. */
int ckpt_inside_of(int theirs, const char *name, ckpt_inside_fn fn, void *arg,
		   struct ckpt_err *err);
/* And in a new one, made by unshare(2) with @flag, which ends with what @fn leaves of it. */
int ckpt_inside_new(int flag, const char *name, ckpt_inside_fn fn, void *arg,
		    struct ckpt_err *err);

#endif
