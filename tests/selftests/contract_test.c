// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * contract_test.c: attributes are taken strictly, and of several faults it is fixed which wins
 *
 * The order is: the form of the attributes, the rights, the group, what the request lacks, what
 * the group's state refuses.
 */
#include <errno.h>
#include <grp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/netlink.h>

#include "lib/client.h"
#include "lib/world.h"

/* One attribute as it is sent. */
struct piece {
	const void *data;
	uint16_t len;
	uint16_t type;
};

#define STR(_type, _s) { _s, sizeof(_s), CKPT_A_##_type }
#define RAW(_type, _bytes) { _bytes, sizeof(_bytes) - 1, _type }
#define U32(_type, _v) { &(const uint32_t){ _v }, 4, CKPT_A_##_type }
#define U64(_type, _v) { &(const uint64_t){ _v }, 8, CKPT_A_##_type }
#define NAME STR(GROUP_NAME, "contract")
#define NOBODY STR(GROUP_NAME, "nobody")
#define ID RAW(CKPT_A_CHECKPOINT_ID, "0123456789abcdef")

struct request {
	const char *what;
	int cmd;
	int err;
	const char *sentence;
	struct piece piece[4];
	int flags;
	unsigned int trailing;	/* bytes after the last attribute */
};

static const struct request malformed[] = {
	{ "an attribute that nobody knows", CKPT_CMD_GROUP_DEL, EINVAL, "Unknown attribute",
	  .piece = { NAME, RAW(CKPT_A_MAX + 1, "1234") } },
	{ "one of another operation", CKPT_CMD_GROUP_DEL, EINVAL, "Unknown attribute",
	  .piece = { NAME, U64(EPOCH, 1) } },
	{ "one of a lower number", CKPT_CMD_EPOCH_NEXT, EINVAL, "Unsupported attribute",
	  .piece = { NAME, STR(GROUP_CGROUP, "/") } },
	{ "a value that is only told", CKPT_CMD_GROUP_SET, EINVAL, "Unsupported attribute",
	  .piece = { NAME, U64(LOST, 0), U32(EVENTS, 0) } },
	{ "the pad", CKPT_CMD_GROUP_GET, EINVAL, "Unsupported attribute",
	  .piece = { NAME, RAW(CKPT_A_PAD, "") } },
	{ "a u32 of 8 bytes", CKPT_CMD_EPOCH_NEXT, EINVAL, "length",
	  .piece = { NAME, RAW(CKPT_A_EPOCH_FLAGS, "\0\0\0\0\0\0\0\0") } },
	{ "a u32 of 2 bytes", CKPT_CMD_GROUP_SET, EINVAL, "length",
	  .piece = { NAME, RAW(CKPT_A_EVENTS, "\0\0") } },
	{ "a u64 of 4 bytes", CKPT_CMD_EPOCH_ABORT, EINVAL, "length",
	  .piece = { NAME, RAW(CKPT_A_EPOCH, "\0\0\0\0") } },
	{ "an id of 15 bytes", CKPT_CMD_EPOCH_COMMIT, ERANGE, "",
	  .piece = { NAME, U64(EPOCH, 1), RAW(CKPT_A_CHECKPOINT_ID, "0123456789abcde") } },
	{ "an id of 17 bytes", CKPT_CMD_EPOCH_COMMIT, ERANGE, "",
	  .piece = { NAME, U64(EPOCH, 1), RAW(CKPT_A_CHECKPOINT_ID, "0123456789abcdefg") } },
	{ "a name without its end", CKPT_CMD_GROUP_GET, EINVAL, "",
	  .piece = { RAW(CKPT_A_GROUP_NAME, "contract") } },
	{ "an empty attribute for a name", CKPT_CMD_GROUP_GET, EINVAL, "",
	  .piece = { RAW(CKPT_A_GROUP_NAME, "") } },
	{ "a nested name", CKPT_CMD_GROUP_GET, EINVAL, "NESTED",
	  .piece = { RAW(CKPT_A_GROUP_NAME | NLA_F_NESTED, "contract\0") } },
	{ "bytes after the last attribute", CKPT_CMD_GROUP_GET, EINVAL, "leftover",
	  .piece = { NAME }, .trailing = 3 },
	{ "an unknown flag of a round", CKPT_CMD_EPOCH_NEXT, EINVAL, "reserved",
	  .piece = { NAME, U32(EPOCH_FLAGS, 2) } },
	{ "an unknown event", CKPT_CMD_GROUP_SET, EINVAL, "reserved",
	  .piece = { NAME, U32(EVENTS, 8) } },
	{ "a dirty share over the whole", CKPT_CMD_GROUP_SET, ERANGE, "",
	  .piece = { NAME, U32(DIRTY_SHARE_MIN, 1001) } },
	{ "a memory share over the whole", CKPT_CMD_GROUP_SET, ERANGE, "",
	  .piece = { NAME, U32(MEMORY_SHARE_MIN, 1001) } },
	{ "flags that mean nothing here", CKPT_CMD_GROUP_GET, EINVAL, "reserved bits",
	  .piece = { NAME }, .flags = NLM_F_EXCL },
	{ "no operation at all", 200, EOPNOTSUPP, "", .piece = { NAME } },
	{ "the operation of events", CKPT_CMD_EVENT_NTF, EOPNOTSUPP, "", .piece = { NAME } },
	{ "a dump that is asked to do", CKPT_CMD_PAGE_DUMP, EOPNOTSUPP, "", .piece = { NAME } },
	{ "a do that is asked to dump", CKPT_CMD_GROUP_DEL, EOPNOTSUPP, "", .piece = { NAME },
	  .flags = NLM_F_DUMP },
	{ "a dump of groups that names one", CKPT_CMD_GROUP_GET, EINVAL, "names none",
	  .piece = { NAME }, .flags = NLM_F_DUMP },
};

