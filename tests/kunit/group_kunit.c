// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit suite of kmod/group.c: the registry, what it refuses, and who holds what
 *
 * needs: dirty.c ranges.c
 *
 * The file is included here with fakes for all that it calls: cgroups that are made here, and
 * parts of a group that fail when they are told to and count who comes and goes.
 */
#include <kunit/test.h>
#include <linux/cgroup.h>
#include <linux/slab.h>

/* other suites have fakes of these */
#define ckpt_group_state real_group_state
#include "events.h"
#include "filelog.h"
#include "files.h"
#include "group.h"
#include "limits.h"
#include "sysfs.h"

#define CGROUPS 4	/* the root of all, /a, /a/b and /c */

struct fake_cgroup {
	struct cgroup cgroup;
	struct cgroup *room[3];	/* for its ancestors */
};

static struct fake {
	struct fake_cgroup cgroup[CGROUPS];
	int sysfs_err;
	bool no_files;
	int refs;		/* of cgroups */
	int alive, files, shown;	/* groups in memory, file sides, folders */
	unsigned int epochs, events;
	const char *order[8];
	unsigned int nr_order;
} *fake;

static struct cgroup *cgroup_at(int i)
{
	return &fake->cgroup[i].cgroup;
}

static struct cgroup *fake_get_from_path(const char *path)
{
	static const char * const paths[CGROUPS] = { "/", "/a", "/a/b", "/c" };
	int i;

	for (i = 0; i < CGROUPS; i++) {
		if (strcmp(path, paths[i]))
			continue;
		fake->refs++;
		return cgroup_at(i);
	}
	return ERR_PTR(-ENOENT);
}

static void fake_get(struct cgroup *cgroup)
{
	fake->refs++;
}

static void fake_put(struct cgroup *cgroup)
{
	fake->refs--;
}

static void note(const char *what)
{
	if (fake->nr_order < ARRAY_SIZE(fake->order))
		fake->order[fake->nr_order++] = what;
}

static void release(struct kobject *kobj)
{
	struct ckpt_group *group = container_of(kobj, struct ckpt_group, kobj);

	fake_put(group->cgroup);
	fake->alive--;
	kfree(group);
}

static const struct kobj_type fake_type = { .release = release };

static void fake_sysfs_init(struct ckpt_group *group)
{
	fake->alive++;
	kobject_init(&group->kobj, (struct kobj_type *)&fake_type);
}

static int fake_sysfs_add(struct ckpt_group *group)
{
	if (!fake->sysfs_err)
		fake->shown++;
	return fake->sysfs_err;
}

static void fake_sysfs_del(struct ckpt_group *group)
{
	note("folder");
	fake->shown--;
}

static struct ckpt_files *fake_files_create(struct ckpt_group *group)
{
	if (fake->no_files)
		return NULL;
	fake->files++;
	return (struct ckpt_files *)fake;
}

static void fake_files_destroy(struct ckpt_files *files)
{
	note("files");
	fake->files--;
}

static void fake_epoch_destroy(struct ckpt_group *group)
{
	lockdep_assert_held(&group->lock);
	note(group->dead ? "epoch" : "epoch of a living group");
}

static void fake_events_add(struct ckpt_group *group)
{
	fake->events++;
}

static void fake_events_del(struct ckpt_group *group)
{
	note(group->files ? "events before files" : "events");
	fake->events--;
}

#define cgroup_get_from_path fake_get_from_path
#define cgroup_get fake_get
#define cgroup_put fake_put
#define ckpt_sysfs_group_init fake_sysfs_init
#define ckpt_sysfs_group_add fake_sysfs_add
#define ckpt_sysfs_group_del fake_sysfs_del
#define ckpt_files_create fake_files_create
#define ckpt_files_destroy fake_files_destroy
#define ckpt_epoch_init(epoch) (fake->epochs++)
#define ckpt_epoch_destroy fake_epoch_destroy
#define ckpt_events_group_init(group)
#define ckpt_events_group_add fake_events_add
#define ckpt_events_group_del fake_events_del
#define ckpt_events_features() 0
#define ckpt_filelog_able() true
#include "group.c"

static void make_cgroup(int i, int parent)
{
	struct cgroup *cgroup = cgroup_at(i), *above = cgroup_at(parent);

	cgroup->self.flags = CSS_NO_REF | CSS_ONLINE;
	if (i) {
		cgroup->self.parent = &above->self;
		cgroup->level = above->level + 1;
		memcpy(cgroup->ancestors, above->ancestors,
		       (above->level + 1) * sizeof(above->ancestors[0]));
	}
	cgroup->ancestors[cgroup->level] = cgroup;
}

static int set_up(struct kunit *test)
{
	fake = kunit_kzalloc(test, sizeof(*fake), GFP_KERNEL);
	if (!fake)
		return -ENOMEM;
	make_cgroup(0, 0);
	make_cgroup(1, 0);
	make_cgroup(2, 1);
	make_cgroup(3, 0);
	return ckpt_group_module_init();
}

