// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Rings that a thread has registered for itself, to name them by a number of their own
 *
 * Only the thread can ask: a call to do nothing with such a ring finds it, or does not.
 */
#include <errno.h>
#include <linux/io_uring.h>
#include <sys/syscall.h>

#include "proc/ask.h"

#define RINGS 16	/* as many as a thread can have */
#define AT_ONCE 8	/* calls of a thread in one run */

static int ask_some(struct ckpt_ask *ask, int first, struct ckpt_err *err)
{
	struct ckpt_held_proc *p = ask->inject.proc;
	const struct ckpt_inject_call **calls;
	int ret = 0;

	calls = calloc(p->n_threads, AT_ONCE * sizeof(*calls));
	if (!calls)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for remote calls");
	for (size_t i = 0; i < p->n_threads * AT_ONCE; i++)
		calls[i] = ckpt_inject_call(&ask->inject, i / AT_ONCE, SYS_io_uring_enter,
					    first + i % AT_ONCE, 0, 0,
					    IORING_ENTER_REGISTERED_RING);
	if (ckpt_inject_start(&ask->inject, err) || ckpt_inject_wait(&ask->inject, err))
		ret = -1;
	/* EINVAL: it has never made a request */
	for (size_t i = 0; i < p->n_threads * AT_ONCE && !ret; i++) {
		if (calls[i]->value != -EBADF && calls[i]->value != -EINVAL)
			ret = ckpt_fail(err, CKPT_REFUSED, 0,
				"pid %d (%s) has registered an io_uring for thread %d, which this "
				"version cannot restore", p->pid, p->comm,
				p->threads[i / AT_ONCE].tid);
	}
	free(calls);
	return ret;
}

int ckpt_ask_urings(struct ckpt_ask *ask, struct ckpt_err *err)
{
	for (int first = 0; first < RINGS && ask->inject.proc->has_uring; first += AT_ONCE) {
		if (ask_some(ask, first, err))
			return -1;
	}
	return 0;
}
