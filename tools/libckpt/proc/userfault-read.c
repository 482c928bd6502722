// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Userfaultfds for a tracker: one belongs to the address space of who made it
 *
 * So the process must make it.  It holds it for an instant in which it stands at the call that
 * closes it, and we get it there: afterwards it has no descriptor more than before.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/syscall.h>

#include "proc/read.h"

static bool wanted(const struct ckpt_hold *hold, pid_t pid)
{
	for (size_t i = 0; i < hold->n_wanted; i++) {
		if (hold->wanted[i] == pid)
			return true;
	}
	return false;
}

int ckpt_read_userfault(struct ckpt_reader *r, struct ckpt_inject *inject, struct ckpt_mm *mm,
			struct ckpt_err *err)
{
	int fd;

	mm->userfault = -1;
	if (!wanted(r->hold, inject->proc->pid))
		return 0;
	/* no fault of the kernel waits for it either: nobody needs a right for this */
	if (ckpt_inject_fetch(inject, SYS_userfaultfd,
			      O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY, &fd, err))
		return -1;
	/* one that cannot have it, with all its descriptors in use or by a filter, is read whole */
	mm->userfault = fd;
	return 0;
}
