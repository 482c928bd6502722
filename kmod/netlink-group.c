// SPDX-License-Identifier: GPL-2.0
/*
 * Requests on groups and roots
 */
#include <linux/netlink.h>
#include <net/genetlink.h>

#include "events.h"
#include "files.h"
#include "group.h"
#include "netlink-parts.h"

/* A message about a group without its roots: headers, the cgroup's path, the rest. */
#define GROUP_SIZE	(PATH_MAX + 1024)

/**
 * ckpt_netlink_group_new - tag a cgroup
 * @skb: the request
 * @info: its attributes
 *
 * Context: sleeps.
 * Return: 0 or a negative errno.
 */
int ckpt_netlink_group_new(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr **attrs = info->attrs;

	if (!ckpt_netlink_allowed(skb, info->extack))
		return -EPERM;
	if (!attrs[CKPT_A_GROUP_NAME] || !attrs[CKPT_A_GROUP_CGROUP]) {
		NL_SET_ERR_MSG(info->extack, "group-new: needs a name and a cgroup path");
		return -EINVAL;
	}
	return ckpt_group_new(nla_data(attrs[CKPT_A_GROUP_NAME]),
			      nla_data(attrs[CKPT_A_GROUP_CGROUP]), info->extack);
}

/**
 * ckpt_netlink_group_del - untag one
 * @skb: the request
 * @info: its attributes
 *
 * Context: sleeps.
 * Return: 0 or a negative errno.
 */
int ckpt_netlink_group_del(struct sk_buff *skb, struct genl_info *info)
{
	if (!ckpt_netlink_allowed(skb, info->extack))
		return -EPERM;
	if (!info->attrs[CKPT_A_GROUP_NAME]) {
		NL_SET_ERR_MSG(info->extack, "group-del: the request names no group");
		return -EINVAL;
	}
	return ckpt_group_del(nla_data(info->attrs[CKPT_A_GROUP_NAME]), info->extack);
}

/**
 * ckpt_netlink_group_set - say what listeners want to be told of a group
 * @skb: the request; what it does not hold stays as it is
 * @info: its attributes
 *
 * Context: sleeps.
 * Return: 0 or a negative errno.
 */
int ckpt_netlink_group_set(struct sk_buff *skb, struct genl_info *info)
{
	struct ckpt_group *group = ckpt_netlink_lock(skb, info);
	struct nlattr **attrs = info->attrs;
	struct ckpt_events_wanted wanted;
	int err = -EINVAL;

	if (IS_ERR(group))
		return PTR_ERR(group);
	if (!attrs[CKPT_A_EVENTS] && !attrs[CKPT_A_DIRTY_SHARE_MIN] &&
	    !attrs[CKPT_A_MEMORY_SHARE_MIN] && !attrs[CKPT_A_CHANGED_INODES_MIN]) {
		NL_SET_ERR_MSG(info->extack, "group-set: the request sets nothing");
		goto unlock;
	}
	wanted = group->events.wanted;
	if (attrs[CKPT_A_EVENTS])
		wanted.tasks = nla_get_u32(attrs[CKPT_A_EVENTS]);
	if (attrs[CKPT_A_DIRTY_SHARE_MIN])
		wanted.dirty_share = nla_get_u32(attrs[CKPT_A_DIRTY_SHARE_MIN]);
	if (attrs[CKPT_A_MEMORY_SHARE_MIN])
		wanted.memory_share = nla_get_u32(attrs[CKPT_A_MEMORY_SHARE_MIN]);
	if (attrs[CKPT_A_CHANGED_INODES_MIN])
		wanted.changed_inodes = nla_get_u64(attrs[CKPT_A_CHANGED_INODES_MIN]);
	err = ckpt_events_set(group, &wanted, info->extack);
unlock:
	ckpt_netlink_unlock(group);
	return err;
}

