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

void ckpt_urings_ask(struct ckpt_inject *inject, size_t thread,
		     const struct ckpt_inject_call *ret[CKPT_ASK_RINGS])
{
	for (uint64_t i = 0; i < CKPT_ASK_RINGS && inject->proc->has_uring; i++)
		ret[i] = ckpt_inject_call(inject, thread, SYS_io_uring_enter, i, 0, 0,
					  IORING_ENTER_REGISTERED_RING);
}

int ckpt_urings_none(const struct ckpt_inject *inject, size_t thread,
		     const struct ckpt_inject_call *const calls[CKPT_ASK_RINGS],
		     struct ckpt_err *err)
{
	const struct ckpt_held_proc *p = inject->proc;

	/* EINVAL: it has never made a request */
	for (size_t i = 0; i < CKPT_ASK_RINGS; i++) {
		if (calls[i] && calls[i]->value != -EBADF && calls[i]->value != -EINVAL)
			return ckpt_fail(err, CKPT_REFUSED, 0,
				"pid %d (%s) has registered an io_uring for thread %d, which this "
				"version cannot restore", p->pid, p->comm, p->threads[thread].tid);
	}
	return 0;
}
