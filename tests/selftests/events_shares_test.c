// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * events_shares_test.c: dirty share, memory share and changed inodes are told over a threshold
 *
 * debug: slow
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/changes.h"
#include "lib/client.h"
#include "lib/events.h"
#include "lib/world.h"

#define SYS "/sys/kernel/ckpt/groups/shares/"
#define PAGES 4000
/* Well over all that the child takes, or it is killed now and then. */
#define LIMIT (96UL << 20)
#define PART (16UL << 20)
/* The module looks once a second. */
#define BEATS 2500

enum { STEP_WRITE, STEP_GROW, STEP_SHRINK, STEP_TOUCH };

static const uint8_t id[CKPT_ID_LEN] = { 3 };
static int fd;

static void step(int n, uint64_t *shared)
{
	static char *mem, *more;
	size_t i;

	(void)shared;
	if (!mem) {
		mem = map_anon(PAGES * PAGE, 0);
		madvise(mem, PAGES * PAGE, MADV_NOHUGEPAGE);
	}
	for (i = 0; n == STEP_TOUCH && i < PAGES; i += 40)
		mem[i * PAGE]++;
	for (i = 0; n == STEP_WRITE && i < PAGES; i++)
		mem[i * PAGE]++;
	if (n == STEP_GROW) {
		more = map_anon(3 * PART, 0);
		memset(more, 1, 3 * PART);
	}
	if (n == STEP_SHRINK)
		munmap(more, 3 * PART);
}

static uint64_t number(const char *path)
{
	char buf[64] = "";

	if (get(path, buf, sizeof(buf)) < 0)
		die("read %s", path);
	return strtoull(buf, NULL, 10);
}

static void want_share(struct client *c, const struct child *child, bool write)
{
	uint64_t share;
	struct round r;

	if (write)
		child_step(child, STEP_WRITE);
	if (client_begin(c, "shares", &r))
		die("begin: %s", c->text);
	share = r.dirty_pages * 1000 / r.resident_pages;
	check(number(SYS "dirty_pages") == r.dirty_pages &&
	      number(SYS "resident_pages") == r.resident_pages &&
	      number(SYS "dirty_share") == share, "sysfs says what the reply says (%lu)", share);
	if (write)
		events_want(fd, "shares", CKPT_EVENT_DIRTY_SHARE, share, share,
			    "a round over the threshold is told with its share");
	else
		events_want_none(fd, "a round under it is not");
	check((share > 500) == write, "what was written is the larger part (%lu)", share);
	if (client_next(c, "shares", 0, &r))
		die("next: %s", c->text);
	events_want_none(fd, "nor is a next round under it");
	if (write) {
		child_step(child, STEP_WRITE);
		if (client_next(c, "shares", 0, &r))
			die("next: %s", c->text);
		events_want(fd, "shares", CKPT_EVENT_DIRTY_SHARE, 500, 1000, "one over it is");
	}
	if (client_commit(c, "shares", r.epoch, id))
		die("commit: %s", c->text);
}

static void one_epoch(struct client *c, const char *group)
{
	struct round r;

	if (client_begin(c, group, &r) || client_commit(c, group, r.epoch, id))
		die("epoch: %s", c->text);
}

/* Two groups, each with a threshold of its own. */
static void test_two(struct client *c)
{
	struct child low, high;

	cgroup_make("shares-too");
	if (client_group_new(c, "too", "/shares-too"))
		die("tag: %s", c->text);
	child_start(&low, "shares", step);
	child_start(&high, "shares-too", step);
	child_step(&low, STEP_WRITE);
	child_step(&high, STEP_WRITE);
	check(!client_set(c, "shares", UNSET, 1, UNSET, UNSET) &&
	      !client_set(c, "too", UNSET, 900, UNSET, UNSET), "thresholds of 0.1 and of 90 %%");
	one_epoch(c, "shares");
	events_want(fd, "shares", CKPT_EVENT_DIRTY_SHARE, 1000, 1000, "all new: over the low one");
	one_epoch(c, "too");
	events_want(fd, "too", CKPT_EVENT_DIRTY_SHARE, 1000, 1000, "and over the high one");
	child_step(&low, STEP_TOUCH);
	child_step(&high, STEP_TOUCH);
	one_epoch(c, "too");
	events_want_none(fd, "some written: under the high one");
	one_epoch(c, "shares");
	events_want(fd, "shares", CKPT_EVENT_DIRTY_SHARE, 1, 500, "and over the low one");
	check(!client_set(c, "shares", UNSET, 0, UNSET, UNSET), "the low one goes");
	child_step(&low, STEP_WRITE);
	child_step(&high, STEP_WRITE);
	one_epoch(c, "shares");
	events_want_none(fd, "nothing is told of its group");
	one_epoch(c, "too");
	events_want(fd, "too", CKPT_EVENT_DIRTY_SHARE, 900, 1000, "of the other one it is");
	child_end(&low);
	child_end(&high);
	client_group_del(c, "too");
	cgroup_gone("shares-too");
}

