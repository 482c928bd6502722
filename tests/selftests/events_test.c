// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * events_test.c: listeners are told of losses, once, and of cgroups that are removed
 */
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/netlink.h>

#include "lib/changes.h"
#include "lib/client.h"
#include "lib/events.h"
#include "lib/world.h"

#define INODES_MAX "/sys/module/ckpt/parameters/inodes_max"
#define MAX 64

static int fd;

static void want(const char *group, uint32_t what, const char *why)
{
	bool lost = what == CKPT_EVENT_LOST;

	events_want(fd, group, what, lost, lost ? UINT64_MAX : 0, why);
}

static void want_none(const char *why)
{
	events_want_none(fd, why);
}

static void files(const char *prefix, int nr)
{
	char path[64];
	int i;

	for (i = 0; i < nr; i++) {
		snprintf(path, sizeof(path), "/tmp/events/%s%d", prefix, i);
		append(path, "x");
	}
}

/* More inodes than the set may hold. */
static void test_bound(void)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	char old[32], max[32];
	struct changes c;

	snprintf(max, sizeof(max), "%d", MAX);
	if (get(INODES_MAX, old, sizeof(old)) < 0 || put(INODES_MAX, max))
		die("set the bound");
	changes_open(&c, "events");
	put(INODES_MAX, old);
	changes_root(&c, "/tmp/events");
	files("a", MAX / 4);
	want_none("within the bound nothing is told");
	files("b", MAX);
	want("events", CKPT_EVENT_LOST, "a loss is told");
	files("c", MAX);
	want_none("once");
	changes_take(&c);
	check(c.round.lost > MAX, "the round counts every one (%lu)", c.round.lost);
	changes_abort(&c);
	want_none("an abort forgets nothing, so nothing is new");
	changes_take(&c);
	changes_commit(&c);
	want_none("a commit of all that was lost tells nothing");

	changes_take(&c);
	if (ckpt_nl_root_del(c.nl, c.group, "/tmp/events", &err))
		die("%s", err.text);
	want("events", CKPT_EVENT_LOST, "the next loss is told again");
	changes_commit(&c);
	want("events", CKPT_EVENT_LOST, "and after a commit of what was taken before it");
	changes_take(&c);
	check(c.round.lost == 1, "it is still to be counted (%lu)", c.round.lost);
	changes_commit(&c);
	want_none("and then no more");
	changes_close(&c);
}

static void test_unmount(void)
{
	struct changes c;

	if (mount("none", "/tmp/events", "tmpfs", 0, NULL))
		die("mount");
	changes_open(&c, "events");
	changes_root(&c, "/tmp/events");
	changes_settle(&c);
	want_none("a root that is there is no loss");
	if (umount("/tmp/events"))
		die("umount");
	want("events", CKPT_EVENT_LOST, "the end of a root's file system is told");
	changes_close(&c);

	changes_open(&c, "events");
	if (system("mkdir /tmp/events/root"))
		die("mkdir");
	changes_root(&c, "/tmp/events/root");
	changes_settle(&c);
	if (system("rmdir /tmp/events/root"))
		die("rmdir");
	changes_take(&c);
	want("events", CKPT_EVENT_LOST, "a root that a take does not find is told");
	changes_commit(&c);
	want("events", CKPT_EVENT_LOST, "and after each commit while it is not there");
	changes_close(&c);
}

static void test_gone(void)
{
	struct client c;
	struct round r;

	cgroup_make("events");
	cgroup_make("events/below");
	cgroup_make("events-not");
	if (client_open(&c) || client_group_new(&c, "gone", "/events/below") ||
	    client_group_new(&c, "stays", "/events-not"))
		die("tag: %s", c.text);
	if (client_begin(&c, "gone", &r))
		die("begin: %s", c.text);
	cgroup_make("events/other");
	cgroup_gone("events/other");
	want_none("a cgroup of no group is nobody's business");
	check(!cgroup_gone("events/below"), "a cgroup is removed under its open epoch");
	want("gone", CKPT_EVENT_GROUP_GONE, "its group is told to be gone");
	cgroup_gone("events");
	want_none("once, and no other group");
	check(!client_group_del(&c, "gone"), "it can be removed");
	client_group_del(&c, "stays");
	cgroup_gone("events-not");
	want_none("a group that was removed before its cgroup tells nothing");
	client_close(&c);
}

/* Return: what joining gives without rights. */
static int join_without_rights(void)
{
	int group, status;
	struct nl_sock *sk;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		if (setgroups(0, NULL) || setgid(65534) || setuid(65534))
			_exit(1);
		sk = nl_socket_alloc();
		if (!sk || genl_connect(sk) < 0)
			_exit(2);
		group = genl_ctrl_resolve_grp(sk, CKPT_GENL_NAME, CKPT_MCGRP_EVENTS);
		if (group < 0)
			_exit(3);
		_exit(nl_socket_add_membership(sk, group) < 0 ? 10 : 0);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int main(void)
{
	int got;

	if (system("rm -rf /tmp/events && mkdir /tmp/events"))
		die("folders");
	fd = events_listen();
	test_bound();
	test_unmount();
	test_gone();
	got = join_without_rights();
	check(got == 10 || got == 3, "without rights nobody listens (%d)", got);
	return finish();
}
