// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * dumps_test.c: a dump is the same whatever its reader's buffers, and ends with its round or group
 *
 * debug: slow
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/netlink.h>
#include <netlink/genl/genl.h>
#include <netlink/netlink.h>

#include "lib/changes.h"
#include "lib/client.h"
#include "lib/world.h"

#define AREAS 3000
#define RUNS 6000
#define INODES 2000
#define GROUPS 40
#define ROOTS 12
/* No message of the kernel is made smaller than this when it can be split. */
#define LITTLE 4096

#ifndef SOL_NETLINK
#define SOL_NETLINK 270
#endif

static void step(int n, uint64_t *shared)
{
	char *mem = map_anon(AREAS * PAGE, 0);
	size_t i;

	(void)n;
	for (i = 0; i < AREAS; i += 2)
		if (mprotect(mem + i * PAGE, PAGE, PROT_READ))
			_exit(1);
	/* one area of many runs: a page is there, the next is not */
	mem = map_anon(2 * RUNS * PAGE, 0);
	madvise(mem, 2 * RUNS * PAGE, MADV_NOHUGEPAGE);
	for (i = 0; i < RUNS; i++)
		mem[2 * i * PAGE] = 1;
	shared[0] = (uint64_t)(uintptr_t)mem;
}

/*
 * A reader with the least the kernel allows it to have.  Its socket has received nothing: the
 * kernel makes a dump's buffers as large as the largest that it was ever read with.
 */
static void open_little(struct client *c, const struct client *other)
{
	int least = 1, one = 1, fd;

	*c = (struct client){ .sk = nl_socket_alloc(), .family = other->family, .room = LITTLE };
	if (!c->sk || genl_connect(c->sk) < 0)
		die("open a socket");
	fd = nl_socket_get_fd(c->sk);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &least, sizeof(least)) ||
	    setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one)))
		die("set a socket up");
}

/* The areas of a dump whole, whatever parts they came in. */
static bool same(const struct pages *a, const struct pages *b)
{
	size_t i, j = 0, areas = 0;

	if (a->nr_runs != b->nr_runs || memcmp(a->run, b->run, a->nr_runs * sizeof(*a->run)))
		return false;
	for (i = 0; i < a->nr_areas; i++) {
		const struct area *x = &a->area[i];

		if (i && x->cookie == x[-1].cookie && x->start == x[-1].start)
			continue;
		areas++;
		while (j && j < b->nr_areas && b->area[j].cookie == b->area[j - 1].cookie &&
		       b->area[j].start == b->area[j - 1].start)
			j++;
		if (j >= b->nr_areas || b->area[j].cookie != x->cookie ||
		    b->area[j].start != x->start || b->area[j].end != x->end ||
		    b->area[j].flags != x->flags || b->area[j].run != x->run)
			return false;
		j++;
	}
	while (j && j < b->nr_areas && b->area[j].cookie == b->area[j - 1].cookie &&
	       b->area[j].start == b->area[j - 1].start)
		j++;
	return j == b->nr_areas && areas > AREAS;
}

static void test_pages(struct client *c, struct client *little)
{
	struct pages all, parts;
	struct round r;

	if (client_begin(c, "dumps", &r) || client_pages(c, "dumps", &all))
		die("begin: %s", c->text);
	check(all.nr_areas > AREAS && all.nr_runs > RUNS, "%zu areas and %zu runs", all.nr_areas,
	      all.nr_runs);
	check(!client_pages(little, "dumps", &parts), "a little reader gets to the end: %s",
	      little->text);
	check(same(&all, &parts), "it is told the same (%zu areas and %zu runs)", parts.nr_areas,
	      parts.nr_runs);
	pages_free(&all);
	pages_free(&parts);
	client_abort(c, "dumps", r.epoch);
}

struct inodes {
	uint64_t nr, sum;
};

static void add_inode(struct nlattr **attrs, void *data)
{
	struct inodes *inodes = data;

	/* the order counts, too */
	inodes->nr++;
	inodes->sum = inodes->sum * 31 + nla_get_u64(attrs[CKPT_A_INODE_INO]);
}

static void test_inodes(struct client *c, struct client *little)
{
	struct inodes all = { 0 }, parts = { 0 };
	struct round r;
	char path[64];
	int i, err;

	if (system("rm -rf /tmp/dumps && mkdir /tmp/dumps") ||
	    client_root(c, CKPT_CMD_ROOT_ADD, "dumps", "/tmp/dumps"))
		die("root: %s", c->text);
	for (i = 0; i < INODES; i++) {
		snprintf(path, sizeof(path), "/tmp/dumps/%d", i);
		append(path, "x");
	}
	if (client_begin(c, "dumps", &r) || client_inodes(c, "dumps", add_inode, &all))
		die("inodes: %s", c->text);
	check(all.nr >= INODES, "%lu inodes", all.nr);
	err = client_inodes(little, "dumps", add_inode, &parts);
	check(!err && parts.nr == all.nr && parts.sum == all.sum,
	      "a little reader is told the same (%lu)", parts.nr);
	client_abort(c, "dumps", r.epoch);
}

enum overtaker { NEXT, ANOTHER_EPOCH, NO_EPOCH };

/* What a dump that has told its first part is refused with, when the round is not its own. */
static const struct {
	enum overtaker between;
	int err;
	const char *what;
	const char *sentence;
} stale[] = {
	{ NEXT, -EAGAIN, "the next round", "a new round was taken, dump again" },
	{ ANOTHER_EPOCH, -EAGAIN, "the first round of another epoch", "dump again" },
	{ NO_EPOCH, -EINVAL, "the end of the epoch", "no epoch is open" },
};

