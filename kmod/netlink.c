// SPDX-License-Identifier: GPL-2.0
/*
 * The generic netlink door: the family, requests on epochs, events
 *
 * Requests on groups and roots are in netlink-group.c, the two dumps of a round
 * in netlink-dump.c, what a request may hold in netlink-policy.c.  The family runs
 * its operations in parallel: a walk may take long and must not hold up other
 * users of generic netlink; what it needs is under the group's mutex.
 */
#include <linux/capability.h>
#include <linux/module.h>
#include <linux/netlink.h>
#include <net/genetlink.h>
#include <net/sock.h>

#include "events.h"
#include "files.h"
#include "group.h"
#include "netlink.h"
#include "netlink-parts.h"

/**
 * ckpt_netlink_allowed - may the sender use this family
 * @skb: its message
 * @extack: where the sentence of a refusal goes
 *
 * Asks for the capability in the initial user namespace, of the sender now
 * and of whoever opened the socket.
 *
 * Return: true if it may.
 */
bool ckpt_netlink_allowed(const struct sk_buff *skb, struct netlink_ext_ack *extack)
{
	if (netlink_capable(skb, CAP_CHECKPOINT_RESTORE) || netlink_capable(skb, CAP_SYS_ADMIN))
		return true;
	NL_SET_ERR_MSG(extack, "ckpt: needs CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN");
	return false;
}

/**
 * ckpt_netlink_group - the group a request names
 * @attrs: attributes of the request
 * @extack: where the sentence of a refusal goes
 *
 * Return: the group with a reference for the caller, or an ERR_PTR.
 */
struct ckpt_group *ckpt_netlink_group(struct nlattr **attrs, struct netlink_ext_ack *extack)
{
	struct ckpt_group *group;

	if (!attrs || !attrs[CKPT_A_GROUP_NAME]) {
		NL_SET_ERR_MSG(extack, "ckpt: the request names no group");
		return ERR_PTR(-EINVAL);
	}
	group = ckpt_group_find(nla_data(attrs[CKPT_A_GROUP_NAME]));
	if (!group) {
		NL_SET_ERR_MSG_ATTR(extack, attrs[CKPT_A_GROUP_NAME],
				    "ckpt: there is no group of this name");
		return ERR_PTR(-ENOENT);
	}
	return group;
}

/**
 * ckpt_netlink_lock - begin a request on one group
 * @skb: the request
 * @info: its attributes
 *
 * Context: sleeps.
 * Return: the group, locked and still registered, with a reference, to be given
 * back with ckpt_netlink_unlock(); or an ERR_PTR.
 */
struct ckpt_group *ckpt_netlink_lock(struct sk_buff *skb, struct genl_info *info)
{
	struct ckpt_group *group;

	if (!ckpt_netlink_allowed(skb, info->extack))
		return ERR_PTR(-EPERM);
	group = ckpt_netlink_group(info->attrs, info->extack);
	if (IS_ERR(group))
		return group;
	mutex_lock(&group->lock);
	if (group->dead) {
		mutex_unlock(&group->lock);
		ckpt_group_put(group);
		NL_SET_ERR_MSG(info->extack, "ckpt: the group was just removed");
		return ERR_PTR(-ENOENT);
	}
	return group;
}

/**
 * ckpt_netlink_unlock - end it
 * @group: the group
 */
void ckpt_netlink_unlock(struct ckpt_group *group)
{
	mutex_unlock(&group->lock);
	ckpt_group_put(group);
}

/* --- epochs --- */

static int reply_round(struct genl_info *info, struct ckpt_group *group)
{
	const struct ckpt_epoch *epoch = &group->epoch;
	struct sk_buff *msg = nlmsg_new(NLMSG_GOODSIZE, GFP_KERNEL);
	void *head;

	lockdep_assert_held(&group->lock);
	if (!msg)
		return -ENOMEM;
	head = genlmsg_put_reply(msg, info, &ckpt_family, 0, info->genlhdr->cmd);
	if (!head ||
	    nla_put_u64_64bit(msg, CKPT_A_EPOCH, epoch->number, CKPT_A_PAD) ||
	    nla_put_u32(msg, CKPT_A_ROUND, epoch->round) ||
	    nla_put(msg, CKPT_A_CHECKPOINT_ID, CKPT_ID_LEN, epoch->id) ||
	    nla_put_u64_64bit(msg, CKPT_A_LOAD_COOKIE, ckpt_load_cookie(), CKPT_A_PAD) ||
	    nla_put_u64_64bit(msg, CKPT_A_GROUP_GENERATION, group->generation, CKPT_A_PAD) ||
	    nla_put_u64_64bit(msg, CKPT_A_DIRTY_PAGES, epoch->dirty_pages, CKPT_A_PAD) ||
	    nla_put_u64_64bit(msg, CKPT_A_RESIDENT_PAGES, epoch->resident_pages, CKPT_A_PAD) ||
	    nla_put_u64_64bit(msg, CKPT_A_TAKEN_INODES, ckpt_files_round_count(group->files),
			      CKPT_A_PAD) ||
	    nla_put_u64_64bit(msg, CKPT_A_LOST, ckpt_files_lost(group->files), CKPT_A_PAD)) {
		nlmsg_free(msg);
		return -EMSGSIZE;
	}
	genlmsg_end(msg, head);
	return genlmsg_reply(msg, info);
}

