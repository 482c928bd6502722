// SPDX-License-Identifier: GPL-2.0
/*
 * Registry of groups
 */
#include <linux/cred.h>
#include <linux/ctype.h>
#include <linux/netlink.h>
#include <linux/nsproxy.h>
#include <linux/random.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>

#include "events.h"
#include "filelog.h"
#include "files.h"
#include "group.h"
#include "limits.h"
#include "sysfs.h"

/* Held while a group comes or goes, which may wait for a walk. */
static DEFINE_MUTEX(doors_lock);
/* Both are held to change it, either to read it. */
static LIST_HEAD(groups);
static DEFINE_MUTEX(groups_lock);
static unsigned int nr_groups;
static u64 last_generation;
static u64 load_cookie;

/**
 * ckpt_group_module_init - draw the load cookie
 *
 * Return: 0.
 */
int ckpt_group_module_init(void)
{
	do {
		load_cookie = get_random_u64();
	} while (!load_cookie);
	return 0;
}

/**
 * ckpt_load_cookie - number of this module load
 *
 * Return: random, never 0.
 */
u64 ckpt_load_cookie(void)
{
	return load_cookie;
}

/**
 * ckpt_features - what the module can do on this kernel
 *
 * Return: CKPT_FEATURE_* bits.
 */
u32 ckpt_features(void)
{
	u32 ranges = ckpt_filelog_able() ? CKPT_FEATURE_RANGES : 0;

	return CKPT_FEATURE_PAGES | CKPT_FEATURE_INODES | ckpt_events_features() | ranges;
}

static bool name_ok(const char *name)
{
	size_t len = strlen(name);
	size_t i;

	if (!len || len > CKPT_NAME_MAX || !strcmp(name, ".") || !strcmp(name, ".."))
		return false;
	for (i = 0; i < len; i++)
		if (!isascii(name[i]) || !(isalnum(name[i]) || strchr("._-", name[i])))
			return false;
	return true;
}

static struct ckpt_group *find_locked(const char *name)
{
	struct ckpt_group *group;

	lockdep_assert(lockdep_is_held(&groups_lock) || lockdep_is_held(&doors_lock));
	list_for_each_entry(group, &groups, link)
		if (!strcmp(group->name, name))
			return group;
	return NULL;
}

/*
 * Two groups over one cgroup would clear each other's bits: what one took the
 * other would never see.
 */
static bool overlaps_locked(struct cgroup *cgroup)
{
	struct ckpt_group *group;

	lockdep_assert_held(&doors_lock);
	list_for_each_entry(group, &groups, link)
		if (cgroup_is_descendant(cgroup, group->cgroup) ||
		    cgroup_is_descendant(group->cgroup, cgroup))
			return true;
	return false;
}

static struct ckpt_group *group_alloc(const char *name, struct cgroup *cgroup)
{
	struct ckpt_group *group = kzalloc(sizeof(*group), GFP_KERNEL);

	if (!group)
		return NULL;
	strscpy(group->name, name, sizeof(group->name));
	INIT_LIST_HEAD(&group->link);
	mutex_init(&group->lock);
	ckpt_epoch_init(&group->epoch);
	ckpt_events_group_init(group);
	group->cgroup = cgroup;
	group->generation = ++last_generation;
	ckpt_sysfs_group_init(group);
	return group;
}

