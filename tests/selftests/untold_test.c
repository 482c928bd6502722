// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * untold_test.c: what a round took and its owner never heard of is told again
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/client.h"
#include "lib/changes.h"
#include "lib/world.h"

#define NR 64
#define FILES 8

static struct client c;
static struct child child;
static uint64_t ino[FILES];

/* step 0 maps, step n writes page n and no other */
static void step(int n, uint64_t *shared)
{
	static char *mem;

	if (n == 0) {
		mem = map_anon(NR * PAGE, 0);
		memset(mem, 1, NR * PAGE);
		shared[0] = (uint64_t)(uintptr_t)mem;
		return;
	}
	mem[(size_t)n * PAGE]++;
}

static const char *file(int n)
{
	static char path[64];

	snprintf(path, sizeof(path), "/tmp/untold/%d", n);
	return path;
}

/* Page n and file n change. */
static void change(int n)
{
	child_step(&child, n);
	append(file(n), "more");
}

/* One case: the last round tells of page n and of file n, or of neither. */
static void want(int n, bool told, const char *what)
{
	uint64_t at = child.shared[0] + (uint64_t)n * PAGE;
	bool dirty, data;
	struct pages p;

	if (client_pages(&c, "untold", &p))
		die("dump: %s", c.text);
	dirty = pages_dirty(&p, child.pid, at, at + PAGE);
	data = client_inode_mask(&c, "untold", ino[n]) & CKPT_INODE_DATA;
	check(dirty == told && data == told, "%s (page %d, file %d)", what, dirty, data);
	pages_free(&p);
}

static void begin(struct round *r)
{
	if (client_begin(&c, "untold", r))
		die("begin: %s", c.text);
}

static void commit(const struct round *r)
{
	uint8_t id[CKPT_ID_LEN] = { 6 };

	if (client_commit(&c, "untold", r->epoch, id))
		die("commit: %s", c.text);
}

static void test_next(void)
{
	struct round r;

	change(3);
	begin(&r);
	want(3, true, "a change is told");
	change(4);
	check(!client_unheard(&c, CKPT_CMD_EPOCH_NEXT, "untold"), "a reply finds no room");
	if (client_next(&c, "untold", 0, &r))
		die("next: %s", c.text);
	check(r.round == 3, "the epoch goes on (round %u)", r.round);
	want(4, true, "the next round tells what that round took");
	if (client_next(&c, "untold", 0, &r))
		die("next: %s", c.text);
	want(4, false, "and the one after it does not");
	commit(&r);
	begin(&r);
	want(3, false, "a commit forgets what was told");
	want(4, false, "in each round");
	commit(&r);
}

static void test_abort(void)
{
	struct round r;

	begin(&r);
	change(1);
	check(!client_unheard(&c, CKPT_CMD_EPOCH_NEXT, "untold"), "a reply finds no room");
	if (client_abort(&c, "untold", r.epoch))
		die("abort: %s", c.text);
	begin(&r);
	want(1, true, "an abort gives it back");
	commit(&r);
}

/* An owner that does not care. */
static void test_commit(void)
{
	struct round r;

	begin(&r);
	change(5);
	check(!client_unheard(&c, CKPT_CMD_EPOCH_NEXT, "untold"), "a reply finds no room");
	commit(&r);
	begin(&r);
	want(5, true, "what the last round took is not committed with it");
	commit(&r);
	begin(&r);
	want(5, false, "but by the next commit");
	commit(&r);
}

static void test_begin(void)
{
	uint32_t state = 99;
	struct round r;

	change(6);
	check(!client_unheard(&c, CKPT_CMD_EPOCH_BEGIN, "untold"), "a reply finds no room");
	client_group_state(&c, "untold", &state);
	check(state == CKPT_GROUP_IDLE, "no epoch is open (%u)", state);
	begin(&r);
	check(r.round == 1, "another can begin");
	want(6, true, "and tells what the first took");
	commit(&r);
}

int main(void)
{
	struct round r;
	struct stat st;
	int i;

	if (system("rm -rf /tmp/untold && mkdir /tmp/untold"))
		die("folder");
	for (i = 0; i < FILES; i++) {
		append(file(i), "content");
		if (stat(file(i), &st))
			die("stat");
		ino[i] = st.st_ino;
	}
	cgroup_make("untold");
	if (client_open(&c) || client_group_new(&c, "untold", "/untold") ||
	    client_root(&c, CKPT_CMD_ROOT_ADD, "untold", "/tmp/untold"))
		die("tag: %s", c.text);
	child_start(&child, "untold", step);
	/* The child holds a copy of that socket. */
	client_close(&c);
	if (client_open(&c))
		die("open");
	child_step(&child, 0);
	begin(&r);
	commit(&r);
	test_next();
	test_abort();
	test_commit();
	test_begin();
	client_group_del(&c, "untold");
	child_end(&child);
	client_close(&c);
	cgroup_gone("untold");
	return finish();
}
