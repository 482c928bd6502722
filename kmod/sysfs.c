// SPDX-License-Identifier: GPL-2.0
/*
 * /sys/kernel/ckpt: one value per file, documented in docs/abi/sysfs-kernel-ckpt
 */
#include <linux/capability.h>
#include <linux/kobject.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "files.h"
#include "group.h"
#include "sysfs.h"

static struct kobject *top;
static struct kobject *groups_folder;

static bool may_change(void)
{
	return capable(CAP_CHECKPOINT_RESTORE) || capable(CAP_SYS_ADMIN);
}

/* --- /sys/kernel/ckpt/ --- */

static ssize_t version_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n", CKPT_VERSION);
}
static struct kobj_attribute version_attr = __ATTR_RO(version);

static ssize_t features_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n", "pages inodes");
}
static struct kobj_attribute features_attr = __ATTR_RO(features);

static ssize_t tag_store(struct kobject *kobj, struct kobj_attribute *attr, const char *buf,
			 size_t len)
{
	char *line, *name, *path;
	int err;

	if (!may_change())
		return -EPERM;
	line = kstrndup(buf, len, GFP_KERNEL);
	if (!line)
		return -ENOMEM;
	/* A cgroup's name may hold spaces, a group's may not: split at the first. */
	path = strchrnul(line, '\n');
	*path = '\0';
	path = line;
	name = strsep(&path, " ");
	err = path ? ckpt_group_new(name, path, NULL) : -EINVAL;
	kfree(line);
	return err ? err : len;
}
static struct kobj_attribute tag_attr = __ATTR_WO(tag);

static ssize_t untag_store(struct kobject *kobj, struct kobj_attribute *attr, const char *buf,
			   size_t len)
{
	char *name;
	int err;

	if (!may_change())
		return -EPERM;
	name = kstrndup(buf, len, GFP_KERNEL);
	if (!name)
		return -ENOMEM;
	err = ckpt_group_del(strim(name), NULL);
	kfree(name);
	return err ? err : len;
}
static struct kobj_attribute untag_attr = __ATTR_WO(untag);

static struct attribute *top_attrs[] = {
	&version_attr.attr,
	&features_attr.attr,
	&tag_attr.attr,
	&untag_attr.attr,
	NULL,
};
static const struct attribute_group top_group = { .attrs = top_attrs };

/* --- /sys/kernel/ckpt/groups/NAME/ --- */

struct group_attribute {
	struct attribute attr;
	ssize_t (*show)(struct ckpt_group *group, char *buf);
	ssize_t (*store)(struct ckpt_group *group, const char *arg);
};

static ssize_t cgroup_show(struct ckpt_group *group, char *buf)
{
	int len = ckpt_group_path(group, buf, PAGE_SIZE - 1);

	if (len < 0)
		return len;
	if (len >= PAGE_SIZE - 1)
		return -ENAMETOOLONG;
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

	for (i = 0; (path = ckpt_files_root(group->files, i)); i++)
		len += sysfs_emit_at(buf, len, "%s\n", path);
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

static ssize_t add_root_store(struct ckpt_group *group, const char *arg)
{
	return ckpt_files_root_add(group->files, arg, NULL);
}

static ssize_t remove_root_store(struct ckpt_group *group, const char *arg)
{
	return ckpt_files_root_del(group->files, arg, NULL);
}

#define GROUP_RO(_name) \
static struct group_attribute group_##_name = { \
	.attr = { .name = #_name, .mode = 0444 }, .show = _name##_show }
#define GROUP_WO(_name) \
static struct group_attribute group_##_name = { \
	.attr = { .name = #_name, .mode = 0200 }, .store = _name##_store }

GROUP_RO(cgroup);
GROUP_RO(tasks);
GROUP_RO(epoch);
GROUP_RO(dirty_pages);
GROUP_RO(changed_inodes);
GROUP_RO(taken);
GROUP_RO(lost);
GROUP_RO(roots);
GROUP_RO(state);
GROUP_WO(add_root);
GROUP_WO(remove_root);

static struct attribute *group_attrs[] = {
	&group_cgroup.attr,
	&group_tasks.attr,
	&group_epoch.attr,
	&group_dirty_pages.attr,
	&group_changed_inodes.attr,
	&group_taken.attr,
	&group_lost.attr,
	&group_roots.attr,
	&group_state.attr,
	&group_add_root.attr,
	&group_remove_root.attr,
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
	if (!may_change())
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
	return kobject_add(&group->kobj, groups_folder, "%s", group->name);
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

/**
 * ckpt_sysfs_init - make /sys/kernel/ckpt
 *
 * Return: 0 or a negative errno.
 */
int ckpt_sysfs_init(void)
{
	int err = -ENOMEM;

	top = kobject_create_and_add("ckpt", kernel_kobj);
	if (!top)
		return -ENOMEM;
	groups_folder = kobject_create_and_add("groups", top);
	if (!groups_folder)
		goto put_top;
	err = sysfs_create_group(top, &top_group);
	if (err)
		goto put_groups;
	return 0;

put_groups:
	kobject_put(groups_folder);
put_top:
	kobject_put(top);
	return err;
}

/**
 * ckpt_sysfs_close_doors - remove tag and untag, so that no group can come
 *
 * Context: sleeps until nobody is inside one of them.
 */
void ckpt_sysfs_close_doors(void)
{
	sysfs_remove_group(top, &top_group);
}

/**
 * ckpt_sysfs_exit - remove what is left of /sys/kernel/ckpt
 *
 * All groups are gone.
 */
void ckpt_sysfs_exit(void)
{
	kobject_put(groups_folder);
	kobject_put(top);
}
