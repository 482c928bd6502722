// SPDX-License-Identifier: GPL-2.0-or-later
/* Tagging. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/apart.h"
#include "base/cgroup.h"
#include "base/cleanup.h"
#include "flow/lock.h"
#include "flow/settle.h"
#include "flow/tag.h"
#include "nl/client.h"
#include "track/tracker-main.h"

/* The module, or NULL where none is loaded. Return: 0, or -1 when it is of another version. */
static int open_module(struct ckpt_nl **ret, struct ckpt_err *err)
{
	struct ckpt_err why = CKPT_ERR_INIT;

	*ret = NULL;
	if (!ckpt_nl_open(ret, &why) || why.os == ENOENT)
		return 0;
	*err = why;
	return -1;
}

static int refuse_taken(const struct ckpt_tagged *group, struct ckpt_err *err)
{
	cleanup_with(ckpt_tagged_done) struct ckpt_tagged old = { 0 };
	bool alive;

	if (!ckpt_tagged_exists(group->name))
		return 0;
	if (ckpt_tagged_load(group->name, &old, err) || ckpt_tagged_alive(&old, &alive, err))
		return -1;
	if (alive)
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "group '%s' is taken and alive in cgroup %s; untag it or use "
				 "another name", group->name, old.cgroup ? old.cgroup : "(none)");
	return 0;
}

static int refuse_no_cgroup(const struct ckpt_tagged *group, struct ckpt_err *err)
{
	cleanup_free char *dir = NULL;
	struct stat st;

	if (ckpt_cgroup_dir(group->cgroup, &dir, err))
		return -1;
	if (ckpt_cgroup_inside(group->cgroup, CKPT_KEEPER_CGROUP))
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "%s is where the keepers of checkpoints live; name another cgroup",
				 group->cgroup);
	if (stat(dir, &st) || !S_ISDIR(st.st_mode))
		return ckpt_fail(err, CKPT_USAGE, 0, "'%s' is no cgroup: there is no directory %s",
				 group->cgroup, dir);
	return 0;
}

static int tell_module(struct ckpt_nl *nl, const struct ckpt_tagged *group, struct ckpt_err *err)
{
	struct ckpt_err ignored = CKPT_ERR_INIT;

	/* Whatever it knew by this name is of a group that is dead. */
	if (ckpt_nl_group_del(nl, group->name, &ignored) && ignored.os != ENOENT) {
		*err = ignored;
		return -1;
	}
	if (ckpt_nl_group_new(nl, group->name, group->cgroup, err))
		return -1;
	for (size_t i = 0; i < group->n_roots; i++)
		if (ckpt_nl_root_add(nl, group->name, group->roots[i], err)) {
			ckpt_nl_group_del(nl, group->name, &ignored);
			return -1;
		}
	return 0;
}

/* The module refuses a cgroup of another group; of a dead group of this name it is told first. */
static int refuse_listed(const struct ckpt_nl_group *other, void *data, struct ckpt_err *err)
{
	const struct ckpt_tagged *group = data;

	if (!strcmp(other->name, group->name) || !other->cgroup ||
	    (!ckpt_cgroup_inside(group->cgroup, other->cgroup) &&
	     !ckpt_cgroup_inside(other->cgroup, group->cgroup)))
		return 0;
	return ckpt_fail(err, CKPT_REFUSED, 0,
			 "cgroup %s is in group '%s' or holds it; untag that or name another "
			 "cgroup", group->cgroup, other->name);
}

int ckpt_tag_check(const struct ckpt_tagged *group, struct ckpt_err *err)
{
	cleanup_nl struct ckpt_nl *nl = NULL;
	bool alive;

	if (refuse_taken(group, err) || refuse_no_cgroup(group, err) || open_module(&nl, err) ||
	    ckpt_tagged_alive(group, &alive, err) || ckpt_settle(group, alive, true, err))
		return -1;
	return nl ? ckpt_nl_group_list(nl, refuse_listed, (void *)group, err) : 0;
}

/* Whatever was known of what the group wrote is not worth anything any more. */
static int end_tracker(const char *name, struct ckpt_err *err)
{
	cleanup_free char *path = ckpt_tagged_tracker(name);

	return path ? ckpt_tracker_end(path, err) :
		      ckpt_fail(err, CKPT_FAILED, 0, "no memory for group '%s'", name);
}

int ckpt_tag_locked(const struct ckpt_tagged *group, struct ckpt_err *err)
{
	cleanup_nl struct ckpt_nl *nl = NULL;
	bool alive;

	if (refuse_taken(group, err) || refuse_no_cgroup(group, err) || open_module(&nl, err) ||
	    ckpt_tagged_alive(group, &alive, err) || ckpt_settle(group, alive, false, err) ||
	    end_tracker(group->name, err))
		return -1;
	if (nl && tell_module(nl, group, err))
		return -1;
	return ckpt_tagged_save(group, err);
}

int ckpt_untag_locked(const char *name, struct ckpt_err *err)
{
	cleanup_with(ckpt_tagged_done) struct ckpt_tagged group = { 0 };
	cleanup_nl struct ckpt_nl *nl = NULL;
	struct ckpt_err why = CKPT_ERR_INIT;

	if (ckpt_tagged_load(name, &group, err) || open_module(&nl, err) ||
	    end_tracker(name, err))
		return -1;
	if (nl && ckpt_nl_group_del(nl, name, &why) && why.os != ENOENT) {
		*err = why;
		return -1;
	}
	return ckpt_tagged_forget(name, err);
}

int ckpt_untag_check(const char *name, struct ckpt_err *err)
{
	cleanup_with(ckpt_tagged_done) struct ckpt_tagged group = { 0 };
	cleanup_nl struct ckpt_nl *nl = NULL;

	return ckpt_tagged_load(name, &group, err) || open_module(&nl, err) ? -1 : 0;
}

int ckpt_tag(const struct ckpt_tagged *group, struct ckpt_err *err)
{
	cleanup_close int lock = -1;

	return ckpt_lock_name(group->name, &lock, err) ? -1 : ckpt_tag_locked(group, err);
}

/* In doubt it lives, and still writes. */
static bool may_write(const char *name)
{
	cleanup_with(ckpt_tagged_done) struct ckpt_tagged group = { 0 };
	struct ckpt_err ignored = CKPT_ERR_INIT;
	bool alive;

	return ckpt_tagged_load(name, &group, &ignored) ||
	       ckpt_tagged_alive(&group, &alive, &ignored) || alive;
}

int ckpt_untag(const char *name, struct ckpt_err *err)
{
	cleanup_close int lock = -1;
	bool writes;

	if (ckpt_lock_name(name, &lock, err))
		return -1;
	writes = may_write(name);
	if (ckpt_untag_locked(name, err))
		return -1;
	return writes ? 0 : ckpt_tagged_drop_output(name, err);
}