/* A round that its owner is not told of is told again; listeners hear of one that he is. */
static int tell_round(struct genl_info *info, struct ckpt_group *group)
{
	int err = reply_round(info, group);

	if (err)
		ckpt_epoch_untold(group);
	else
		ckpt_events_round(group);
	return err;
}

static int epoch_begin_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct ckpt_group *group = ckpt_netlink_lock(skb, info);
	int err;

	if (IS_ERR(group))
		return PTR_ERR(group);
	err = ckpt_epoch_begin(group, genl_info_net(info), info->snd_portid, info->extack);
	if (!err)
		err = tell_round(info, group);
	ckpt_netlink_unlock(group);
	return err;
}

static int epoch_next_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct ckpt_group *group = ckpt_netlink_lock(skb, info);
	u32 flags = 0;
	int err;

	if (IS_ERR(group))
		return PTR_ERR(group);
	if (info->attrs[CKPT_A_EPOCH_FLAGS])
		flags = nla_get_u32(info->attrs[CKPT_A_EPOCH_FLAGS]);
	err = ckpt_epoch_next(group, genl_info_net(info), info->snd_portid, flags, info->extack);
	if (!err)
		err = tell_round(info, group);
	ckpt_netlink_unlock(group);
	return err;
}

static int epoch_end_doit(struct sk_buff *skb, struct genl_info *info)
{
	bool commit = info->genlhdr->cmd == CKPT_CMD_EPOCH_COMMIT;
	struct ckpt_group *group = ckpt_netlink_lock(skb, info);
	struct nlattr **attrs = info->attrs;
	u64 number;
	int err = -EINVAL;

	if (IS_ERR(group))
		return PTR_ERR(group);
	if (!attrs[CKPT_A_EPOCH]) {
		NL_SET_ERR_MSG(info->extack, "epoch: the request names no epoch");
		goto unlock;
	}
	if (commit && !attrs[CKPT_A_CHECKPOINT_ID]) {
		NL_SET_ERR_MSG(info->extack, "epoch-commit: the request holds no checkpoint id");
		goto unlock;
	}
	number = nla_get_u64(attrs[CKPT_A_EPOCH]);
	if (commit)
		err = ckpt_epoch_commit(group, genl_info_net(info), info->snd_portid, number,
					nla_data(attrs[CKPT_A_CHECKPOINT_ID]), info->extack);
	else
		err = ckpt_epoch_abort(group, genl_info_net(info), info->snd_portid, number,
				       info->extack);
unlock:
	ckpt_netlink_unlock(group);
	return err;
}

/* --- owner's socket, events, registration --- */

struct gone_socket {
	const struct net *net;
	u32 portid;
};

static void abort_owned(struct ckpt_group *group, void *data)
{
	const struct gone_socket *gone = data;

	if (!ckpt_epoch_owned(group, gone->net, gone->portid))
		return;
	mutex_lock(&group->lock);
	if (!group->dead)
		ckpt_epoch_owner_gone(group, gone->net, gone->portid);
	mutex_unlock(&group->lock);
}

static int socket_released(struct notifier_block *nb, unsigned long action, void *data)
{
	const struct netlink_notify *notify = data;
	struct gone_socket gone = { .net = notify->net, .portid = notify->portid };

	if (action == NETLINK_URELEASE && notify->protocol == NETLINK_GENERIC && ckpt_epoch_any())
		ckpt_group_each(abort_owned, &gone);
	return NOTIFY_DONE;
}

static struct notifier_block release_notifier = { .notifier_call = socket_released };

enum { EVENTS_GROUP };

/* Events come from work items, before the family is there and after it is gone. */
static DEFINE_MUTEX(events_lock);
static bool events_open;

static const struct genl_multicast_group ckpt_mcgrps[] = {
	[EVENTS_GROUP] = { .name = CKPT_MCGRP_EVENTS, .flags = GENL_MCAST_CAP_SYS_ADMIN },
};

