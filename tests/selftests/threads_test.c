// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * threads_test.c: one address space with threads in several cgroups
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/client.h"
#include "lib/paging.h"
#include "lib/world.h"

#define NR 64
#define LEN (NR * PAGE)

enum { SETUP, THREAD_WRITES, LEADER_WRITES };

static struct client c;
static volatile char *mem;
static volatile int asked, done;

static void *thread(void *arg)
{
	uint64_t *shared = arg;

	shared[1] = (uint64_t)syscall(SYS_gettid);
	done = 1;
	for (;;) {
		while (done == asked + 1)
			usleep(1000);
		mem[7 * PAGE]++;
		done = asked + 1;
	}
	return NULL;
}

static void step(int n, uint64_t *shared)
{
	pthread_t t;

	switch (n) {
	case SETUP:
		mem = map_anon(LEN, 0);
		madvise((void *)mem, LEN, MADV_NOHUGEPAGE);
		memset((void *)mem, 1, LEN);
		shared[0] = (uint64_t)(uintptr_t)mem;
		pthread_create(&t, NULL, thread, shared);
		while (!done)
			usleep(1000);
		break;
	case THREAD_WRITES:
		asked++;
		while (done != asked + 1)
			usleep(1000);
		break;
	case LEADER_WRITES:
		mem[5 * PAGE]++;
		break;
	}
}

/* Move a process, or a thread alone. */
static void move_to(uint64_t id, const char *cgroup, const char *file)
{
	char path[128], text[24];

	snprintf(path, sizeof(path), "/sys/fs/cgroup/%s/%s", cgroup, file);
	snprintf(text, sizeof(text), "%lu", id);
	if (put(path, text))
		die("move %s to %s", text, path);
}

static void threaded(const char *cgroup)
{
	char path[128];

	cgroup_make(cgroup);
	snprintf(path, sizeof(path), "/sys/fs/cgroup/%s/cgroup.type", cgroup);
	if (put(path, "threaded"))
		die("threaded %s", path);
}

static size_t nr_told(const struct pages *p, uint64_t cookie)
{
	pid_t last = 0;
	size_t i, n = 0;

	for (i = 0; i < p->nr_areas; i++) {
		n += p->area[i].cookie == cookie && p->area[i].pid != last;
		last = p->area[i].pid;
	}
	return n;
}

/* Three cases: both threads write, and the address space is told once, with both. */
static void want_both(const struct child *child, const char *group, uint64_t cookie,
		      const char *what)
{
	uint64_t at = child->shared[0], is;
	struct pages p;
	uint32_t thread_flags, leader_flags, other;

	batches_drain();
	client_take(&c, group, &p);
	pages_free(&p);
	child_step(child, THREAD_WRITES);
	child_step(child, LEADER_WRITES);
	client_take(&c, group, &p);
	is = pages_mm_cookie(&p, child->pid);
	check(pages_mm_flags(&p, child->pid) == 0 && nr_told(&p, is) == 1 &&
	      (!cookie || is == cookie), "%s: one address space", what);
	pages_state(&p, child->pid, at + 7 * PAGE, &thread_flags);
	pages_state(&p, child->pid, at + 5 * PAGE, &leader_flags);
	pages_state(&p, child->pid, at + 9 * PAGE, &other);
	check(thread_flags & leader_flags & CKPT_RUN_DIRTY, "%s: what either wrote is told", what);
	check(!(other & CKPT_RUN_DIRTY), "%s: and not more", what);
	pages_free(&p);
}

static void test_below(void)
{
	struct child child;
	uint64_t cookie;
	struct pages p;

	cgroup_make("threads");
	if (client_group_new(&c, "threads", "/threads"))
		die("tag: %s", c.text);
	child_start(&child, "threads", step);
	child_step(&child, SETUP);
	client_take(&c, "threads", &p);
	cookie = pages_mm_cookie(&p, child.pid);
	pages_free(&p);
	want_both(&child, "threads", cookie, "all threads in the group's cgroup");
	threaded("threads/one");
	threaded("threads/two");
	move_to(child.shared[1], "threads/one", "cgroup.threads");
	want_both(&child, "threads", cookie, "a thread in a threaded cgroup below");
	move_to((uint64_t)child.pid, "threads/two", "cgroup.threads");
	want_both(&child, "threads", cookie, "the leader in another one");
	move_to((uint64_t)child.pid, "threads", "cgroup.threads");
	move_to(child.shared[1], "threads", "cgroup.threads");
	want_both(&child, "threads", cookie, "both back");
	child_end(&child);
	client_group_del(&c, "threads");
	cgroup_gone("threads/one");
	cgroup_gone("threads/two");
	cgroup_gone("threads");
}

/* The group is one of the threaded cgroups, and not all threads are in it. */
static void test_beside(void)
{
	struct child child;
	struct pages p;

	cgroup_make("domain");
	threaded("domain/in");
	threaded("domain/out");
	if (client_group_new(&c, "in", "/domain/in"))
		die("tag: %s", c.text);
	child_start(&child, "domain", step);
	child_step(&child, SETUP);
	client_take(&c, "in", &p);
	check(!pages_mm_cookie(&p, child.pid), "no thread in the group: not told");
	pages_free(&p);
	move_to(child.shared[1], "domain/in", "cgroup.threads");
	client_take(&c, "in", &p);
	check(pages_mm_flags(&p, child.pid) == CKPT_MM_NEW,
	      "one thread comes in: its address space is told, by the leader's pid, and new");
	pages_free(&p);
	want_both(&child, "in", 0, "the leader outside of the group");
	move_to((uint64_t)child.pid, "domain/out", "cgroup.threads");
	want_both(&child, "in", 0, "in a threaded cgroup beside it");
	move_to(child.shared[1], "domain/out", "cgroup.threads");
	client_take(&c, "in", &p);
	check(!pages_mm_cookie(&p, child.pid), "the last thread goes: told no more");
	pages_free(&p);
	child_end(&child);
	client_group_del(&c, "in");
	cgroup_gone("domain/in");
	cgroup_gone("domain/out");
	cgroup_gone("domain");
}

int main(void)
{
	if (client_open(&c))
		die("open: %s", c.text);
	test_below();
	test_beside();
	client_close(&c);
	return finish();
}
