// SPDX-License-Identifier: GPL-2.0
/*
 * /sys/kernel/ckpt/groups/NAME: one value per file, documented in docs/abi/sysfs-kernel-ckpt
 */
#include <linux/kobject.h>
#include <linux/kstrtox.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "events.h"
#include "files.h"
#include "group.h"
#include "sysfs.h"
#include "sysfs-parts.h"

struct group_attribute {
	struct attribute attr;
	ssize_t (*show)(struct ckpt_group *group, char *buf);
	int (*store)(struct ckpt_group *group, const char *arg);
};

static ssize_t cgroup_show(struct ckpt_group *group, char *buf)
{
	int len = ckpt_group_path(group, buf, PAGE_SIZE - 1);

	if (len < 0)
		return len;
	buf[len] = '\n';
	return len + 1;
}

static ssize_t tasks_show(struct ckpt_group *group, char *buf)
{
	return sysfs_emit(buf, "%u\n", ckpt_group_tasks(group));
}

static ssize_t epoch_show(struct ckpt_group *group, char *buf)
{
	return sysfs_emit(buf, "%llu\n", group->epoch.number);
}

static ssize_t dirty_pages_show(struct ckpt_group *group, char *buf)
{
	return sysfs_emit(buf, "%llu\n", group->epoch.dirty_pages);
}

static ssize_t resident_pages_show(struct ckpt_group *group, char *buf)
{
	return sysfs_emit(buf, "%llu\n", group->epoch.resident_pages);
}

static ssize_t dirty_share_show(struct ckpt_group *group, char *buf)
{
	return sysfs_emit(buf, "%u\n", ckpt_epoch_dirty_share(&group->epoch));
}

static ssize_t memory_share_show(struct ckpt_group *group, char *buf)
{
	int share = ckpt_memory_share(group);

	return share < 0 ? sysfs_emit(buf, "max\n") : sysfs_emit(buf, "%d\n", share);
}

static ssize_t changed_inodes_show(struct ckpt_group *group, char *buf)
{
	return sysfs_emit(buf, "%llu\n", ckpt_files_changed(group->files));
}

static ssize_t taken_show(struct ckpt_group *group, char *buf)
{
	return sysfs_emit(buf, "%llu\n", group->epoch.taken_pages);
}

static ssize_t lost_show(struct ckpt_group *group, char *buf)
{
	return sysfs_emit(buf, "%llu\n", ckpt_files_lost(group->files));
}

static ssize_t roots_show(struct ckpt_group *group, char *buf)
{
	const char *path;
	unsigned int i;
	int len = 0;

	for (i = 0; (path = ckpt_files_root(group->files, i)); i++) {
		if (len + strlen(path) + 1 >= PAGE_SIZE)
			return -EFBIG;
		len += sysfs_emit_at(buf, len, "%s\n", path);
	}
	return len;
}

static ssize_t state_show(struct ckpt_group *group, char *buf)
{
	static const char * const name[] = {
		[CKPT_GROUP_IDLE] = "idle",
		[CKPT_GROUP_TAKING] = "taking",
		[CKPT_GROUP_GONE] = "gone",
	};

	return sysfs_emit(buf, "%s\n", name[ckpt_group_state(group)]);
}

static int add_root_store(struct ckpt_group *group, const char *arg)
{
	return ckpt_files_root_add(group->files, arg, NULL);
}

static int remove_root_store(struct ckpt_group *group, const char *arg)
{
	return ckpt_files_root_del(group->files, arg, NULL);
}

/* --- what listeners want to be told --- */

static int set_task_event(struct ckpt_group *group, u32 event, const char *arg)
{
	struct ckpt_events_wanted wanted = group->events.wanted;
	u32 on;
	int err = kstrtou32(arg, 10, &on);

	if (err)
		return err;
	if (on > 1)
		return -ERANGE;
	wanted.tasks = on ? wanted.tasks | event : wanted.tasks & ~event;
	return ckpt_events_set(group, &wanted, NULL);
}

#define TASK_EVENT(_name, _event) \
static ssize_t _name##_show(struct ckpt_group *group, char *buf) \
{ \
	return sysfs_emit(buf, "%d\n", !!(group->events.wanted.tasks & (_event))); \
} \
static int _name##_store(struct ckpt_group *group, const char *arg) \
{ \
	return set_task_event(group, _event, arg); \
}

TASK_EVENT(event_exec, CKPT_EVENTS_EXEC)
TASK_EVENT(event_exit, CKPT_EVENTS_EXIT)
TASK_EVENT(event_oom_kill, CKPT_EVENTS_OOM_KILL)

static ssize_t event_dirty_share_show(struct ckpt_group *group, char *buf)
{
	return sysfs_emit(buf, "%u\n", group->events.wanted.dirty_share);
}

static int event_dirty_share_store(struct ckpt_group *group, const char *arg)
{
	struct ckpt_events_wanted wanted = group->events.wanted;

	return kstrtou32(arg, 10, &wanted.dirty_share) ?: ckpt_events_set(group, &wanted, NULL);
}

static ssize_t event_memory_share_show(struct ckpt_group *group, char *buf)
{
	return sysfs_emit(buf, "%u\n", group->events.wanted.memory_share);
}

static int event_memory_share_store(struct ckpt_group *group, const char *arg)
{
	struct ckpt_events_wanted wanted = group->events.wanted;

	return kstrtou32(arg, 10, &wanted.memory_share) ?: ckpt_events_set(group, &wanted, NULL);
}

