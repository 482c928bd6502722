// SPDX-License-Identifier: GPL-2.0-or-later
/* Timers that /proc shows: POSIX timers are not restored yet. */
#include "proc/procfs.h"
#include "proc/read.h"

int ckpt_read_timers(struct ckpt_reader *r, struct ckpt_held_proc *p, struct ckpt_err *err)
{
	int e = ckpt_procfs_read(p->dir, "timers", &r->hold->scratch);

	if (e)
		return ckpt_fail(err, CKPT_FAILED, -e, "cannot read the timers of pid %d", p->pid);
	if (r->hold->scratch.len)
		return ckpt_fail(err, CKPT_REFUSED, 0,
			"pid %d (%s) holds a POSIX timer, which this version cannot restore",
			p->pid, p->comm);
	return 0;
}
