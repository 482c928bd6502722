// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit suite of kmod/events.c: what a kernel that lacks something refuses, and says it lacks
 *
 * needs: dirty.c
 *
 * Every kernel that the tests run on tells of all events, so the file and events-task.c are
 * included here, in a kernel without memory limits and with the tracepoints that a case names.
 */
#include <kunit/test.h>
#include <linux/netlink.h>
#include <linux/tracepoint.h>

/* other suites have fakes of these, or take the real ones in */
#define ckpt_events_committed real_events_committed
#define ckpt_group_state fake_group_state
#include "compat/trace.h"
#include "events.h"
#include "files.h"
#include "group.h"
#include "netlink.h"

static struct fake {
	struct ckpt_group group;
	struct netlink_ext_ack extack;
	struct tracepoint tp[CKPT_EVENTS_TASK];
	int nr_tp;
	int register_err;
	int hooked;	/* probes that are registered */
} *fake;

static void fake_each_tracepoint(void (*visit)(struct tracepoint *tp, void *data), void *data)
{
	int i;

	for (i = 0; i < fake->nr_tp; i++)
		visit(&fake->tp[i], data);
}

static int fake_register(struct tracepoint *tp, void *probe, void *data)
{
	if (!fake->register_err)
		fake->hooked++;
	return fake->register_err;
}

static int fake_unregister(struct tracepoint *tp, void *probe, void *data)
{
	fake->hooked--;
	return 0;
}

void fake_layers_look(struct ckpt_group *group)
{
}

enum ckpt_group_state fake_group_state(const struct ckpt_group *group)
{
	return CKPT_GROUP_IDLE;
}

#define for_each_kernel_tracepoint fake_each_tracepoint
#define tracepoint_probe_register fake_register
#define tracepoint_probe_unregister fake_unregister
#define ckpt_group_get(group)
#define ckpt_group_put(group)
#define ckpt_group_each(visit, data) ((void)(visit))
#define ckpt_files_changed(files) 0ULL
#define ckpt_files_lost(files) 0ULL
#define ckpt_layers_look fake_layers_look
#define ckpt_epoch_dirty_share(epoch) 0U
#define ckpt_netlink_event(group, event, value) ((void)(group))
#define ckpt_events_memory_beat NULL
#define mod_delayed_work(queue, work, delay) ((void)(work))
/* nobody has looked what user-mode Linux has */
#define check_trace_callback_type_mark_victim(probe) ((void)(probe))
#undef CONFIG_MEMCG
#include "events.c"
#include "events-task.c"

static int set_up(struct kunit *test)
{
	int i;

	fake = kunit_kzalloc(test, sizeof(*fake), GFP_KERNEL);
	if (!fake)
		return -ENOMEM;
	for (i = 0; i < CKPT_EVENTS_TASK; i++) {
		hooks[i].tp = NULL;
		hooks[i].users = 0;
	}
	mutex_init(&fake->group.lock);
	mutex_lock(&fake->group.lock);
	fake->group.events.wanted.dirty_share = 7;
	return 0;
}

static void tear_down(struct kunit *test)
{
	mutex_unlock(&fake->group.lock);
	mutex_destroy(&fake->group.lock);
}

/* A kernel that has the first so many of the tracepoints. */
static void kernel_with(int nr)
{
	fake->nr_tp = nr;
	while (nr--)
		fake->tp[nr].name = hooks[nr].name;
	ckpt_events_task_init();
}

static int set(u32 tasks, u32 dirty, u32 memory, u64 changed)
{
	struct ckpt_events_wanted wanted = {
		.tasks = tasks, .dirty_share = dirty, .memory_share = memory,
		.changed_inodes = changed,
	};

	return ckpt_events_set(&fake->group, &wanted, &fake->extack);
}