static ssize_t event_changed_inodes_show(struct ckpt_group *group, char *buf)
{
	return sysfs_emit(buf, "%llu\n", group->events.wanted.changed_inodes);
}

static int event_changed_inodes_store(struct ckpt_group *group, const char *arg)
{
	struct ckpt_events_wanted wanted = group->events.wanted;

	return kstrtou64(arg, 10, &wanted.changed_inodes) ?: ckpt_events_set(group, &wanted, NULL);
}

/* --- the folder --- */

#define GROUP_RO(_name) \
static struct group_attribute group_##_name = { \
	.attr = { .name = #_name, .mode = 0400 }, .show = _name##_show }
#define GROUP_WO(_name) \
static struct group_attribute group_##_name = { \
	.attr = { .name = #_name, .mode = 0200 }, .store = _name##_store }
#define GROUP_RW(_name) \
static struct group_attribute group_##_name = { \
	.attr = { .name = #_name, .mode = 0600 }, .show = _name##_show, .store = _name##_store }

GROUP_RO(cgroup);
GROUP_RO(tasks);
GROUP_RO(epoch);
GROUP_RO(dirty_pages);
GROUP_RO(resident_pages);
GROUP_RO(dirty_share);
GROUP_RO(memory_share);
GROUP_RO(changed_inodes);
GROUP_RO(taken);
GROUP_RO(lost);
GROUP_RO(roots);
GROUP_RO(state);
GROUP_WO(add_root);
GROUP_WO(remove_root);
GROUP_RW(event_dirty_share);
GROUP_RW(event_memory_share);
GROUP_RW(event_changed_inodes);
GROUP_RW(event_exec);
GROUP_RW(event_exit);
GROUP_RW(event_oom_kill);

static struct attribute *group_attrs[] = {
	&group_cgroup.attr,
	&group_tasks.attr,
	&group_epoch.attr,
	&group_dirty_pages.attr,
	&group_resident_pages.attr,
	&group_dirty_share.attr,
	&group_memory_share.attr,
	&group_changed_inodes.attr,
	&group_taken.attr,
	&group_lost.attr,
	&group_roots.attr,
	&group_state.attr,
	&group_add_root.attr,
	&group_remove_root.attr,
	&group_event_dirty_share.attr,
	&group_event_memory_share.attr,
	&group_event_changed_inodes.attr,
	&group_event_exec.attr,
	&group_event_exit.attr,
	&group_event_oom_kill.attr,
	NULL,
};
ATTRIBUTE_GROUPS(group);

static ssize_t group_attr_show(struct kobject *kobj, struct attribute *attr, char *buf)
{
	struct group_attribute *ga = container_of(attr, struct group_attribute, attr);
	struct ckpt_group *group = container_of(kobj, struct ckpt_group, kobj);
	ssize_t ret;

	/* the mode of the file can be changed */
	if (!ga->show)
		return -EIO;
	mutex_lock(&group->lock);
	ret = group->dead ? -ENODEV : ga->show(group, buf);
	mutex_unlock(&group->lock);
	return ret;
}

static ssize_t group_attr_store(struct kobject *kobj, struct attribute *attr, const char *buf,
				size_t len)
{
	struct group_attribute *ga = container_of(attr, struct group_attribute, attr);
	struct ckpt_group *group = container_of(kobj, struct ckpt_group, kobj);
	char *arg;
	ssize_t ret;

	if (!ga->store)
		return -EIO;
	if (!ckpt_sysfs_may_change())
		return -EPERM;
	arg = kstrndup(buf, len, GFP_KERNEL);
	if (!arg)
		return -ENOMEM;
	*strchrnul(arg, '\n') = '\0';
	mutex_lock(&group->lock);
	ret = group->dead ? -ENODEV : ga->store(group, arg);
	mutex_unlock(&group->lock);
	kfree(arg);
	return ret ? ret : len;
}

static const struct sysfs_ops group_sysfs_ops = {
	.show = group_attr_show,
	.store = group_attr_store,
};

static void group_release(struct kobject *kobj)
{
	struct ckpt_group *group = container_of(kobj, struct ckpt_group, kobj);

	WARN_ON(group->files);
	cgroup_put(group->cgroup);
	mutex_destroy(&group->lock);
	kfree(group);
}

static const struct kobj_type group_type = {
	.release = group_release,
	.sysfs_ops = &group_sysfs_ops,
	.default_groups = group_groups,
};

/**
 * ckpt_sysfs_group_init - make the reference count of a new group
 * @group: the group; from here on ckpt_group_put frees it
 */
void ckpt_sysfs_group_init(struct ckpt_group *group)
{
	kobject_init(&group->kobj, CKPT_KTYPE(&group_type));
}

/**
 * ckpt_sysfs_group_add - make the group's folder
 * @group: the group, complete
 *
 * Return: 0 or a negative errno.
 */
int ckpt_sysfs_group_add(struct ckpt_group *group)
{
	return kobject_add(&group->kobj, ckpt_sysfs_groups, "%s", group->name);
}

/**
 * ckpt_sysfs_group_del - remove the group's folder
 * @group: the group
 *
 * Context: sleeps until nobody is inside one of its files, so not under the
 * group's lock.
 */
void ckpt_sysfs_group_del(struct ckpt_group *group)
{
	kobject_del(&group->kobj);
}
