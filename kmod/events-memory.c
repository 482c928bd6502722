// SPDX-License-Identifier: GPL-2.0
/*
 * Events of memory that nears its limit
 *
 * The kernel calls nobody when a cgroup's memory passes a share of memory.max,
 * so while a threshold is set the module looks once a second: two numbers per
 * cgroup on the way up to the limit.  A rise and fall between two looks is not
 * seen.
 */
#include <linux/cgroup.h>
#include <linux/jiffies.h>
#include <linux/memcontrol.h>

#include "events.h"
#include "group.h"
#include "netlink.h"

/**
 * ckpt_memory_share - how much of its limit a group's memory is
 * @group: the group
 *
 * The limit is memory.max of the group's cgroup or the nearest one above it that
 * has one, and the memory is all that is charged to the cgroup with that limit.
 *
 * Return: permille, up to CKPT_SHARE_MAX; -ENODATA where there is no limit.
 */
int ckpt_memory_share(const struct ckpt_group *group)
{
	int share = -ENODATA;
#ifdef CONFIG_MEMCG
	struct cgroup_subsys_state *css;
	struct cgroup *cgroup;
	struct mem_cgroup *memcg;
	unsigned long max;

	rcu_read_lock();
	for (cgroup = group->cgroup; cgroup && share < 0; cgroup = cgroup_parent(cgroup)) {
		/* The controller may be on further up only. */
		css = rcu_dereference(cgroup->subsys[memory_cgrp_id]);
		if (!css)
			continue;
		memcg = mem_cgroup_from_css(css);
		max = READ_ONCE(memcg->memory.max);
		if (max < PAGE_COUNTER_MAX)
			share = min_t(u64, CKPT_SHARE_MAX,
				      div64_u64((u64)page_counter_read(&memcg->memory) *
						CKPT_SHARE_MAX, max ?: 1));
	}
	rcu_read_unlock();
#endif
	return share;
}

/**
 * ckpt_events_memory_beat - look at the memory, and again in a second
 * @work: that of the group
 *
 * Told once, and again after the share was seen below the threshold, or for
 * another threshold.
 */
void ckpt_events_memory_beat(struct work_struct *work)
{
	struct ckpt_events *events = container_of(to_delayed_work(work), struct ckpt_events, beat);
	struct ckpt_group *group = container_of(events, struct ckpt_group, events);
	u32 min = READ_ONCE(events->wanted.memory_share);
	int share = ckpt_memory_share(group);
	bool over = min && share >= (int)min;

	if (over && events->told_memory != min)
		ckpt_netlink_event(group, CKPT_EVENT_MEMORY_SHARE, share);
	events->told_memory = over ? min : 0;
	if (min)
		ckpt_events_queue(&events->beat, HZ);
}