/**
 * ckpt_netlink_event - tell whoever listens
 * @group: the group it is about
 * @event: what happened
 * @value: its value
 *
 * Context: sleeps.  An event that finds no memory is dropped: listeners are
 * told to treat events as hints.
 */
void ckpt_netlink_event(const struct ckpt_group *group, enum ckpt_event event, u64 value)
{
	/* No larger than it must be: a listener's buffer holds the more of them. */
	struct sk_buff *msg = genlmsg_new(nla_total_size(sizeof(group->name)) +
					  nla_total_size(sizeof(u32)) +
					  nla_total_size_64bit(sizeof(u64)), GFP_KERNEL);
	void *head;

	if (!msg)
		return;
	head = genlmsg_put(msg, 0, 0, &ckpt_family, 0, CKPT_CMD_EVENT_NTF);
	if (!head || nla_put_string(msg, CKPT_A_GROUP_NAME, group->name) ||
	    nla_put_u32(msg, CKPT_A_EVENT, event) ||
	    nla_put_u64_64bit(msg, CKPT_A_EVENT_VALUE, value, CKPT_A_PAD)) {
		nlmsg_free(msg);
		return;
	}
	genlmsg_end(msg, head);
	mutex_lock(&events_lock);
	if (events_open)
		genlmsg_multicast_netns(&ckpt_family, &init_net, msg, 0, EVENTS_GROUP, GFP_KERNEL);
	else
		nlmsg_free(msg);
	mutex_unlock(&events_lock);
}

static void open_events(bool open)
{
	mutex_lock(&events_lock);
	events_open = open;
	mutex_unlock(&events_lock);
}

#define OP(_cmd, _policy) \
	.cmd = CKPT_CMD_##_cmd, .policy = ckpt_policy_##_policy, \
	.maxattr = ARRAY_SIZE(ckpt_policy_##_policy) - 1

static const struct genl_ops ckpt_ops[] = {
	{ OP(GROUP_NEW, group_new), .doit = ckpt_netlink_group_new },
	{ OP(GROUP_DEL, group), .doit = ckpt_netlink_group_del },
	{ OP(GROUP_GET, group), .doit = ckpt_netlink_group_get,
	  .dumpit = ckpt_netlink_group_dump },
	{ OP(ROOT_ADD, root), .doit = ckpt_netlink_root },
	{ OP(ROOT_DEL, root), .doit = ckpt_netlink_root },
	{ OP(EPOCH_BEGIN, group), .doit = epoch_begin_doit },
	{ OP(EPOCH_NEXT, epoch_next), .doit = epoch_next_doit },
	{ OP(EPOCH_COMMIT, epoch_commit), .doit = epoch_end_doit },
	{ OP(EPOCH_ABORT, epoch_abort), .doit = epoch_end_doit },
	{ OP(PAGE_DUMP, group), .dumpit = ckpt_page_dump, .done = ckpt_dump_done },
	{ OP(INODE_DUMP, group), .dumpit = ckpt_inode_dump, .done = ckpt_dump_done },
	{ OP(GROUP_SET, group_set), .doit = ckpt_netlink_group_set },
};

struct genl_family ckpt_family __ro_after_init = {
	.name = CKPT_GENL_NAME,
	.version = CKPT_GENL_VERSION,
	.netnsok = true,
	.parallel_ops = true,
	.module = THIS_MODULE,
	.ops = ckpt_ops,
	.n_ops = ARRAY_SIZE(ckpt_ops),
	/* No client is older than the check of flags and reserved fields. */
	.resv_start_op = CKPT_CMD_GROUP_NEW,
	.mcgrps = ckpt_mcgrps,
	.n_mcgrps = ARRAY_SIZE(ckpt_mcgrps),
};

/**
 * ckpt_netlink_put - begin a message of a dump
 * @skb: where it goes
 * @cb: the dump
 * @cmd: its operation
 *
 * Return: the message's head, or NULL when it does not fit.
 */
void *ckpt_netlink_put(struct sk_buff *skb, struct netlink_callback *cb, u8 cmd)
{
	return genlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq, &ckpt_family,
			   NLM_F_MULTI, cmd);
}

/**
 * ckpt_netlink_init - open the door
 *
 * Return: 0 or a negative errno.
 */
int ckpt_netlink_init(void)
{
	int err = netlink_register_notifier(&release_notifier);

	if (err)
		return err;
	err = genl_register_family(&ckpt_family);
	if (err)
		netlink_unregister_notifier(&release_notifier);
	else
		open_events(true);
	return err;
}

/**
 * ckpt_netlink_exit - close it; waits for requests that run
 */
void ckpt_netlink_exit(void)
{
	open_events(false);
	genl_unregister_family(&ckpt_family);
	netlink_unregister_notifier(&release_notifier);
}