/* Each with two faults or more. */
static const struct request several[] = {
	{ "form before name", CKPT_CMD_GROUP_DEL, EINVAL, "Unknown attribute",
	  .piece = { RAW(CKPT_A_MAX + 1, "1234") } },
	{ "form before group", CKPT_CMD_GROUP_SET, ERANGE, "",
	  .piece = { NOBODY, U32(DIRTY_SHARE_MIN, 2000) } },
	{ "group-new: what it lacks before a bad name", CKPT_CMD_GROUP_NEW, EINVAL, "needs a name",
	  .piece = { STR(GROUP_NAME, "a b") } },
	{ "a bad name before a bad path", CKPT_CMD_GROUP_NEW, EINVAL, "1 to 63",
	  .piece = { STR(GROUP_NAME, "a b"), STR(GROUP_CGROUP, "relative") } },
	{ "a bad path before a taken name", CKPT_CMD_GROUP_NEW, EINVAL, "begins with",
	  .piece = { NAME, STR(GROUP_CGROUP, "relative") } },
	{ "no cgroup before a taken name", CKPT_CMD_GROUP_NEW, ENOENT, "no cgroup",
	  .piece = { NAME, STR(GROUP_CGROUP, "/nowhere") } },
	{ "the root cgroup before a taken name", CKPT_CMD_GROUP_NEW, EINVAL, "root cgroup",
	  .piece = { NAME, STR(GROUP_CGROUP, "/") } },
	{ "a taken name before a taken cgroup", CKPT_CMD_GROUP_NEW, EEXIST, "name is taken",
	  .piece = { NAME, STR(GROUP_CGROUP, "/contract") } },
	{ "group-set: no group before nothing to set", CKPT_CMD_GROUP_SET, ENOENT, "no group",
	  .piece = { NOBODY } },
	{ "no name before nothing to set", CKPT_CMD_GROUP_SET, EINVAL, "names no group",
	  .piece = { } },
	{ "group-set: nothing to set", CKPT_CMD_GROUP_SET, EINVAL, "sets nothing",
	  .piece = { NAME } },
	{ "root-add: no group before no path", CKPT_CMD_ROOT_ADD, ENOENT, "no group",
	  .piece = { NOBODY } },
	{ "no name before no path", CKPT_CMD_ROOT_ADD, EINVAL, "names no group", .piece = { } },
	{ "root-add: no path", CKPT_CMD_ROOT_ADD, EINVAL, "names no path", .piece = { NAME } },
	{ "root-del: no path", CKPT_CMD_ROOT_DEL, EINVAL, "names no path", .piece = { NAME } },
	{ "epoch-next: no group before no epoch", CKPT_CMD_EPOCH_NEXT, ENOENT, "no group",
	  .piece = { NOBODY } },
	{ "epoch-commit: no number before no epoch", CKPT_CMD_EPOCH_COMMIT, EINVAL,
	  "names no epoch", .piece = { NAME } },
	{ "no number before no id", CKPT_CMD_EPOCH_COMMIT, EINVAL, "names no epoch",
	  .piece = { NAME } },
	{ "no id before no epoch", CKPT_CMD_EPOCH_COMMIT, EINVAL, "no checkpoint id",
	  .piece = { NAME, U64(EPOCH, 77) } },
	{ "no epoch before its number", CKPT_CMD_EPOCH_COMMIT, EINVAL, "none is open",
	  .piece = { NAME, U64(EPOCH, 77), ID } },
	{ "epoch-abort: no number before no epoch", CKPT_CMD_EPOCH_ABORT, EINVAL,
	  "names no epoch", .piece = { NAME } },
	{ "page-dump: no name before no epoch", CKPT_CMD_PAGE_DUMP, EINVAL, "names no group",
	  .piece = { }, .flags = NLM_F_DUMP },
	{ "no group before no epoch", CKPT_CMD_PAGE_DUMP, ENOENT, "no group", .piece = { NOBODY },
	  .flags = NLM_F_DUMP },
	{ "inode-dump: no epoch", CKPT_CMD_INODE_DUMP, EINVAL, "no epoch", .piece = { NAME },
	  .flags = NLM_F_DUMP },
};

