// SPDX-License-Identifier: GPL-2.0-or-later
/* Settle: an interrupted restore of the roots is ended before anything else. */
#include "flow/settle.h"
#include "fs/restore.h"

static int refuse_pending(const char *root, struct ckpt_err *err)
{
	bool pending;

	if (ckpt_fs_pending(root, &pending, err))
		return -1;
	return pending ? ckpt_fail(err, CKPT_REFUSED, 0,
				   "a restore of root %s was interrupted half way and a tree works "
				   "in it; stop the tree and run ckpt-tool restore", root) : 0;
}

int ckpt_settle(const struct ckpt_tagged *group, bool alive, bool dry_run, struct ckpt_err *err)
{
	enum ckpt_fs_recovered what;

	for (size_t i = 0; i < group->n_roots; i++)
		if (alive && refuse_pending(group->roots[i], err))
			return -1;
	for (size_t i = 0; !dry_run && i < group->n_roots; i++)
		if (ckpt_fs_recover(group->roots[i], &what, err))
			return -1;
	return 0;
}