static int add_locked(const char *name, struct cgroup *cgroup, struct netlink_ext_ack *extack)
{
	struct ckpt_group *group;
	int err;

	lockdep_assert_held(&doors_lock);
	if (find_locked(name)) {
		NL_SET_ERR_MSG(extack, "group-new: the name is taken by another group");
		return -EEXIST;
	}
	if (overlaps_locked(cgroup)) {
		NL_SET_ERR_MSG(extack, "group-new: the cgroup is in another group or holds one");
		return -EBUSY;
	}
	if (nr_groups >= CKPT_GROUPS_MAX) {
		NL_SET_ERR_MSG(extack, "group-new: too many groups");
		return -ENOSPC;
	}
	group = group_alloc(name, cgroup);
	if (!group)
		return -ENOMEM;
	cgroup_get(cgroup);	/* put by the release function */
	group->files = ckpt_files_create(group);
	if (!group->files) {
		err = -ENOMEM;
		NL_SET_ERR_MSG(extack, "group-new: its change sets could not be made");
		goto put_group;
	}
	err = ckpt_sysfs_group_add(group);
	if (err) {
		NL_SET_ERR_MSG(extack, "group-new: its folder in sysfs could not be made");
		goto destroy_files;
	}
	ckpt_events_group_add(group);
	mutex_lock(&groups_lock);
	list_add_tail(&group->link, &groups);
	mutex_unlock(&groups_lock);
	nr_groups++;
	return 0;

destroy_files:
	ckpt_files_destroy(group->files);
	group->files = NULL;
put_group:
	ckpt_group_put(group);
	return err;
}

/**
 * ckpt_group_new - tag a cgroup
 * @name: name of the group, [A-Za-z0-9._-]{1,63}
 * @cgroup_path: path in the caller's cgroup namespace, as in the 0:: line of
 *	/proc/PID/cgroup
 * @extack: where the sentence of a refusal goes, may be NULL
 *
 * Context: sleeps.
 * Return: 0 or a negative errno.
 */
int ckpt_group_new(const char *name, const char *cgroup_path, struct netlink_ext_ack *extack)
{
	struct cgroup *cgroup;
	int err;

	if (!name_ok(name)) {
		NL_SET_ERR_MSG(extack, "group-new: a name is 1 to 63 of A-Z a-z 0-9 . _ -");
		return -EINVAL;
	}
	if (cgroup_path[0] != '/') {
		NL_SET_ERR_MSG(extack, "group-new: a cgroup path begins with /");
		return -EINVAL;
	}
	cgroup = cgroup_get_from_path(cgroup_path);
	if (IS_ERR(cgroup)) {
		NL_SET_ERR_MSG(extack, "group-new: the path is no cgroup of the v2 hierarchy");
		return PTR_ERR(cgroup);
	}
	if (!cgroup_parent(cgroup)) {
		NL_SET_ERR_MSG(extack, "group-new: the root cgroup cannot be a group");
		err = -EINVAL;
		goto put_cgroup;
	}
	mutex_lock(&doors_lock);
	err = add_locked(name, cgroup, extack);
	mutex_unlock(&doors_lock);
put_cgroup:
	cgroup_put(cgroup);
	return err;
}

static void del_locked(struct ckpt_group *group)
{
	struct ckpt_files *files;

	lockdep_assert_held(&doors_lock);
	mutex_lock(&groups_lock);
	list_del_init(&group->link);
	mutex_unlock(&groups_lock);
	nr_groups--;
	/* Waits for readers of the group's files, so not under group->lock. */
	ckpt_sysfs_group_del(group);

	mutex_lock(&group->lock);
	group->dead = true;
	ckpt_epoch_destroy(group);
	files = group->files;
	group->files = NULL;
	mutex_unlock(&group->lock);
	/* Waits for file events that run, which may look at the group. */
	ckpt_files_destroy(files);
	ckpt_events_group_del(group);
	ckpt_group_put(group);
}

/**
 * ckpt_group_del - untag; an open epoch is aborted
 * @name: name of the group
 * @extack: where the sentence of a refusal goes, may be NULL
 *
 * Context: sleeps.
 * Return: 0, or -ENOENT.
 */
int ckpt_group_del(const char *name, struct netlink_ext_ack *extack)
{
	struct ckpt_group *group;

	mutex_lock(&doors_lock);
	group = find_locked(name);
	if (group)
		del_locked(group);
	mutex_unlock(&doors_lock);
	if (!group) {
		NL_SET_ERR_MSG(extack, "group-del: there is no group of this name");
		return -ENOENT;
	}
	return 0;
}

