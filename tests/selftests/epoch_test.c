// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * epoch_test.c: an epoch that does not commit gives everything back
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/client.h"
#include "lib/world.h"

#define NR 64
#define LEN (NR * PAGE)

static char *mem;

static void step(int n, uint64_t *shared)
{
	if (n == 0) {
		mem = map_anon(LEN, 0);
		memset(mem, 1, LEN);
		shared[0] = (uint64_t)(uintptr_t)mem;
		return;
	}
	/* step n writes page n and no other */
	mem[(size_t)n * PAGE] = (char)n;
}

static bool is_dirty(const struct pages *p, const struct child *c, int page)
{
	uint64_t at = c->shared[0] + (uint64_t)page * PAGE;

	return pages_dirty(p, c->pid, at, at + PAGE) == 1;
}

static void begin(struct client *c, struct round *r, struct pages *p)
{
	if (client_begin(c, "epoch", r) || client_pages(c, "epoch", p))
		die("begin: %s", c->text);
}

static void test_abort(struct client *c, struct child *child)
{
	struct pages p;
	struct round r;

	child_step(child, 3);
	begin(c, &r, &p);
	check(is_dirty(&p, child, 3), "page 3 is reported");
	pages_free(&p);
	child_step(child, 4);
	client_next(c, "epoch", 0, &r);
	client_pages(c, "epoch", &p);
	check(is_dirty(&p, child, 4) && !is_dirty(&p, child, 3),
	      "the second round has page 4 only");
	pages_free(&p);
	check(!client_abort(c, "epoch", r.epoch), "abort");
	child_step(child, 5);
	begin(c, &r, &p);
	check(is_dirty(&p, child, 3) && is_dirty(&p, child, 4) && is_dirty(&p, child, 5),
	      "after it both rounds are reported again, and what came since");
	check(!is_dirty(&p, child, 6), "and not more");
	pages_free(&p);
}

static void test_close(struct client *c, struct child *child)
{
	uint8_t id[CKPT_ID_LEN] = { 0xaa, 0xbb };
	struct client c2;
	struct pages p;
	struct round r;
	char state[32];

	/* The epoch of test_abort is still open; its owner goes. */
	client_close(c);
	get("/sys/kernel/ckpt/groups/epoch/state", state, sizeof(state));
	check(!strcmp(state, "idle"), "closing the owner's socket ends the epoch (%s)", state);
	if (client_open(&c2))
		die("open");
	begin(&c2, &r, &p);
	check(is_dirty(&p, child, 3) && is_dirty(&p, child, 5), "and gives its pages back");
	check(!client_commit(&c2, "epoch", r.epoch, id), "commit");
	pages_free(&p);
	begin(&c2, &r, &p);
	check(!is_dirty(&p, child, 3), "after a commit they are not reported again");
	check(!memcmp(r.id, id, CKPT_ID_LEN), "the id committed is handed back");
	pages_free(&p);
	client_abort(&c2, "epoch", r.epoch);
	*c = c2;
}

static void test_killed_owner(struct client *c, struct child *child)
{
	struct client mine;
	struct pages p;
	struct round r;
	pid_t pid;

	child_step(child, 9);
	pid = fork();
	if (!pid) {
		if (client_open(&mine) || client_begin(&mine, "epoch", &r))
			_exit(1);
		kill(getpid(), SIGKILL);
	}
	waitpid(pid, NULL, 0);
	begin(c, &r, &p);
	check(is_dirty(&p, child, 9), "an owner that was killed loses nothing");
	client_abort(c, "epoch", r.epoch);
	pages_free(&p);
}

static void test_owner(struct client *c)
{
	uint8_t id[CKPT_ID_LEN] = { 1 };
	struct client other;
	struct round r, r2;
	uint64_t last;

	client_open(&other);
	client_begin(c, "epoch", &r);
	last = r.epoch;
	check(client_begin(&other, "epoch", &r2) == -EBUSY && strstr(other.text, "open already"),
	      "a second opener is refused: %s", other.text);
	check(client_next(&other, "epoch", 0, &r2) == -EBUSY && strstr(other.text,
	      "another socket"),
	      "so is a round by another: %s", other.text);
	check(client_commit(&other, "epoch", r.epoch, id) == -EBUSY, "and a commit by another");
	check(client_abort(&other, "epoch", r.epoch) == -EBUSY, "and an abort");
	check(client_commit(c, "epoch", r.epoch + 1, id) == -ESTALE && c->text[0],
	      "a commit of another epoch is refused: %s", c->text);
	check(!client_abort(c, "epoch", r.epoch), "the owner's abort is not");
	check(client_abort(c, "epoch", r.epoch) == -EINVAL, "but a second one is");
	client_begin(&other, "epoch", &r);
	check(r.epoch > last, "epoch numbers grow");
	check(r.round == 1, "rounds begin at 1");
	client_close(&other);
}

static void test_no_epoch(struct client *c)
{
	struct pages p;

	check(client_pages(c, "epoch", &p) == -EINVAL && strstr(c->text, "no epoch is open"),
	      "without an epoch there is no dump: %s", c->text);
	pages_free(&p);
}

static void test_delete_open(struct client *c, struct child *child)
{
	struct client other;
	struct pages p;
	struct round r;

	client_open(&other);
	client_begin(c, "epoch", &r);
	check(!client_group_del(&other, "epoch"), "a group with an open epoch can be removed");
	check(client_next(c, "epoch", 0, &r) == -ENOENT, "its epoch is gone with it");
	check(!client_group_new(c, "epoch", "/epoch"), "and the name is free again");
	begin(c, &r, &p);
	check(pages_mm_flags(&p, child->pid) == CKPT_MM_NEW, "for a new group all is new");
	pages_free(&p);
	client_close(&other);
}

int main(void)
{
	uint8_t zero[CKPT_ID_LEN] = { 0 }, id[CKPT_ID_LEN] = { 7 };
	struct client c;
	struct child child;
	struct pages p;
	struct round r;
	uint32_t state = 99;

	cgroup_make("epoch");
	if (client_open(&c) || client_group_new(&c, "epoch", "/epoch"))
		die("tag: %s", c.text);
	child_start(&child, "epoch", step);
	/* The child holds a copy of that socket, which would keep it open. */
	client_close(&c);
	client_open(&c);
	child_step(&child, 0);
	begin(&c, &r, &p);
	check(!memcmp(r.id, zero, CKPT_ID_LEN) && r.load_cookie, "no checkpoint at first");
	pages_free(&p);
	client_commit(&c, "epoch", r.epoch, id);
	test_abort(&c, &child);
	test_close(&c, &child);
	test_killed_owner(&c, &child);
	test_owner(&c);
	test_no_epoch(&c);
	test_delete_open(&c, &child);
	client_close(&c);
	client_open(&c);
	child_end(&child);
	check(!cgroup_gone("epoch"), "the cgroup can be removed under its group");
	check(!client_group_state(&c, "epoch", &state) && state == CKPT_GROUP_GONE,
	      "which says so");
	check(client_begin(&c, "epoch", &r) == -ENODEV && c.text[0],
	      "and begins no epoch: %s", c.text);
	check(!client_group_del(&c, "epoch"), "and can be removed");
	client_close(&c);
	return finish();
}