/* What a message about the group holds at most. */
static size_t group_size(struct ckpt_group *group)
{
	size_t size = GROUP_SIZE;
	const char *path;
	unsigned int i;

	for (i = 0; (path = ckpt_files_root(group->files, i)); i++)
		size += nla_total_size(strlen(path) + 1);
	return size;
}

static int put_roots(struct sk_buff *msg, struct ckpt_group *group)
{
	const char *path;
	unsigned int i;

	for (i = 0; (path = ckpt_files_root(group->files, i)); i++)
		if (nla_put_string(msg, CKPT_A_ROOT_PATH, path))
			return -EMSGSIZE;
	return 0;
}

static int put_events(struct sk_buff *msg, struct ckpt_group *group)
{
	const struct ckpt_events_wanted *wanted = &group->events.wanted;
	int share = ckpt_memory_share(group);

	if (nla_put_u32(msg, CKPT_A_EVENTS, wanted->tasks) ||
	    nla_put_u32(msg, CKPT_A_DIRTY_SHARE_MIN, wanted->dirty_share) ||
	    nla_put_u32(msg, CKPT_A_MEMORY_SHARE_MIN, wanted->memory_share) ||
	    nla_put_u64_64bit(msg, CKPT_A_CHANGED_INODES_MIN, wanted->changed_inodes,
			      CKPT_A_PAD) ||
	    (share >= 0 && nla_put_u32(msg, CKPT_A_MEMORY_SHARE, share)))
		return -EMSGSIZE;
	return 0;
}

static int put_group(struct sk_buff *msg, struct ckpt_group *group)
{
	const struct ckpt_epoch *epoch = &group->epoch;
	char *path = kmalloc(PATH_MAX, GFP_KERNEL);
	int err = -EMSGSIZE;

	lockdep_assert_held(&group->lock);
	if (!path)
		return -ENOMEM;
	if (ckpt_group_path(group, path, PATH_MAX) < 0)
		path[0] = '\0';
	if (nla_put_string(msg, CKPT_A_GROUP_NAME, group->name) ||
	    nla_put_string(msg, CKPT_A_GROUP_CGROUP, path) ||
	    nla_put_u64_64bit(msg, CKPT_A_GROUP_GENERATION, group->generation, CKPT_A_PAD) ||
	    nla_put_u32(msg, CKPT_A_GROUP_STATE, ckpt_group_state(group)) ||
	    nla_put_u32(msg, CKPT_A_GROUP_TASKS, ckpt_group_tasks(group)) ||
	    put_roots(msg, group) ||
	    nla_put_u64_64bit(msg, CKPT_A_LOAD_COOKIE, ckpt_load_cookie(), CKPT_A_PAD) ||
	    nla_put_u32(msg, CKPT_A_FEATURES, ckpt_features()) ||
	    nla_put_u64_64bit(msg, CKPT_A_EPOCH, epoch->number, CKPT_A_PAD) ||
	    nla_put_u32(msg, CKPT_A_ROUND, epoch->round) ||
	    nla_put(msg, CKPT_A_CHECKPOINT_ID, CKPT_ID_LEN, epoch->id) ||
	    nla_put_u64_64bit(msg, CKPT_A_DIRTY_PAGES, epoch->dirty_pages, CKPT_A_PAD) ||
	    nla_put_u64_64bit(msg, CKPT_A_RESIDENT_PAGES, epoch->resident_pages, CKPT_A_PAD) ||
	    nla_put_u64_64bit(msg, CKPT_A_CHANGED_INODES, ckpt_files_changed(group->files),
			      CKPT_A_PAD) ||
	    nla_put_u64_64bit(msg, CKPT_A_TAKEN, epoch->taken_pages, CKPT_A_PAD) ||
	    nla_put_u64_64bit(msg, CKPT_A_LOST, ckpt_files_lost(group->files), CKPT_A_PAD) ||
	    put_events(msg, group))
		goto out;
	err = 0;
out:
	kfree(path);
	return err;
}