/**
 * ckpt_group_module_exit - untag everything
 *
 * The doors (netlink, sysfs tag and untag) are closed.
 */
void ckpt_group_module_exit(void)
{
	struct ckpt_group *group, *next;

	mutex_lock(&doors_lock);
	list_for_each_entry_safe(group, next, &groups, link)
		del_locked(group);
	mutex_unlock(&doors_lock);
}

/**
 * ckpt_group_find - look a group up
 * @name: its name
 *
 * Return: the group with a reference for the caller, or NULL.
 */
struct ckpt_group *ckpt_group_find(const char *name)
{
	struct ckpt_group *group;

	mutex_lock(&groups_lock);
	group = find_locked(name);
	if (group)
		ckpt_group_get(group);
	mutex_unlock(&groups_lock);
	return group;
}

/**
 * ckpt_group_next - step through the groups
 * @after: generation of the last one seen, 0 to start
 *
 * Return: the next group with a reference for the caller, or NULL at the end.
 */
struct ckpt_group *ckpt_group_next(u64 after)
{
	struct ckpt_group *group, *found = NULL;

	mutex_lock(&groups_lock);
	list_for_each_entry(group, &groups, link) {
		if (group->generation > after) {
			found = ckpt_group_get(group);
			break;
		}
	}
	mutex_unlock(&groups_lock);
	return found;
}

/* The one after @group, which may have gone meanwhile. */
static struct ckpt_group *next_of(struct ckpt_group *group)
{
	struct ckpt_group *next = NULL;

	mutex_lock(&groups_lock);
	if (!list_empty(&group->link) && !list_is_last(&group->link, &groups))
		next = ckpt_group_get(list_next_entry(group, link));
	mutex_unlock(&groups_lock);
	if (!next && list_empty(&group->link))
		next = ckpt_group_next(group->generation);
	return next;
}

/**
 * ckpt_group_each - call a function for every group
 * @fn: called without the registry's lock, so it may take the group's
 * @data: passed through
 */
void ckpt_group_each(void (*fn)(struct ckpt_group *group, void *data), void *data)
{
	struct ckpt_group *group = ckpt_group_next(0), *next;

	for (; group; group = next) {
		fn(group, data);
		next = next_of(group);
		ckpt_group_put(group);
	}
}

/**
 * ckpt_group_state - what the group is doing
 * @group: the group; the answer is a moment's without its lock
 *
 * Return: enum ckpt_group_state.
 */
enum ckpt_group_state ckpt_group_state(const struct ckpt_group *group)
{
	if (!(READ_ONCE(group->cgroup->self.flags) & CSS_ONLINE))
		return CKPT_GROUP_GONE;
	return READ_ONCE(group->epoch.open) ? CKPT_GROUP_TAKING : CKPT_GROUP_IDLE;
}

/**
 * ckpt_group_path - path of the group's cgroup as the caller sees it
 * @group: the group
 * @buf: where it goes
 * @len: its size
 *
 * Return: length, or a negative errno.
 */
int ckpt_group_path(const struct ckpt_group *group, char *buf, size_t len)
{
	int n = cgroup_path_ns(group->cgroup, buf, len, current->nsproxy->cgroup_ns);

	/* Before 6.9 one that was cut tells the length of all. */
	return n >= 0 && (size_t)n >= len ? -ENAMETOOLONG : n;
}

/**
 * ckpt_group_tasks - count the living threads in the group
 * @group: the group
 *
 * Return: their number at one moment.
 */
unsigned int ckpt_group_tasks(const struct ckpt_group *group)
{
	struct task_struct *process, *task;
	unsigned int nr = 0;

	rcu_read_lock();
	for_each_process_thread(process, task)
		if (!(task->flags & PF_EXITING) &&
		    cgroup_is_descendant(task_dfl_cgroup(task), group->cgroup))
			nr++;
	rcu_read_unlock();
	return nr;
}
