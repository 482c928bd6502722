// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * namespaces_test.c: no operation for whom is not root of the machine; pids are the caller's
 */
#include <errno.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/netlink.h>

#include "lib/client.h"
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

/* Files that can be written by mode are still only root's. */
static void test_sysfs(void)
{
	static const char * const file[] = {
		"/sys/kernel/ckpt/tag", "/sys/kernel/ckpt/untag",
		"/sys/kernel/ckpt/groups/spaces/add_root",
		"/sys/kernel/ckpt/groups/spaces/remove_root",
		"/sys/kernel/ckpt/groups/spaces/event_exec",
		"/sys/kernel/ckpt/groups/spaces/event_dirty_share",
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
	test_pids(&c);
	client_group_del(&c, "spaces");
	client_close(&c);
	cgroup_gone("spaces");
	return finish();
}