/* Refused with @err and a sentence that has @part; nothing of it is kept. */
static void expect_refused(struct kunit *test, int got, int err, const char *part)
{
	const struct ckpt_events_wanted *now = &fake->group.events.wanted;

	KUNIT_EXPECT_EQ(test, got, err);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, fake->extack._msg);
	KUNIT_EXPECT_TRUE(test, !!strstr(fake->extack._msg, part));
	KUNIT_EXPECT_EQ(test, now->tasks, 0U);
	KUNIT_EXPECT_EQ(test, now->dirty_share, 7U);
	KUNIT_EXPECT_EQ(test, now->memory_share, 0U);
	KUNIT_EXPECT_EQ(test, now->changed_inodes, 0ULL);
	KUNIT_EXPECT_EQ(test, fake->hooked, 0);
}

static void events_that_no_kernel_tells(struct kunit *test)
{
	u32 event;

	kernel_with(0);
	KUNIT_EXPECT_EQ(test, ckpt_events_features(), 0U);
	for (event = CKPT_EVENTS_EXEC; event <= CKPT_EVENTS_OOM_KILL; event <<= 1)
		expect_refused(test, set(event, 9, 0, 9), -EOPNOTSUPP, "does not tell of such");
}

static void memory_that_is_not_limited(struct kunit *test)
{
	kernel_with(CKPT_EVENTS_TASK);
	KUNIT_EXPECT_EQ(test, ckpt_events_features(),
			CKPT_FEATURE_EXEC | CKPT_FEATURE_EXIT | CKPT_FEATURE_OOM_KILL);
	expect_refused(test, set(CKPT_EVENTS_EXEC, 9, 500, 9), -EOPNOTSUPP,
		       "does not limit memory");
}

/* What was hooked for the events before the one that is refused is let go of. */
static void one_event_of_several(struct kunit *test)
{
	kernel_with(2);
	KUNIT_EXPECT_EQ(test, ckpt_events_features(), CKPT_FEATURE_EXEC | CKPT_FEATURE_EXIT);
	expect_refused(test, set(CKPT_EVENTS_EXEC | CKPT_EVENTS_OOM_KILL, 9, 0, 9), -EOPNOTSUPP,
		       "does not tell of such");
	KUNIT_EXPECT_EQ(test, set(CKPT_EVENTS_EXEC | CKPT_EVENTS_EXIT, 9, 0, 9), 0);
	KUNIT_EXPECT_EQ(test, fake->hooked, 2);
	KUNIT_EXPECT_EQ(test, fake->group.events.wanted.dirty_share, 9U);
	KUNIT_EXPECT_EQ(test, set(CKPT_EVENTS_EXIT, 9, 0, 9), 0);
	KUNIT_EXPECT_EQ(test, fake->hooked, 1);
	KUNIT_EXPECT_EQ(test, set(0, 9, 0, 9), 0);
	KUNIT_EXPECT_EQ(test, fake->hooked, 0);
}

static void tracepoint_that_is_not_had(struct kunit *test)
{
	kernel_with(CKPT_EVENTS_TASK);
	fake->register_err = -ENOMEM;
	expect_refused(test, set(CKPT_EVENTS_EXIT, 9, 0, 9), -ENOMEM, "could not be hooked");
}

static void shares_over_the_whole(struct kunit *test)
{
	kernel_with(0);
	expect_refused(test, set(0, CKPT_SHARE_MAX + 1, 0, 9), -ERANGE, "0 to 1000");
	expect_refused(test, set(0, 9, CKPT_SHARE_MAX + 1, 9), -ERANGE, "0 to 1000");
	/* what needs nothing of the kernel is had everywhere */
	KUNIT_EXPECT_EQ(test, set(0, CKPT_SHARE_MAX, 0, 9), 0);
	KUNIT_EXPECT_EQ(test, fake->group.events.wanted.changed_inodes, 9ULL);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(events_that_no_kernel_tells),
	KUNIT_CASE(memory_that_is_not_limited),
	KUNIT_CASE(one_event_of_several),
	KUNIT_CASE(tracepoint_that_is_not_had),
	KUNIT_CASE(shares_over_the_whole),
	{}
};

static struct kunit_suite suite = {
	.name = "ckpt_events",
	.init = set_up,
	.exit = tear_down,
	.test_cases = cases,
};
kunit_test_suites(&suite);
MODULE_LICENSE("GPL");
