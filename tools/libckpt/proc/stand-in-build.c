// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Stand-ins: processes that make what remembers who made it
 *
 * One has the pid, and then the credentials, of somebody of the tree, who may have ended, and
 * shares its descriptors with init.  It is gone before the tasks of the tree are made.
 */
#include <errno.h>
#include <linux/sched.h>
#include <linux/securebits.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "proc/stand-in.h"

int ckpt_stand_in_raise(struct ckpt_restore *r, int32_t pid, uint64_t flags,
			struct ckpt_stand_in *ret, struct ckpt_err *err)
{
	struct ckpt_site s = r->init_site;

	if (ckpt_build_clone(r, &s, CLONE_FILES | CLONE_INTO_CGROUP | flags, pid, 0, &s.tid, err))
		return -1;
	s.name = pid;
	*ret = (struct ckpt_stand_in){ .site = s, .pid = pid, .there = true };
	return 0;
}

/* Whatever the user, it keeps its capabilities: it makes things for us. */
int ckpt_stand_in_dress(const struct ckpt_stand_in *in, uint32_t uid, uint32_t gid,
			const uint32_t *groups, size_t n, struct ckpt_err *err)
{
	const struct ckpt_site *s = &in->site;
	uint64_t at = n ? ckpt_site_put(s, 0, groups, n * sizeof(*groups), err) : s->scratch;

	if (!at || ckpt_site_call(s, err, "keep its capabilities", SYS_prctl,
				  ARGS(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP)) < 0 ||
	    ckpt_site_call(s, err, "set its groups", SYS_setgroups, ARGS(n, at)) < 0 ||
	    ckpt_site_call(s, err, "set its group", SYS_setresgid, ARGS(gid, gid, gid)) < 0 ||
	    ckpt_site_call(s, err, "set its user", SYS_setresuid, ARGS(uid, uid, uid)) < 0)
		return -1;
	return 0;
}

int ckpt_stand_in_lay(struct ckpt_restore *r, struct ckpt_stand_in *in, struct ckpt_err *err)
{
	int status;

	if (!in->there)
		return 0;
	in->there = false;
	kill(in->site.tid, SIGKILL);
	while (waitpid(in->site.tid, &status, __WALL) < 0 && errno == EINTR)
		;
	ckpt_build_forget(r, in->site.tid);
	/* init has no other child yet */
	return ckpt_site_call(&r->init_site, err, "reap a helper", SYS_wait4,
			      ARGS(-1, 0, __WALL | WNOHANG, 0)) < 0 ? -1 : 0;
}