/**
 * ckpt_netlink_group_get - reply what a group is
 * @skb: the request
 * @info: its attributes
 *
 * Context: sleeps.
 * Return: 0 or a negative errno.
 */
int ckpt_netlink_group_get(struct sk_buff *skb, struct genl_info *info)
{
	struct ckpt_group *group = ckpt_netlink_lock(skb, info);
	struct sk_buff *msg;
	void *head;
	int err;

	if (IS_ERR(group))
		return PTR_ERR(group);
	msg = nlmsg_new(group_size(group), GFP_KERNEL);
	err = -ENOMEM;
	if (!msg)
		goto unlock;
	head = genlmsg_put_reply(msg, info, &ckpt_family, 0, CKPT_CMD_GROUP_GET);
	err = head ? put_group(msg, group) : -EMSGSIZE;
	if (err)
		goto free;
	genlmsg_end(msg, head);
	ckpt_netlink_unlock(group);
	return genlmsg_reply(msg, info);

free:
	nlmsg_free(msg);
unlock:
	ckpt_netlink_unlock(group);
	return err;
}

/* Return: 0, -EMSGSIZE when it does not fit, or another negative errno. */
static int tell_group(struct sk_buff *skb, struct netlink_callback *cb, struct ckpt_group *group)
{
	void *head;
	int err;

	lockdep_assert_held(&group->lock);
	/* A message that fits into no buffer gets one of its own. */
	if (!skb->len && skb_tailroom(skb) < group_size(group)) {
		err = pskb_expand_head(skb, 0, group_size(group), GFP_KERNEL);
		if (err)
			return err;
	}
	head = ckpt_netlink_put(skb, cb, CKPT_CMD_GROUP_GET);
	if (!head)
		return -EMSGSIZE;
	err = put_group(skb, group);
	if (err)
		genlmsg_cancel(skb, head);
	else
		genlmsg_end(skb, head);
	return err;
}

/**
 * ckpt_netlink_group_dump - tell of every group
 * @skb: where it goes
 * @cb: the dump; its context is the generation of the last group told
 *
 * Return: bytes, 0 at the end, or a negative errno.
 */
int ckpt_netlink_group_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	u64 *after = (u64 *)cb->ctx;
	struct ckpt_group *group;
	int err = 0;

	if (!ckpt_netlink_allowed(cb->skb, cb->extack))
		return -EPERM;
	if (ckpt_dump_attrs(cb)[CKPT_A_GROUP_NAME]) {
		NL_SET_ERR_MSG(cb->extack, "group-get: a dump is of all groups and names none");
		return -EINVAL;
	}
	while (!err && (group = ckpt_group_next(*after))) {
		mutex_lock(&group->lock);
		/* One that was just removed is passed over. */
		if (!group->dead)
			err = tell_group(skb, cb, group);
		mutex_unlock(&group->lock);
		if (!err)
			*after = group->generation;
		ckpt_group_put(group);
	}
	return skb->len ? skb->len : err;
}

/**
 * ckpt_netlink_root - add or remove a root
 * @skb: the request
 * @info: its attributes
 *
 * Context: sleeps.
 * Return: 0 or a negative errno.
 */
int ckpt_netlink_root(struct sk_buff *skb, struct genl_info *info)
{
	struct ckpt_group *group = ckpt_netlink_lock(skb, info);
	const char *path;
	int err = -EINVAL;

	if (IS_ERR(group))
		return PTR_ERR(group);
	if (!info->attrs[CKPT_A_ROOT_PATH]) {
		NL_SET_ERR_MSG(info->extack, "root: the request names no path");
		goto unlock;
	}
	path = nla_data(info->attrs[CKPT_A_ROOT_PATH]);
	if (info->genlhdr->cmd == CKPT_CMD_ROOT_ADD)
		err = ckpt_files_root_add(group->files, path, info->extack);
	else
		err = ckpt_files_root_del(group->files, path, info->extack);
unlock:
	ckpt_netlink_unlock(group);
	return err;
}
