// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * namespaces_test.c: no operation and no event for whom is not root of the machine; pids are the
 * caller's
 */
#define _GNU_SOURCE
#include <errno.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/netlink.h>

#include "lib/client.h"
#include "lib/events.h"
#include "lib/world.h"

static const struct {
	const char *name;
	int cmd;
	int flags;
} ops[] = {
	{ "group-new", CKPT_CMD_GROUP_NEW, NLM_F_ACK },
	{ "group-del", CKPT_CMD_GROUP_DEL, NLM_F_ACK },
	{ "group-get", CKPT_CMD_GROUP_GET, NLM_F_ACK },
	{ "a dump of group-get", CKPT_CMD_GROUP_GET, NLM_F_DUMP },
	{ "group-set", CKPT_CMD_GROUP_SET, NLM_F_ACK },
	{ "root-add", CKPT_CMD_ROOT_ADD, NLM_F_ACK },
	{ "root-del", CKPT_CMD_ROOT_DEL, NLM_F_ACK },
	{ "epoch-begin", CKPT_CMD_EPOCH_BEGIN, NLM_F_ACK },
	{ "epoch-next", CKPT_CMD_EPOCH_NEXT, NLM_F_ACK },
	{ "epoch-commit", CKPT_CMD_EPOCH_COMMIT, NLM_F_ACK },
	{ "epoch-abort", CKPT_CMD_EPOCH_ABORT, NLM_F_ACK },
	{ "page-dump", CKPT_CMD_PAGE_DUMP, NLM_F_DUMP },
	{ "inode-dump", CKPT_CMD_INODE_DUMP, NLM_F_DUMP },
};

#ifndef SOL_NETLINK
#define SOL_NETLINK 270
#endif

#define OPS (sizeof(ops) / sizeof(ops[0]))

/* Whom the operations are tried by. */
static int be_nobody(void)
{
	return setgroups(0, NULL) || setgid(65534) || setuid(65534);
}

static int be_root_of(int namespaces)
{
	if (unshare(CLONE_NEWUSER | namespaces))
		return -1;
	return put("/proc/self/setgroups", "deny") || put("/proc/self/uid_map", "0 0 1") ||
	       put("/proc/self/gid_map", "0 0 1") || setuid(0);
}

static int be_root_of_users(void)
{
	return be_root_of(0);
}

static int be_root_of_a_net(void)
{
	return be_root_of(CLONE_NEWNET);
}

/* Root of the machine, in a network of its own. */
static int be_elsewhere(void)
{
	return unshare(CLONE_NEWNET);
}

static void refused_to(const char *whom, int (*become)(void))
{
	int got[2], answers[OPS] = { 0 };
	struct client c;
	size_t i;
	pid_t pid;

	if (pipe(got))
		die("pipe");
	fflush(stdout);
	pid = fork();
	if (!pid) {
		if (become())
			_exit(1);
		if (client_open(&c))
			_exit(2);
		for (i = 0; i < OPS; i++)
			answers[i] = client_raw(&c, ops[i].cmd, ops[i].flags, "", 0);
		_exit(write(got[1], answers, sizeof(answers)) != sizeof(answers));
	}
	close(got[1]);
	if (!check(read(got[0], answers, sizeof(answers)) == sizeof(answers), "%s asks", whom))
		memset(answers, 0, sizeof(answers));
	close(got[0]);
	waitpid(pid, NULL, 0);
	for (i = 0; i < OPS; i++)
		check(answers[i] == -EPERM, "%s: no %s", whom, ops[i].name);
}

/* A socket in the group of events.  Return: its descriptor or -errno. */
static int join(void)
{
	struct sockaddr_nl at = { .nl_family = AF_NETLINK };
	/* kept to the end of the program */
	struct nl_sock *sk = nl_socket_alloc();
	int fd, group, one = 1, err;

	if (!sk || genl_connect(sk) < 0)
		return -ENOTCONN;
	group = genl_ctrl_resolve_grp(sk, CKPT_GENL_NAME, CKPT_MCGRP_EVENTS);
	if (group < 0)
		return -ENOENT;
	fd = nl_socket_get_fd(sk);
	/* of all network namespaces, for who may */
	setsockopt(fd, SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, &one, sizeof(one));
	if (!setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)))
		return fd;
	err = -errno;
	/* the other way in, which has room for the first groups alone */
	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	at.nl_groups = group <= 32 ? 1U << (group - 1) : 0;
	return at.nl_groups && !bind(fd, (struct sockaddr *)&at, sizeof(at)) ? fd : err;
}

/* Something that listeners are told of. */
static void make_event(struct client *c, int fd, const char *why)
{
	cgroup_make("spaces-gone");
	if (client_group_new(c, "gone", "/spaces-gone"))
		die("tag: %s", c->text);
	cgroup_gone("spaces-gone");
	events_want(fd, "gone", CKPT_EVENT_GROUP_GONE, 0, 0, why);
	client_group_del(c, "gone");
}