static void test_dirty(struct client *c)
{
	struct child child;
	struct round r;

	child_start(&child, "shares", step);
	child_step(&child, STEP_WRITE);
	one_epoch(c, "shares");
	events_want_none(fd, "without a threshold nothing is told");
	check(!client_set(c, "shares", UNSET, 500, UNSET, UNSET), "a threshold of 50 %%");
	want_share(c, &child, true);
	want_share(c, &child, false);
	want_share(c, &child, true);
	check(!put(SYS "event_dirty_share", "0"), "none any more");
	child_step(&child, STEP_WRITE);
	if (client_begin(c, "shares", &r) || client_abort(c, "shares", r.epoch))
		die("epoch: %s", c->text);
	events_want_none(fd, "nothing is told");
	child_end(&child);
}

static void test_memory(struct client *c)
{
	struct child child;
	char limit[32], buf[32];
	struct event e;

	get(SYS "memory_share", buf, sizeof(buf));
	check(!strcmp(buf, "max"), "no limit, no share (%s)", buf);
	snprintf(limit, sizeof(limit), "%lu", LIMIT);
	if (put("/sys/fs/cgroup/shares-top/memory.max", limit))
		die("memory.max");
	check(!client_set(c, "shares", UNSET, UNSET, 600, UNSET), "a threshold of 60 %%");
	child_start(&child, "shares-top/shares", step);
	child_step(&child, STEP_WRITE);
	check(!events_next(fd, BEATS, &e), "less memory is not told");
	child_step(&child, STEP_GROW);
	events_want(fd, "shares", CKPT_EVENT_MEMORY_SHARE, 600, 1000,
		    "more is, of the limit of the cgroup above");
	check(!events_next(fd, BEATS, &e), "once");
	check(number(SYS "memory_share") >= 600, "sysfs says so, too");
	check(!put(SYS "event_memory_share", "500"), "another threshold");
	events_want(fd, "shares", CKPT_EVENT_MEMORY_SHARE, 600, 1000, "is told anew");
	child_step(&child, STEP_SHRINK);
	check(!events_next(fd, BEATS, &e), "a fall is not told");
	check(number(SYS "memory_share") < 500, "and can be read");
	child_step(&child, STEP_GROW);
	events_want(fd, "shares", CKPT_EVENT_MEMORY_SHARE, 600, 1000, "the next rise is told");
	child_step(&child, STEP_SHRINK);
	check(!events_next(fd, BEATS, &e), "and no fall");
	check(!put(SYS "event_memory_share", "0"), "no threshold any more");
	child_step(&child, STEP_GROW);
	check(!events_next(fd, BEATS, &e), "and no rise is told");
	child_end(&child);
}

/* Two groups below one limit, each with a threshold of its own. */
static void test_memory_two(struct client *c)
{
	struct child child;
	struct event e;

	cgroup_make("shares-top/too");
	if (client_group_new(c, "too", "/shares-top/too"))
		die("tag: %s", c->text);
	check(!client_set(c, "shares", UNSET, UNSET, 500, UNSET) &&
	      !client_set(c, "too", UNSET, UNSET, 950, UNSET), "thresholds of 50 and of 95 %%");
	child_start(&child, "shares-top/shares", step);
	child_step(&child, STEP_WRITE);
	check(!events_next(fd, BEATS, &e), "less is told of neither");
	child_step(&child, STEP_GROW);
	events_want(fd, "shares", CKPT_EVENT_MEMORY_SHARE, 500, 949, "more, of the low one alone");
	check(!events_next(fd, BEATS, &e), "and once");
	check(!client_set(c, "too", UNSET, UNSET, 550, UNSET), "the high one comes down");
	events_want(fd, "too", CKPT_EVENT_MEMORY_SHARE, 550, 949, "now it is told as well");
	check(!client_set(c, "shares", UNSET, UNSET, 0, UNSET), "the other one goes");
	child_step(&child, STEP_SHRINK);
	check(!events_next(fd, BEATS, &e), "a fall is told of neither");
	child_step(&child, STEP_GROW);
	events_want(fd, "too", CKPT_EVENT_MEMORY_SHARE, 550, 949, "a rise of one of them");
	check(!events_next(fd, BEATS, &e), "and not of the other");
	child_end(&child);
	client_group_del(c, "too");
	cgroup_gone("shares-top/too");
}

