// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * refusal_test.c: every refusal over netlink has its errno and a sentence; no right, no answer
 */
#include <errno.h>
#include <grp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/capability.h>
#include <sys/syscall.h>

#include "lib/client.h"
#include "lib/world.h"
#include "nl/client.h"

/* The bound in kmod/limits.h. */
#define ROOTS_MAX 64
#define SYS "/sys/kernel/ckpt/groups/r1/"

static void refused(struct client *c, int got, int err, const char *sentence, const char *what)
{
	check(got == err && strstr(c->text, sentence), "%s: %s", what, c->text);
	if (got != err)
		note("got %s, not %s", strerror(-got), strerror(-err));
}

static void test_groups(struct client *c)
{
	char name[CKPT_NAME_MAX + 2] = "";

	refused(c, client_group_new(c, "r1", "/refusal"), -EEXIST, "name is taken", "a taken name");
	refused(c, client_group_new(c, "r2", "/refusal"), -EBUSY, "in another group",
		"a taken cgroup");
	refused(c, client_group_new(c, "r2", "/nowhere"), -ENOENT, "no cgroup", "no cgroup");
	refused(c, client_group_new(c, "r2", "/refusal/cgroup.procs"), -ENOTDIR, "no cgroup",
		"a file of a cgroup");
	refused(c, client_group_new(c, "r2", "/"), -EINVAL, "root cgroup", "the root cgroup");
	refused(c, client_group_new(c, "r2", "refusal"), -EINVAL, "begins with /",
		"a relative path");
	refused(c, client_group_new(c, "r 2", "/refusal"), -EINVAL, "1 to 63", "a space in a name");
	refused(c, client_group_new(c, "", "/refusal"), -EINVAL, "1 to 63", "an empty name");
	refused(c, client_group_new(c, "..", "/refusal"), -EINVAL, "1 to 63", "dots as a name");
	memset(name, 'x', sizeof(name) - 1);
	refused(c, client_group_new(c, name, "/refusal"), -EINVAL, "1 to 63", "a long name");
	refused(c, client_group_del(c, "nobody"), -ENOENT, "no group of this name", "del of none");
	refused(c, client_bare(c, CKPT_CMD_GROUP_NEW), -EINVAL, "needs a name", "new of nothing");
	refused(c, client_bare(c, CKPT_CMD_GROUP_DEL), -EINVAL, "names no group", "del of nothing");
}

static void test_roots(struct client *c)
{
	check(client_root(c, CKPT_CMD_ROOT_ADD, "r1", "/etc/passwd") == -ENOTDIR && c->text[0],
	      "a root that is no directory: %s", c->text);
	check(client_root(c, CKPT_CMD_ROOT_ADD, "r1", "/no/such") == -ENOENT && c->text[0],
	      "a root that is not there: %s", c->text);
	check(client_root(c, CKPT_CMD_ROOT_DEL, "r1", "/tmp") == -ENOENT && c->text[0],
	      "a root that was not added: %s", c->text);
}

/* How many roots a message names. */
static int listed(void)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_nl_group group;
	struct ckpt_nl *nl;
	int n;

	if (ckpt_nl_open(&nl, &err) || ckpt_nl_group_get(nl, "r1", &group, &err))
		die("group-get: %s", err.text);
	n = (int)group.n_roots;
	ckpt_nl_group_done(&group);
	ckpt_nl_close(nl);
	return n;
}

/* As many roots as a group may have, with names that are too long for one page together. */
static void test_many_roots(struct client *c)
{
	static const char pad[] = "a-name-of-which-sixty-four-are-more-than-a-page-holds";
	char path[128], buf[4200];
	int i, made = 0;

	mkdir("/tmp/refusal", 0755);
	for (i = 0; i <= ROOTS_MAX; i++) {
		snprintf(path, sizeof(path), "/tmp/refusal/%s-%d", pad, i);
		if (mkdir(path, 0755))
			die("mkdir %s", path);
		if (i < ROOTS_MAX)
			made += !client_root(c, CKPT_CMD_ROOT_ADD, "r1", path);
	}
	check(made == ROOTS_MAX, "a group has %d roots (%d)", ROOTS_MAX, made);
	refused(c, client_root(c, CKPT_CMD_ROOT_ADD, "r1", path), -ENOSPC, "too many roots",
		"one more root");
	check(put(SYS "add_root", path) == -ENOSPC, "nor by sysfs");
	check(get(SYS "roots", buf, sizeof(buf)) == -EFBIG, "they do not fit into a file of sysfs");
	check(listed() == ROOTS_MAX, "but into a message (%d)", listed());
	for (i = 0; i <= ROOTS_MAX; i++) {
		snprintf(path, sizeof(path), "/tmp/refusal/%s-%d", pad, i);
		/* half of them do */
		if (i == ROOTS_MAX / 2)
			check(get(SYS "roots", buf, sizeof(buf)) > 0, "half of them do");
		if (i < ROOTS_MAX)
			made -= !client_root(c, CKPT_CMD_ROOT_DEL, "r1", path);
		rmdir(path);
	}
	check(!made && !get(SYS "roots", buf, sizeof(buf)), "all are removed again");
	rmdir("/tmp/refusal");
}