/* While another socket has the epoch. */
static const struct request others[] = {
	{ "another's epoch before its number", CKPT_CMD_EPOCH_COMMIT, EBUSY, "another socket",
	  .piece = { NAME, U64(EPOCH, 77), ID } },
	{ "no number before another's epoch", CKPT_CMD_EPOCH_ABORT, EINVAL, "names no epoch",
	  .piece = { NAME } },
	{ "another's epoch", CKPT_CMD_EPOCH_NEXT, EBUSY, "another socket", .piece = { NAME } },
	{ "an epoch that is open", CKPT_CMD_EPOCH_BEGIN, EBUSY, "open already", .piece = { NAME } },
};

/* Without rights, in a process of its own. */
static const struct request without_rights[] = {
	{ "form before rights", CKPT_CMD_GROUP_DEL, EINVAL, "Unknown attribute",
	  .piece = { RAW(CKPT_A_MAX + 1, "1234") } },
	{ "rights before what it lacks", CKPT_CMD_GROUP_NEW, EPERM, "needs CAP", .piece = { } },
	{ "rights before no group", CKPT_CMD_GROUP_DEL, EPERM, "needs CAP", .piece = { NOBODY } },
	{ "rights before no name", CKPT_CMD_EPOCH_COMMIT, EPERM, "needs CAP", .piece = { } },
	{ "rights before a named dump", CKPT_CMD_GROUP_GET, EPERM, "needs CAP", .piece = { NAME },
	  .flags = NLM_F_DUMP },
	{ "rights before no epoch", CKPT_CMD_PAGE_DUMP, EPERM, "needs CAP", .piece = { NAME },
	  .flags = NLM_F_DUMP },
};

/*
 * What each operation takes; uapi/ckpt.yaml says so, and a lint step compares the two.  Whatever
 * else there is must be refused.
 */