static void tear_down(struct kunit *test)
{
	ckpt_group_module_exit();
}

static void expect_nothing_left(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, fake->refs, 0);
	KUNIT_EXPECT_EQ(test, fake->alive, 0);
	KUNIT_EXPECT_EQ(test, fake->files, 0);
	KUNIT_EXPECT_EQ(test, fake->shown, 0);
	KUNIT_EXPECT_EQ(test, fake->events, 0);
	KUNIT_EXPECT_EQ(test, nr_groups, 0);
}

static void names(struct kunit *test)
{
	static const char * const bad[] = { "", ".", "..", "a/b", "a b", "a\n", "\xc3\xa9", "-+" };
	char name[CKPT_NAME_MAX + 2] = {};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		KUNIT_EXPECT_EQ_MSG(test, ckpt_group_new(bad[i], "/a", NULL), -EINVAL, "%s",
				    bad[i]);
	memset(name, 'x', CKPT_NAME_MAX + 1);
	KUNIT_EXPECT_EQ(test, ckpt_group_new(name, "/a", NULL), -EINVAL);
	name[CKPT_NAME_MAX] = '\0';
	KUNIT_EXPECT_EQ(test, ckpt_group_new(name, "/a", NULL), 0);
	KUNIT_EXPECT_EQ(test, ckpt_group_new(".A-z_9", "/c", NULL), 0);
	ckpt_group_module_exit();
	expect_nothing_left(test);
}

static void paths_are_refused(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, ckpt_group_new("g", "a", NULL), -EINVAL);
	KUNIT_EXPECT_EQ(test, ckpt_group_new("g", "", NULL), -EINVAL);
	KUNIT_EXPECT_EQ(test, ckpt_group_new("g", "/nowhere", NULL), -ENOENT);
	KUNIT_EXPECT_EQ(test, ckpt_group_new("g", "/", NULL), -EINVAL);
	expect_nothing_left(test);
}

/* Two groups over one cgroup would clear each other's bits. */
static void overlaps_are_refused(struct kunit *test)
{
	KUNIT_ASSERT_EQ(test, ckpt_group_new("upper", "/a", NULL), 0);
	KUNIT_EXPECT_EQ(test, ckpt_group_new("same", "/a", NULL), -EBUSY);
	KUNIT_EXPECT_EQ(test, ckpt_group_new("below", "/a/b", NULL), -EBUSY);
	KUNIT_EXPECT_EQ(test, ckpt_group_new("beside", "/c", NULL), 0);
	KUNIT_ASSERT_EQ(test, ckpt_group_del("upper", NULL), 0);
	KUNIT_EXPECT_EQ(test, ckpt_group_new("below", "/a/b", NULL), 0);
	KUNIT_EXPECT_EQ(test, ckpt_group_new("upper", "/a", NULL), -EBUSY);
	KUNIT_EXPECT_EQ(test, fake->alive, 2);
	KUNIT_EXPECT_EQ(test, fake->refs, 2);
}

static void names_are_unique(struct kunit *test)
{
	KUNIT_ASSERT_EQ(test, ckpt_group_new("g", "/a", NULL), 0);
	KUNIT_EXPECT_EQ(test, ckpt_group_new("g", "/c", NULL), -EEXIST);
	KUNIT_EXPECT_EQ(test, fake->refs, 1);
	KUNIT_EXPECT_EQ(test, ckpt_group_del("other", NULL), -ENOENT);
	KUNIT_EXPECT_EQ(test, ckpt_group_del("g", NULL), 0);
	KUNIT_EXPECT_EQ(test, ckpt_group_del("g", NULL), -ENOENT);
	expect_nothing_left(test);
	KUNIT_EXPECT_EQ(test, ckpt_group_new("g", "/c", NULL), 0);
}

/* Whichever part of a new group fails, none of it stays and the name is free. */
static void parts_that_fail(struct kunit *test)
{
	current->make_it_fail = 1;
	KUNIT_EXPECT_EQ(test, ckpt_group_new("g", "/a", NULL), -ENOMEM);
	current->make_it_fail = 0;
	expect_nothing_left(test);
	fake->no_files = true;
	KUNIT_EXPECT_EQ(test, ckpt_group_new("g", "/a", NULL), -ENOMEM);
	expect_nothing_left(test);
	fake->no_files = false;
	fake->sysfs_err = -EEXIST;
	KUNIT_EXPECT_EQ(test, ckpt_group_new("g", "/a", NULL), -EEXIST);
	expect_nothing_left(test);
	fake->sysfs_err = 0;
	KUNIT_EXPECT_EQ(test, ckpt_group_new("g", "/a", NULL), 0);
}