static void test_epochs(struct client *c)
{
	uint8_t id[CKPT_ID_LEN] = { 0 };
	struct pages p;
	struct round r;

	refused(c, client_begin(c, "nobody", &r), -ENOENT, "no group of this name",
		"begin of none");
	refused(c, client_next(c, "r1", 0, &r), -EINVAL, "none is open", "next without begin");
	refused(c, client_commit(c, "r1", 1, id), -EINVAL, "none is open", "commit without begin");
	refused(c, client_abort(c, "r1", 1), -EINVAL, "none is open", "abort without begin");
	refused(c, client_pages(c, "r1", &p), -EINVAL, "no epoch is open", "dump without begin");
	refused(c, client_pages(c, "nobody", &p), -ENOENT, "no group of this name", "dump of none");
	refused(c, client_bare(c, CKPT_CMD_EPOCH_BEGIN), -EINVAL, "names no group",
		"begin of nothing");
	check(!client_begin(c, "r1", &r), "an empty group begins an epoch");
	refused(c, client_commit(c, "r1", r.epoch + 5, id), -ESTALE, "not that of the open",
		"commit of another epoch");
	check(client_next(c, "r1", 0x80, &r) == -EINVAL && c->text[0],
	      "an unknown flag: %s", c->text);
	check(!client_abort(c, "r1", r.epoch), "abort");
}

/* Drop every capability but one (or all, for -1).  Return: 0 or -errno. */
static int keep_only(int cap)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { 0 } };

	if (cap >= 0)
		data[cap / 32].effective = data[cap / 32].permitted = 1U << (cap % 32);
	return syscall(SYS_capset, &head, data) ? -errno : 0;
}

/* What one request answers to a process that holds one capability. */
static int with_capability(int cap, int (*ask)(struct client *c), bool opened_before)
{
	struct client c;
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		if (opened_before && client_open(&c))
			_exit(200);
		if (keep_only(cap))
			_exit(201);
		if (!opened_before && client_open(&c))
			_exit(202);
		_exit(-ask(&c));
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -255;
}

static int ask_state(struct client *c)
{
	uint32_t state;

	return client_group_state(c, "r1", &state);
}

static int ask_del(struct client *c)
{
	return client_group_del(c, "nobody");
}

static int ask_begin(struct client *c)
{
	struct round r;

	return client_begin(c, "nobody", &r);
}

static int ask_dump(struct client *c)
{
	struct pages p;

	return client_pages(c, "nobody", &p);
}

static void test_rights(void)
{
	check(with_capability(-1, ask_state, false) == -EPERM, "without rights: no group-get");
	check(with_capability(-1, ask_del, false) == -EPERM, "no group-del");
	check(with_capability(-1, ask_begin, false) == -EPERM, "no epoch-begin");
	check(with_capability(-1, ask_dump, false) == -EPERM, "no page-dump");
	check(with_capability(-1, ask_state, true) == -EPERM,
	      "not on a socket opened while there were rights");
	check(with_capability(CAP_NET_ADMIN, ask_state, false) == -EPERM,
	      "CAP_NET_ADMIN is not it");
	check(with_capability(CAP_CHECKPOINT_RESTORE, ask_state, false) == 0,
	      "CAP_CHECKPOINT_RESTORE is");
	check(with_capability(CAP_SYS_ADMIN, ask_dump, false) == -ENOENT, "CAP_SYS_ADMIN is");
}

int main(void)
{
	struct client c;

	cgroup_make("refusal");
	if (client_open(&c) || client_group_new(&c, "r1", "/refusal"))
		die("tag: %s", c.text);
	test_groups(&c);
	test_roots(&c);
	test_many_roots(&c);
	test_epochs(&c);
	test_rights();
	check(!client_group_del(&c, "r1"), "untag");
	client_close(&c);
	cgroup_gone("refusal");
	return finish();
}
