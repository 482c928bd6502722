// SPDX-License-Identifier: GPL-2.0-or-later
/* Resource limits, out-of-memory score, personality, what a core dump holds. */
#include <stdlib.h>

#include "proc/procfs.h"
#include "proc/read.h"

static int get_number(struct ckpt_reader *r, struct ckpt_held_proc *p, const char *name, int base,
		      long *ret, struct ckpt_err *err)
{
	struct ckpt_buf *b = &r->hold->scratch;
	int e = ckpt_procfs_read_piece(p->dir, name, b);
	char *end = NULL;

	if (!e)
		*ret = strtol((char *)b->data, &end, base);
	if (e || end == (char *)b->data)
		return ckpt_fail(err, CKPT_FAILED, -e, "cannot read %s of pid %d", name, p->pid);
	return 0;
}

int ckpt_read_limits(struct ckpt_reader *r, struct ckpt_held_proc *p, struct ckpt_task *task,
		     struct ckpt_err *err)
{
	struct ckpt_buf *b = &r->hold->scratch;
	long number;
	int e = ckpt_procfs_read_piece(p->dir, "limits", b);

	if (e || ckpt_parse_limits((char *)b->data, task->limits))
		return ckpt_fail(err, CKPT_FAILED, -e, "cannot read the limits of pid %d", p->pid);
	if (get_number(r, p, "oom_score_adj", 10, &number, err))
		return -1;
	task->oom_score_adj = number;
	if (get_number(r, p, "personality", 16, &number, err))
		return -1;
	task->personality = number;
	if (get_number(r, p, "coredump_filter", 16, &number, err))
		return -1;
	r->image->mms[task->mm].coredump_filter = number | CKPT_COREDUMP_KNOWN;
	return 0;
}