/* Who holds a group finds it dead, and its memory there. */
static void deleted_while_held(struct kunit *test)
{
	struct ckpt_group *group;

	KUNIT_ASSERT_EQ(test, ckpt_group_new("g", "/a", NULL), 0);
	group = ckpt_group_find("g");
	KUNIT_ASSERT_NOT_NULL(test, group);
	KUNIT_EXPECT_EQ(test, ckpt_group_state(group), CKPT_GROUP_IDLE);
	group->epoch.open = true;
	KUNIT_EXPECT_EQ(test, ckpt_group_state(group), CKPT_GROUP_TAKING);
	fake->cgroup[1].cgroup.self.flags &= ~CSS_ONLINE;
	KUNIT_EXPECT_EQ(test, ckpt_group_state(group), CKPT_GROUP_GONE);
	KUNIT_EXPECT_EQ(test, ckpt_group_del("g", NULL), 0);
	KUNIT_EXPECT_TRUE(test, group->dead);
	KUNIT_EXPECT_NULL(test, group->files);
	KUNIT_EXPECT_NULL(test, ckpt_group_find("g"));
	KUNIT_EXPECT_EQ(test, fake->alive, 1);
	KUNIT_EXPECT_EQ(test, fake->refs, 1);
	ckpt_group_put(group);
	expect_nothing_left(test);
}

/* Readers of its folder first, events of files before what they may look at is gone. */
static void goes_in_order(struct kunit *test)
{
	static const char * const want[] = { "folder", "epoch", "files", "events" };
	size_t i;

	KUNIT_ASSERT_EQ(test, ckpt_group_new("g", "/a", NULL), 0);
	KUNIT_ASSERT_EQ(test, ckpt_group_del("g", NULL), 0);
	KUNIT_ASSERT_EQ(test, fake->nr_order, ARRAY_SIZE(want));
	for (i = 0; i < ARRAY_SIZE(want); i++)
		KUNIT_EXPECT_STREQ(test, fake->order[i], want[i]);
}

/* The compiler thinks of an empty name where a macro compares one. */
static noinline bool is_called(const struct ckpt_group *group, const char *name)
{
	return !strcmp(group->name, name);
}

static void delete_first(struct ckpt_group *group, void *data)
{
	unsigned int *seen = data;

	if (!(*seen)++)
		ckpt_group_del(group->name, NULL);
}

static void stepping_through(struct kunit *test)
{
	struct ckpt_group *group;
	unsigned int seen = 0;
	u64 first;

	KUNIT_EXPECT_NULL(test, ckpt_group_next(0));
	KUNIT_ASSERT_EQ(test, ckpt_group_new("one", "/a", NULL), 0);
	KUNIT_ASSERT_EQ(test, ckpt_group_new("two", "/c", NULL), 0);
	group = ckpt_group_next(0);
	KUNIT_ASSERT_NOT_NULL(test, group);
	KUNIT_EXPECT_TRUE(test, is_called(group, "one"));
	first = group->generation;
	ckpt_group_put(group);
	group = ckpt_group_next(first);
	KUNIT_ASSERT_NOT_NULL(test, group);
	KUNIT_EXPECT_TRUE(test, is_called(group, "two"));
	KUNIT_EXPECT_NULL(test, ckpt_group_next(group->generation));
	ckpt_group_put(group);
	/* one that goes meanwhile ends nothing */
	ckpt_group_each(delete_first, &seen);
	KUNIT_EXPECT_EQ(test, seen, 2);
	/* and a number is never used again */
	KUNIT_ASSERT_EQ(test, ckpt_group_new("one", "/a", NULL), 0);
	group = ckpt_group_find("one");
	KUNIT_ASSERT_NOT_NULL(test, group);
	KUNIT_EXPECT_GT(test, group->generation, first + 1);
	ckpt_group_put(group);
}

static void too_many(struct kunit *test)
{
	unsigned int before = nr_groups;

	nr_groups = CKPT_GROUPS_MAX;
	KUNIT_EXPECT_EQ(test, ckpt_group_new("g", "/a", NULL), -ENOSPC);
	nr_groups = before;
	expect_nothing_left(test);
}

static void the_load_is_told(struct kunit *test)
{
	u64 cookie = ckpt_load_cookie();

	KUNIT_EXPECT_NE(test, cookie, 0);
	KUNIT_EXPECT_EQ(test, ckpt_features(),
			CKPT_FEATURE_PAGES | CKPT_FEATURE_INODES | CKPT_FEATURE_RANGES);
	ckpt_group_module_init();
	KUNIT_EXPECT_NE(test, ckpt_load_cookie(), cookie);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(names),
	KUNIT_CASE(paths_are_refused),
	KUNIT_CASE(overlaps_are_refused),
	KUNIT_CASE(names_are_unique),
	KUNIT_CASE(parts_that_fail),
	KUNIT_CASE(deleted_while_held),
	KUNIT_CASE(goes_in_order),
	KUNIT_CASE(stepping_through),
	KUNIT_CASE(too_many),
	KUNIT_CASE(the_load_is_told),
	{}
};

static struct kunit_suite ckpt_group_suite = {
	.name = "ckpt_group",
	.init = set_up,
	.exit = tear_down,
	.test_cases = cases,
};

kunit_test_suite(ckpt_group_suite);
MODULE_LICENSE("GPL");
