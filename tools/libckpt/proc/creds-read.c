// SPDX-License-Identifier: GPL-2.0-or-later
/* Credentials of a thread or zombie; securebits come from the thread itself. */
#include <string.h>

#include "proc/read.h"

int ckpt_read_creds(struct ckpt_held_proc *p, const struct ckpt_proc_status *s,
		    struct ckpt_creds *ret, struct ckpt_err *err)
{
	ssize_t n = ckpt_parse_groups(s->groups, &ret->groups);

	if (n < 0)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for the groups of pid %d", p->pid);
	ret->n_groups = n;
	memcpy(ret->uid, s->uid, sizeof(ret->uid));
	memcpy(ret->gid, s->gid, sizeof(ret->gid));
	ret->cap_inh = s->cap_inh;
	ret->cap_prm = s->cap_prm;
	ret->cap_eff = s->cap_eff;
	ret->cap_bnd = s->cap_bnd;
	ret->cap_amb = s->cap_amb;
	ret->no_new_privs = s->no_new_privs;
	return 0;
}
