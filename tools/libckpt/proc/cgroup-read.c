// SPDX-License-Identifier: GPL-2.0-or-later
/* Cgroups below the group's: where a task is in there would be lost. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "proc/procfs.h"
#include "proc/read.h"

/* Is @pid a line of @list? */
static bool listed(const char *list, pid_t pid)
{
	char *end;

	for (; *list; list = *end ? end + 1 : end) {
		if (strtol(list, &end, 10) == pid)
			return true;
	}
	return false;
}

int ckpt_cgroup_is_root(int dir, bool *ret, struct ckpt_err *err)
{
	cleanup_buf struct ckpt_buf text = CKPT_BUF_INIT;
	int e = ckpt_procfs_read(dir, "cgroup", &text);
	const char *at, *path;

	if (e)
		return ckpt_fail(err, CKPT_FAILED, -e, "cannot read the cgroup of a process");
	*ret = true;
	/* "0::/path", and of older hierarchies "7:memory:/path", in each line */
	for (at = (char *)text.data; *at; at += strcspn(at, "\n") + 1) {
		path = strchr(at, ':');
		path = path ? strchr(path + 1, ':') : NULL;
		*ret = *ret && path && !strncmp(path, ":/\n", 3);
		if (!at[strcspn(at, "\n")])
			break;
	}
	return 0;
}

static int check_roots(void *arg, struct ckpt_err *err)
{
	const struct ckpt_hold *hold = arg;

	for (size_t i = 0; i < hold->n_procs; i++) {
		const struct ckpt_held_proc *p = &hold->procs[i];
		bool root;

		if (p->zombie)
			continue;
		if (ckpt_cgroup_is_root(p->dir, &root, err))
			return -1;
		if (!root)
			return ckpt_fail(err, CKPT_REFUSED, 0,
				"pid %d (%s) has a cgroup namespace of its own whose root is not "
				"the cgroup that it is in, which this version cannot restore",
				p->pid, p->comm);
	}
	return 0;
}

int ckpt_cgroup_root_check(struct ckpt_hold *hold, const struct ckpt_held_proc *first,
			   struct ckpt_err *err)
{
	return ckpt_inside(first->dir, "cgroup", check_roots, hold, err);
}

int ckpt_cgroup_check(struct ckpt_hold *hold, struct ckpt_err *err)
{
	cleanup_buf struct ckpt_buf text = CKPT_BUF_INIT;
	struct ckpt_buf *b = &text;
	int e;

	if (hold->cgroup < 0)
		return 0;
	e = ckpt_procfs_read(hold->cgroup, "cgroup.type", b);
	if (!e && strstr((char *)b->data, "threaded"))
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "the cgroup of the group is threaded, which this version cannot "
				 "restore");
	/* the root of the hierarchy has no type */
	e = e && e != -ENOENT ? e : ckpt_procfs_read(hold->cgroup, "cgroup.procs", b);
	if (e)
		return ckpt_fail(err, CKPT_FAILED, -e, "cannot read the cgroup of the group");
	for (size_t i = 0; i < hold->n_procs; i++) {
		const struct ckpt_held_proc *p = &hold->procs[i];

		/* of a tree that runs some end meanwhile */
		if (!p->zombie && !listed((char *)b->data, p->pid) && !ckpt_tree_ended(hold, p))
			return ckpt_fail(err, CKPT_REFUSED, 0,
				"pid %d (%s) is in a cgroup below that of the group, which this "
				"version cannot restore; move it to the group's own", p->pid,
				p->comm);
	}
	return 0;
}
