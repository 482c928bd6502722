// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Policies of areas (mbind): of no effect where there is one node, and slow to look for
 *
 * So they are looked for before the stop and once more after the release: one that is
 * there then may have been there at the stop.
 */
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "proc/procfs.h"
#include "proc/read.h"

static int check(struct ckpt_hold *hold, const struct ckpt_held_proc *p, const char *advice,
		 struct ckpt_err *err)
{
	static const char none[] = "default";
	bool one_node = access("/sys/devices/system/node/node1", F_OK);
	const char *at, *policy;
	size_t len;
	int e;

	if (ckpt_fault("keeper.nodes"))
		one_node = false;
	if (one_node)
		return 0;
	e = ckpt_procfs_read(p->dir, "numa_maps", &hold->scratch);
	/* without memory (EACCES, when it is just ending) there is no policy of it */
	if (ckpt_procfs_gone(e) || (e && ckpt_tree_ended(hold, p)))
		return 0;
	if (e)
		return ckpt_fail(err, CKPT_FAILED, -e,
				 "cannot read the memory policies of pid %d (%s)", p->pid, p->comm);
	at = (char *)hold->scratch.data;
	while (ckpt_parse_numa_line(&at, &policy, &len) == 1) {
		if (len != sizeof(none) - 1 || memcmp(policy, none, len))
			return ckpt_fail(err, CKPT_REFUSED, 0,
				"pid %d (%s) has memory with a policy (%.*s), which this version "
				"cannot restore%s", p->pid, p->comm, (int)len, policy, advice);
	}
	return 0;
}

int ckpt_policy_check(struct ckpt_hold *hold, const struct ckpt_held_proc *p, struct ckpt_err *err)
{
	return check(hold, p, "", err);
}

int ckpt_policy_verify(struct ckpt_hold *hold, struct ckpt_err *err)
{
	for (size_t i = 0; i < hold->n_procs; i++) {
		if (!hold->procs[i].zombie &&
		    check(hold, &hold->procs[i],
			  "; it came during the checkpoint, try again when it is gone", err))
			return -1;
	}
	return 0;
}
