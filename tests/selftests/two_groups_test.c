// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * two_groups_test.c: what one group takes of an address space is told by another as well
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/client.h"
#include "lib/paging.h"
#include "lib/world.h"

#define LEN (64 * PAGE)
#define WRITTEN (13 * PAGE)
#define IDLE (40 * PAGE)
#define STACK (16 * PAGE)

enum { SETUP, WRITE, PARTNER, NO_PARTNER };
/* Words of the shared page. */
enum { MEMORY, PID };

static struct client c;
static struct child child;

static __attribute__((noreturn)) int partner(void *arg)
{
	(void)arg;
	for (;;)
		pause();
}

static void step(int n, uint64_t *shared)
{
	static char *p, *stack;

	switch (n) {
	case SETUP:
		prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
		p = map_anon(LEN, 0);
		memset(p, 1, LEN);
		stack = map_anon(STACK, 0);
		shared[MEMORY] = (uintptr_t)p;
		break;
	case WRITE:
		p[WRITTEN]++;
		break;
	case PARTNER:
		shared[PID] = (uint64_t)clone(partner, stack + STACK, CLONE_VM | SIGCHLD, NULL);
		break;
	case NO_PARTNER:
		kill((pid_t)shared[PID], SIGKILL);
		waitpid((pid_t)shared[PID], NULL, 0);
		break;
	}
}

static bool dirty(const struct pages *p, uint64_t offset)
{
	uint64_t addr = child.shared[MEMORY] + offset;

	return pages_dirty(p, child.pid, addr, addr + PAGE);
}

static void take(const char *group)
{
	struct pages p;

	client_take(&c, group, &p);
	pages_free(&p);
}

static void want_all(const char *what)
{
	struct pages p;

	client_take(&c, "one", &p);
	check(dirty(&p, WRITTEN), "%s", what);
	check(dirty(&p, IDLE), "with all the rest, since more may have been taken");
	pages_free(&p);
}

static void want_written(void)
{
	struct pages p;

	take("one");
	child_step(&child, WRITE);
	client_take(&c, "one", &p);
	check(dirty(&p, WRITTEN) && !dirty(&p, IDLE), "then only what is written is told");
	pages_free(&p);
}

/* To another group and back: the first one finds the address space that it knows. */
static void test_moved(void)
{
	child_step(&child, WRITE);
	cgroup_move(child.pid, "two");
	take("two");
	cgroup_move(child.pid, "one");
	want_all("a write that another group took is told");
	want_written();
}

/* Both groups have a process that uses it. */
static void test_both(void)
{
	child_step(&child, PARTNER);
	cgroup_move((pid_t)child.shared[PID], "two");
	take("two");
	take("one");
	child_step(&child, WRITE);
	take("two");
	want_all("a write that the other group took as well is told");
	child_step(&child, NO_PARTNER);
	take("one");
	want_written();
}

int main(void)
{
	cgroup_make("one");
	cgroup_make("two");
	if (client_open(&c) || client_group_new(&c, "one", "/one") ||
	    client_group_new(&c, "two", "/two"))
		die("tag: %s", c.text);
	child_start(&child, "one", step);
	child_step(&child, SETUP);
	batches_drain();
	take("one");
	want_written();
	test_moved();
	test_both();
	child_end(&child);
	client_group_del(&c, "one");
	client_group_del(&c, "two");
	client_close(&c);
	cgroup_gone("one");
	cgroup_gone("two");
	return finish();
}
