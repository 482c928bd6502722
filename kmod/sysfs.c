// SPDX-License-Identifier: GPL-2.0
/*
 * /sys/kernel/ckpt: one value per file, documented in docs/abi/sysfs-kernel-ckpt
 *
 * The folders of groups are in sysfs-group.c.
 */
#include <linux/capability.h>
#include <linux/kobject.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "group.h"
#include "sysfs.h"
#include "sysfs-parts.h"

static struct kobject *top;
/* groups/ in it */
struct kobject *ckpt_sysfs_groups;

/**
 * ckpt_sysfs_may_change - may the writer of a file change something
 *
 * The mode of a file can be changed, and root of a user namespace is no root.
 *
 * Return: true if it may.
 */
bool ckpt_sysfs_may_change(void)
{
	return capable(CAP_CHECKPOINT_RESTORE) || capable(CAP_SYS_ADMIN);
}

static ssize_t version_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n", CKPT_VERSION);
}
static struct kobj_attribute version_attr = __ATTR_RO(version);

static ssize_t features_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	/* in the order of the CKPT_FEATURE_* bits */
	static const char * const name[] = {
		"pages", "inodes", "exec", "exit", "oom-kill", "memory-share",
		"ranges",
	};
	u32 features = ckpt_features();
	int i, len = 0;

	for (i = 0; i < ARRAY_SIZE(name); i++)
		if (features & BIT(i))
			len += sysfs_emit_at(buf, len, "%s%s", len ? " " : "", name[i]);
	return len + sysfs_emit_at(buf, len, "\n");
}
static struct kobj_attribute features_attr = __ATTR_RO(features);

static ssize_t tag_store(struct kobject *kobj, struct kobj_attribute *attr, const char *buf,
			 size_t len)
{
	char *line, *name, *path;
	int err;

	if (!ckpt_sysfs_may_change())
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

	if (!ckpt_sysfs_may_change())
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
	ckpt_sysfs_groups = kobject_create_and_add("groups", top);
	if (!ckpt_sysfs_groups)
		goto put_top;
	err = sysfs_create_group(top, &top_group);
	if (err)
		goto put_groups;
	return 0;

put_groups:
	kobject_put(ckpt_sysfs_groups);
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
	kobject_put(ckpt_sysfs_groups);
	kobject_put(top);
}