static void comes_between(struct client *c, enum overtaker between, struct round *r)
{
	int err;

	if (between == NEXT) {
		err = client_next(c, "dumps", 0, r);
	} else {
		err = client_abort(c, "dumps", r->epoch);
		if (!err && between == ANOTHER_EPOCH)
			err = client_begin(c, "dumps", r);
	}
	if (err)
		die("what comes between: %s", c->text);
}

static void test_stale(struct client *c, struct client *little)
{
	struct inodes inodes;
	struct pages parts;
	struct round r;
	size_t i;
	int err;

	for (i = 0; i < sizeof(stale) / sizeof(stale[0]); i++) {
		if (client_begin(c, "dumps", &r) || client_pages_start(little, "dumps"))
			die("begin: %s", c->text);
		comes_between(c, stale[i].between, &r);
		err = client_pages_finish(little, &parts);
		check(err == stale[i].err && strstr(little->text, stale[i].sentence),
		      "%s ends a dump of pages: %s (%d)", stale[i].what, little->text, err);
		check(parts.nr_areas && parts.nr_areas < AREAS, "after a part of it (%zu areas)",
		      parts.nr_areas);
		pages_free(&parts);
		client_abort(c, "dumps", r.epoch);

		inodes = (struct inodes){ 0 };
		if (client_begin(c, "dumps", &r) || client_inodes_start(little, "dumps"))
			die("begin: %s", c->text);
		comes_between(c, stale[i].between, &r);
		err = client_inodes_finish(little, add_inode, &inodes);
		check(err == stale[i].err && strstr(little->text, stale[i].sentence),
		      "%s ends a dump of inodes: %s (%d)", stale[i].what, little->text, err);
		check(inodes.nr && inodes.nr < INODES, "after a part of it (%lu)", inodes.nr);
		client_abort(c, "dumps", r.epoch);
	}
}

static void test_group_goes(struct client *c, struct client *little)
{
	struct pages parts;
	struct round r;
	int err;

	if (client_begin(c, "dumps", &r) || client_pages_start(little, "dumps"))
		die("begin: %s", c->text);
	check(!client_group_del(c, "dumps"), "a group goes while its dump is read");
	err = client_pages_finish(little, &parts);
	check(err == -ENOENT && strstr(little->text, "just removed"),
	      "the dump ends and says why: %s", little->text);
	check(parts.nr_areas < AREAS, "before its end (%zu areas)", parts.nr_areas);
	pages_free(&parts);
	if (client_group_new(c, "dumps", "/dumps") || client_begin(c, "dumps", &r) ||
	    client_pages_start(little, "dumps"))
		die("tag: %s", c->text);
	client_close(little);
	check(!client_abort(c, "dumps", r.epoch) && !client_group_del(c, "dumps"),
	      "a reader that closes in between leaves nothing");
	open_little(little, c);
}

static void count_group(struct nlattr **attrs, void *data)
{
	(void)attrs;
	++*(int *)data;
}

/* Long roots, so that one group fills more than one buffer. */
static void test_groups(struct client *c, struct client *little)
{
	char name[32], cgroup[64], path[1024], command[1100];
	int i, n = 0, err;
	uint32_t state;

	for (i = 0; i < GROUPS; i++) {
		snprintf(name, sizeof(name), "dumps-%d", i);
		snprintf(cgroup, sizeof(cgroup), "/%s", name);
		cgroup_make(name);
		if (client_group_new(c, name, cgroup))
			die("tag: %s", c->text);
	}
	for (i = 0; i < ROOTS; i++) {
		snprintf(path, sizeof(path), "/tmp/dumps/%0200d/%0200d/%0200d", i, i, i);
		snprintf(name, sizeof(name), "dumps-%d", GROUPS / 2);
		snprintf(command, sizeof(command), "mkdir -p %s", path);
		if (system(command) || client_root(c, CKPT_CMD_ROOT_ADD, name, path))
			die("root %d: %s", i, c->text);
	}
	err = client_group_list(c, count_group, &n);
	check(!err && n == GROUPS, "all groups are listed (%d: %s)", n, c->text);
	n = 0;
	err = client_group_list(little, count_group, &n);
	check(!err && n == GROUPS, "to a little reader, too (%d: %s)", n, little->text);
	check(!client_group_state(c, name, &state), "a group of long roots alone: %s",
	      c->text);
	for (i = 0; i < GROUPS; i++) {
		snprintf(name, sizeof(name), "dumps-%d", i);
		client_group_del(c, name);
		cgroup_gone(name);
	}
}

int main(void)
{
	struct client c, little;
	struct child child;

	cgroup_make("dumps");
	if (client_open(&c) || client_group_new(&c, "dumps", "/dumps"))
		die("tag: %s", c.text);
	open_little(&little, &c);
	child_start(&child, "dumps", step);
	child_step(&child, 0);
	test_pages(&c, &little);
	test_inodes(&c, &little);
	test_stale(&c, &little);
	test_group_goes(&c, &little);
	child_end(&child);
	test_groups(&c, &little);
	client_close(&little);
	client_close(&c);
	cgroup_gone("dumps");
	if (system("rm -rf /tmp/dumps"))
		note("/tmp/dumps stays");
	return finish();
}