static void write_files(int from, int to)
{
	char path[64];

	for (; from < to; from++) {
		snprintf(path, sizeof(path), "/tmp/shares/%d", from);
		append(path, "x");
	}
}

static void want_changed(uint64_t nr, const char *why)
{
	events_want(fd, "files", CKPT_EVENT_CHANGED_INODES, nr, nr, why);
}

static void test_inodes(void)
{
	struct changes c;

	changes_open(&c, "files");
	write_files(0, 12);
	changes_root(&c, "/tmp/shares");
	changes_settle(&c);
	write_files(0, 6);
	events_want_none(fd, "without a threshold nothing is told");
	check(!put("/sys/kernel/ckpt/groups/files/event_changed_inodes", "6"),
	      "a threshold of what there is");
	want_changed(6, "is told at once");
	write_files(0, 12);
	events_want_none(fd, "and only once");
	changes_take(&c);
	events_want_none(fd, "a take tells nothing");
	changes_abort(&c);
	want_changed(12, "an abort brings the changes back, which is told");
	changes_take(&c);
	changes_commit(&c);
	events_want_none(fd, "a commit tells nothing");
	write_files(0, 5);
	write_files(0, 5);
	events_want_none(fd, "nor do fewer inodes, changed twice");
	write_files(5, 6);
	want_changed(6, "the one that makes it enough is told");
	changes_take(&c);
	write_files(0, 6);
	want_changed(6, "and again after a take, while the epoch is open");
	changes_commit(&c);
	want_changed(6, "and after a commit that leaves so many");
	check(!put("/sys/kernel/ckpt/groups/files/event_changed_inodes", "0"), "no threshold");
	changes_settle(&c);
	write_files(0, 12);
	events_want_none(fd, "nothing is told");
	changes_close(&c);
}

/* Two groups with the same root, each with a threshold of its own. */
static void test_inodes_two(void)
{
	struct changes low, high;

	changes_open(&low, "files");
	changes_open(&high, "files-too");
	changes_root(&low, "/tmp/shares");
	changes_root(&high, "/tmp/shares");
	changes_settle(&low);
	changes_settle(&high);
	put("/sys/kernel/ckpt/groups/files/event_changed_inodes", "4");
	put("/sys/kernel/ckpt/groups/files-too/event_changed_inodes", "8");
	write_files(0, 4);
	want_changed(4, "four are told of the group that wants it");
	events_want_none(fd, "and not of the other one");
	write_files(4, 8);
	events_want(fd, "files-too", CKPT_EVENT_CHANGED_INODES, 8, 8, "eight of the other one");
	events_want_none(fd, "and not of the first again");
	changes_take(&low);
	changes_commit(&low);
	write_files(0, 4);
	want_changed(4, "after a take of the one it is told anew of that one");
	events_want_none(fd, "and not of the other");
	changes_close(&low);
	changes_close(&high);
}

int main(void)
{
	struct client c;

	if (system("rm -rf /tmp/shares && mkdir /tmp/shares"))
		die("folders");
	fd = events_listen();
	cgroup_make("shares");
	if (client_open(&c) || client_group_new(&c, "shares", "/shares"))
		die("tag: %s", c.text);
	test_dirty(&c);
	test_two(&c);
	client_group_del(&c, "shares");
	cgroup_gone("shares");

	cgroup_make("shares-top");
	cgroup_make("shares-top/shares");
	put("/sys/fs/cgroup/shares-top/memory.swap.max", "0");
	if (client_group_new(&c, "shares", "/shares-top/shares"))
		die("tag: %s", c.text);
	test_memory(&c);
	test_memory_two(&c);
	test_inodes();
	test_inodes_two();
	client_group_del(&c, "shares");
	client_close(&c);
	cgroup_gone("shares-top/shares");
	cgroup_gone("shares-top");
	return finish();
}