static const struct {
	int cmd;
	int flags;
	int attr[8];
} takes[] = {
	{ CKPT_CMD_GROUP_NEW, NLM_F_ACK, { CKPT_A_GROUP_NAME, CKPT_A_GROUP_CGROUP } },
	{ CKPT_CMD_GROUP_DEL, NLM_F_ACK, { CKPT_A_GROUP_NAME } },
	{ CKPT_CMD_GROUP_GET, NLM_F_ACK, { CKPT_A_GROUP_NAME } },
	{ CKPT_CMD_ROOT_ADD, NLM_F_ACK, { CKPT_A_GROUP_NAME, CKPT_A_ROOT_PATH } },
	{ CKPT_CMD_ROOT_DEL, NLM_F_ACK, { CKPT_A_GROUP_NAME, CKPT_A_ROOT_PATH } },
	{ CKPT_CMD_EPOCH_BEGIN, NLM_F_ACK, { CKPT_A_GROUP_NAME } },
	{ CKPT_CMD_EPOCH_NEXT, NLM_F_ACK, { CKPT_A_GROUP_NAME, CKPT_A_EPOCH_FLAGS } },
	{ CKPT_CMD_EPOCH_COMMIT, NLM_F_ACK, { CKPT_A_GROUP_NAME, CKPT_A_EPOCH,
					      CKPT_A_CHECKPOINT_ID } },
	{ CKPT_CMD_EPOCH_ABORT, NLM_F_ACK, { CKPT_A_GROUP_NAME, CKPT_A_EPOCH } },
	{ CKPT_CMD_PAGE_DUMP, NLM_F_DUMP, { CKPT_A_GROUP_NAME } },
	{ CKPT_CMD_INODE_DUMP, NLM_F_DUMP, { CKPT_A_GROUP_NAME } },
	{ CKPT_CMD_GROUP_SET, NLM_F_ACK, { CKPT_A_GROUP_NAME, CKPT_A_EVENTS,
					   CKPT_A_DIRTY_SHARE_MIN, CKPT_A_MEMORY_SHARE_MIN,
					   CKPT_A_CHANGED_INODES_MIN } },
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static int ask(struct client *c, const struct request *r)
{
	char buf[8192] __attribute__((aligned(4))) = { 0 };
	struct nlattr *a;
	size_t len = 0, i;

	for (i = 0; i < COUNT(r->piece) && r->piece[i].data; i++) {
		a = (struct nlattr *)(buf + len);
		a->nla_type = r->piece[i].type;
		a->nla_len = (uint16_t)(NLA_HDRLEN + r->piece[i].len);
		memcpy(buf + len + NLA_HDRLEN, r->piece[i].data, r->piece[i].len);
		len += NLA_ALIGN(a->nla_len);
	}
	memset(buf + len, 1, r->trailing);
	len += r->trailing;
	return client_raw(c, r->cmd, r->flags ? r->flags : NLM_F_ACK, buf, len);
}

static void refused(struct client *c, const struct request *r, size_t nr)
{
	int got;

	for (; nr--; r++) {
		got = ask(c, r);
		if (!check(got == -r->err && strstr(c->text, r->sentence), "%s: %s", r->what,
			   c->text))
			note("got %s, not %s", strerror(-got), strerror(r->err));
	}
}

/* In a child, since rights do not come back; its cases are one of ours each. */
static void test_without_rights(void)
{
	struct client c;
	size_t i;
	int status;
	pid_t pid;

	for (i = 0; i < COUNT(without_rights); i++) {
		const struct request *r = &without_rights[i];

		fflush(stdout);
		pid = fork();
		if (!pid) {
			if (setgroups(0, NULL) || setgid(65534) || setuid(65534) || client_open(&c))
				_exit(2);
			_exit(ask(&c, r) != -r->err || !strstr(c.text, r->sentence));
		}
		waitpid(pid, &status, 0);
		check(WIFEXITED(status) && !WEXITSTATUS(status), "%s", r->what);
	}
}

/* One of three values is refused. */
static const struct request half = {
	"", CKPT_CMD_GROUP_SET, ERANGE, "",
	.piece = { NAME, U32(EVENTS, 7), U32(DIRTY_SHARE_MIN, 5), U32(MEMORY_SHARE_MIN, 1001) },
};

/* Refusals change nothing: what was set before is still set. */
static void test_all_or_nothing(struct client *c)
{
	char exec[8], dirty[8];

	ask(c, &half);
	get("/sys/kernel/ckpt/groups/contract/event_exec", exec, sizeof(exec));
	get("/sys/kernel/ckpt/groups/contract/event_dirty_share", dirty, sizeof(dirty));
	check(!strcmp(exec, "0") && !strcmp(dirty, "0"), "a refused group-set sets nothing");
}

/* Values that no policy refuses, and that change nothing: they name no group that there is. */
static struct piece harmless(int attr)
{
	static const uint64_t zero;

	switch (attr) {
	case CKPT_A_GROUP_NAME:
	case CKPT_A_GROUP_CGROUP:
	case CKPT_A_ROOT_PATH:
		return (struct piece){ "nobody", 7, (uint16_t)attr };
	case CKPT_A_EPOCH:
	case CKPT_A_CHANGED_INODES_MIN:
		return (struct piece){ &zero, 8, (uint16_t)attr };
	case CKPT_A_CHECKPOINT_ID:
		return (struct piece){ "0123456789abcdef", CKPT_ID_LEN, (uint16_t)attr };
	default:
		return (struct piece){ &zero, 4, (uint16_t)attr };
	}
}

/*
 * Alone in a request: one that is taken is refused by the operation, with a sentence of ours, and
 * not by the form.
 */
static bool as_said(struct client *c, int cmd, int flags, int attr, bool taken)
{
	struct request r = { .cmd = cmd, .flags = flags, .piece = { harmless(attr) } };
	int got = ask(c, &r);
	bool unknown = got == -EINVAL && (strstr(c->text, "Unknown attribute") ||
					  strstr(c->text, "Unsupported attribute"));
	/* the kernel's own have no colon */
	bool ours = got && strchr(c->text, ':');

	if (taken ? ours : unknown)
		return true;
	note("operation %d, attribute %d: %s (%s)", cmd, attr, strerror(-got), c->text);
	return false;
}

/* Every operation with every attribute, and with some that nobody knows. */
static void test_takes(struct client *c)
{
	int attr, wrong, nr;
	size_t i, j;

	check(COUNT(takes) == CKPT_CMD_MAX - 1, "every operation but that of events is tried");
	for (i = 0; i < COUNT(takes); i++) {
		wrong = 0;
		nr = 0;
		for (attr = CKPT_A_PAD; attr <= CKPT_A_MAX + 3; attr++) {
			bool taken = false;

			for (j = 0; j < COUNT(takes[i].attr); j++)
				taken = taken || takes[i].attr[j] == attr;
			nr += taken;
			wrong += !as_said(c, takes[i].cmd, takes[i].flags, attr, taken);
		}
		check(!wrong, "operation %d takes its %d attributes and no others", takes[i].cmd,
		      nr);
	}
}

int main(void)
{
	struct client c, other;
	struct round r;

	cgroup_make("contract");
	if (client_open(&c) || client_open(&other) || client_group_new(&c, "contract", "/contract"))
		die("tag: %s", c.text);
	refused(&c, malformed, COUNT(malformed));
	refused(&c, several, COUNT(several));
	test_takes(&c);
	test_without_rights();
	test_all_or_nothing(&c);
	if (client_begin(&other, "contract", &r))
		die("begin: %s", other.text);
	refused(&c, others, COUNT(others));
	cgroup_gone("contract");
	check(client_begin(&c, "contract", &r) == -ENODEV && strstr(c.text, "was removed"),
	      "a removed cgroup before an epoch that is open: %s", c.text);
	check(!client_group_del(&c, "contract"), "after all this the group goes");
	client_close(&other);
	client_close(&c);
	return finish();
}