/* Events are for root of the machine, in its network namespace. */
static void hidden_from(struct client *c, int fd, const char *whom, int (*become)(void), int want)
{
	int joined[2], heard[2], got = 0, status;
	struct event e;
	pid_t pid;

	if (pipe(joined) || pipe(heard))
		die("pipe");
	fflush(stdout);
	pid = fork();
	if (!pid) {
		close(heard[1]);
		got = become() ? -ECANCELED : join();
		/* and wait until the event has been heard by who may */
		if (write(joined[1], &got, sizeof(got)) != sizeof(got) ||
		    read(heard[0], &status, 1) < 0 || got < 0)
			_exit(0);
		_exit(events_next(got, 500, &e));
	}
	close(joined[1]);
	close(heard[0]);
	if (read(joined[0], &got, sizeof(got)) != sizeof(got))
		got = -ECHILD;
	check(want ? got == want : got > 0, "%s: joins the group of events: %s", whom,
	      got < 0 ? strerrorname_np(-got) : "yes");
	make_event(c, fd, "an event is sent, and heard outside");
	close(joined[0]);
	close(heard[1]);
	waitpid(pid, &status, 0);
	check(WIFEXITED(status) && !WEXITSTATUS(status), "%s: hears none (%#x)", whom, status);
}

static void test_events(struct client *c)
{
	int fd = events_listen();

	hidden_from(c, fd, "a user without rights", be_nobody, -EPERM);
	hidden_from(c, fd, "root of a user namespace", be_root_of_users, -EPERM);
	/* of its own network it may ask for anything */
	hidden_from(c, fd, "root of a user and a network namespace", be_root_of_a_net, 0);
	hidden_from(c, fd, "root in a network namespace", be_elsewhere, 0);
}

/* Files that can be written by mode are still only root's. */
static void test_sysfs(void)
{
	static const char * const file[] = {
		"/sys/kernel/ckpt/tag", "/sys/kernel/ckpt/untag",
		"/sys/kernel/ckpt/groups/spaces/add_root",
		"/sys/kernel/ckpt/groups/spaces/remove_root",
		"/sys/kernel/ckpt/groups/spaces/event_exec",
		"/sys/kernel/ckpt/groups/spaces/event_exit",
		"/sys/kernel/ckpt/groups/spaces/event_oom_kill",
		"/sys/kernel/ckpt/groups/spaces/event_dirty_share",
		"/sys/kernel/ckpt/groups/spaces/event_memory_share",
		"/sys/kernel/ckpt/groups/spaces/event_changed_inodes",
	};
	size_t i, nr = sizeof(file) / sizeof(file[0]);
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		if (be_root_of_users())
			_exit(100);
		for (i = 0; i < nr; i++)
			if (put(file[i], "1") != -EPERM)
				_exit(10 + (int)i);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	check(WIFEXITED(status) && !WEXITSTATUS(status),
	      "root of a user namespace writes no file (%d)", WEXITSTATUS(status));
}

static void step(int n, uint64_t *shared)
{
	(void)n;
	shared[0] = 1;
}

/* Whether a dump tells of a process of the group by this pid. */
static bool told(const struct pages *p, pid_t pid)
{
	size_t i;

	for (i = 0; i < p->nr_areas; i++)
		if (p->area[i].pid == pid)
			return true;
	return false;
}

/*
 * First process of a pid namespace, with one child of its own in the group and one outside the
 * namespace.  Exits with the number of the first thing that is wrong.
 */
static int inside(pid_t outer)
{
	struct child child;
	struct client c;
	struct pages p;
	struct round r;

	child_start(&child, "spaces", step);
	if (child.pid != 2 || client_open(&c) || client_begin(&c, "spaces", &r) ||
	    client_pages(&c, "spaces", &p))
		return 1;
	if (!told(&p, 2))
		return 2;
	if (told(&p, outer) && outer != 2)
		return 3;
	/* the one outside has no pid here */
	if (!told(&p, 0))
		return 4;
	return client_abort(&c, "spaces", r.epoch) ? 5 : 0;
}

static void test_pids(struct client *c)
{
	struct child child;
	struct pages p;
	struct round r;
	int status;
	pid_t pid;

	child_start(&child, "spaces", step);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		if (unshare(CLONE_NEWPID))
			_exit(9);
		pid = fork();
		if (!pid)
			_exit(inside(child.pid));
		waitpid(pid, &status, 0);
		_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 8);
	}
	waitpid(pid, &status, 0);
	check(WIFEXITED(status) && !WEXITSTATUS(status),
	      "in a pid namespace a dump has its pids, and 0 for others (%d)",
	      WEXITSTATUS(status));
	if (client_begin(c, "spaces", &r) || client_pages(c, "spaces", &p))
		die("begin: %s", c->text);
	check(told(&p, child.pid) && !told(&p, 0), "outside it has all of ours");
	pages_free(&p);
	client_abort(c, "spaces", r.epoch);
	child_end(&child);
}

int main(void)
{
	struct client c;

	cgroup_make("spaces");
	if (client_open(&c) || client_group_new(&c, "spaces", "/spaces"))
		die("tag: %s", c.text);
	refused_to("a user without rights", be_nobody);
	refused_to("root of a user namespace", be_root_of_users);
	refused_to("root of a user and a network namespace", be_root_of_a_net);
	test_sysfs();
	test_events(&c);
	test_pids(&c);
	client_group_del(&c, "spaces");
	client_close(&c);
	cgroup_gone("spaces");
	return finish();
}
