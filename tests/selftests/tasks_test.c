// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tasks_test.c: address spaces that come, go, are shared and change their cgroup
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/client.h"
#include "lib/paging.h"
#include "lib/world.h"

#define NR 64
#define LEN (NR * PAGE)
#define STACK_LEN (64 * PAGE)

static struct client c;
static char *mem;
static pid_t other;

/* What a child does, by step; page numbers are those it writes. */
enum {
	MAP,
	FORK,		/* then the parent writes page 1 */
	FORK_WRITES,	/* the forked one writes page 2 */
	FORK_ENDS,
	VFORK,		/* the one that borrows the memory writes page 3 and execs */
	CLONE_VM_ONE,	/* writes page 4 */
	CLONE_VM_ENDS,
	THREAD,		/* writes page 5 and ends */
	WRITE,		/* page 6 */
};

struct clone {
	int to[2];
	int from[2];
};

static struct clone clone_one;

static int cloned(void *arg)
{
	char byte;

	(void)arg;
	mem[4 * PAGE]++;
	if (write(clone_one.from[1], "x", 1) != 1 || read(clone_one.to[0], &byte, 1) != 1)
		_exit(1);
	_exit(0);
}

/* Shares the memory, and is a process of its own. */
static void start_clone(uint64_t *shared)
{
	char *stack = map_anon(STACK_LEN, 0), byte;

	if (pipe(clone_one.to) || pipe(clone_one.from))
		_exit(1);
	other = clone(cloned, stack + STACK_LEN, CLONE_VM | SIGCHLD, NULL);
	if (other < 0 || read(clone_one.from[0], &byte, 1) != 1)
		_exit(1);
	shared[1] = (uint64_t)other;
}

static void start_fork(uint64_t *shared)
{
	int to[2], from[2];
	char byte;

	if (pipe(to) || pipe(from))
		_exit(1);
	other = fork();
	if (!other) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (read(to[0], &byte, 1) == 1) {
			mem[2 * PAGE]++;
			if (write(from[1], "x", 1) != 1)
				break;
		}
		_exit(0);
	}
	clone_one.to[1] = to[1];
	clone_one.from[0] = from[0];
	mem[1 * PAGE]++;
	shared[1] = (uint64_t)other;
}

static void *thread(void *arg)
{
	mem[5 * PAGE]++;
	return arg;
}

static void run_vfork(void)
{
	pid_t pid = vfork();

	if (!pid) {
		mem[3 * PAGE]++;
		execl("/bin/true", "true", NULL);
		_exit(1);
	}
	waitpid(pid, NULL, 0);
}

static void step(int n, uint64_t *shared)
{
	pthread_t t;
	char byte;

	switch (n) {
	case MAP:
		mem = map_anon(LEN, 0);
		madvise(mem, LEN, MADV_NOHUGEPAGE);
		memset(mem, 1, LEN);
		shared[0] = (uint64_t)(uintptr_t)mem;
		break;
	case FORK:
		start_fork(shared);
		break;
	case FORK_WRITES:
		if (write(clone_one.to[1], "x", 1) != 1 || read(clone_one.from[0], &byte, 1) != 1)
			_exit(1);
		break;
	case FORK_ENDS:
		kill(other, SIGKILL);
		waitpid(other, NULL, 0);
		break;
	case VFORK:
		run_vfork();
		break;
	case CLONE_VM_ONE:
		start_clone(shared);
		break;
	case CLONE_VM_ENDS:
		if (write(clone_one.to[1], "x", 1) != 1)
			_exit(1);
		waitpid(other, NULL, 0);
		break;
	case THREAD:
		pthread_create(&t, NULL, thread, NULL);
		pthread_join(t, NULL);
		break;
	case WRITE:
		mem[6 * PAGE]++;
		break;
	}
}

static bool is_dirty(const struct pages *p, pid_t pid, uint64_t mem_at, int page)
{
	uint64_t at = mem_at + (uint64_t)page * PAGE;

	return pages_dirty(p, pid, at, at + PAGE) == 1;
}

static bool is_told(const struct pages *p, pid_t pid)
{
	return pages_mm_cookie(p, pid) != 0;
}

/* By how many pids the address space of this cookie is told. */
static size_t nr_with(const struct pages *p, uint64_t cookie)
{
	pid_t last = 0;
	size_t i, n = 0;

	for (i = 0; i < p->nr_areas; i++) {
		if (p->area[i].cookie != cookie || p->area[i].pid == last)
			continue;
		last = p->area[i].pid;
		n++;
	}
	return n;
}

static void test_fork(struct child *child)
{
	uint64_t at = child->shared[0], cookie;
	struct pages p;
	pid_t pid;

	child_step(child, FORK);
	pid = (pid_t)child->shared[1];
	client_take(&c, "tasks", &p);
	check(is_dirty(&p, child->pid, at, 1) && !is_dirty(&p, child->pid, at, 9),
	      "fork: the parent's pages are dirty where it wrote");
	check(pages_mm_flags(&p, pid) == CKPT_MM_NEW && pages_dirty(&p, pid, at, at + LEN) == NR,
	      "and the child is new and told whole");
	cookie = pages_mm_cookie(&p, pid);
	check(cookie && cookie != pages_mm_cookie(&p, child->pid),
	      "as an address space of its own");
	pages_free(&p);
	child_step(child, FORK_WRITES);
	client_take(&c, "tasks", &p);
	check(is_dirty(&p, pid, at, 2) && !is_dirty(&p, pid, at, 9) &&
	      !is_dirty(&p, child->pid, at, 2), "what it writes is its own");
	check(pages_mm_cookie(&p, pid) == cookie, "and its cookie stays");
	pages_free(&p);
	child_step(child, FORK_ENDS);
	client_take(&c, "tasks", &p);
	check(!is_told(&p, pid) && is_told(&p, child->pid), "an exit: it is told no more");
	pages_free(&p);
}

static void test_shared_mm(struct child *child)
{
	uint64_t at = child->shared[0], cookie;
	struct pages p;
	pid_t pid;

	child_step(child, VFORK);
	client_take(&c, "tasks", &p);
	cookie = pages_mm_cookie(&p, child->pid);
	check(is_dirty(&p, child->pid, at, 3), "vfork: what the borrower wrote is told");
	check(!is_dirty(&p, child->pid, at, 9) && nr_with(&p, cookie) == 1, "and not more");
	pages_free(&p);
	child_step(child, CLONE_VM_ONE);
	pid = (pid_t)child->shared[1];
	client_take(&c, "tasks", &p);
	check(is_told(&p, child->pid) != is_told(&p, pid) && nr_with(&p, cookie) == 1,
	      "two processes that share memory are one address space");
	if (!is_told(&p, child->pid))
		check(is_dirty(&p, pid, at, 4), "and what either wrote is told");
	else
		check(is_dirty(&p, child->pid, at, 4), "and what either wrote is told");
	pages_free(&p);
	child_step(child, CLONE_VM_ENDS);
	child_step(child, THREAD);
	client_take(&c, "tasks", &p);
	check(pages_mm_cookie(&p, child->pid) == cookie && is_dirty(&p, child->pid, at, 5),
	      "what a thread wrote that ended since is told");
	check(!is_dirty(&p, child->pid, at, 4), "and what was told is not");
	pages_free(&p);
}

static void test_moves(struct child *child)
{
	uint64_t at = child->shared[0], cookie;
	struct pages p;

	client_take(&c, "tasks", &p);
	cookie = pages_mm_cookie(&p, child->pid);
	pages_free(&p);
	cgroup_make("tasks/below");
	cgroup_move(child->pid, "tasks/below");
	child_step(child, WRITE);
	client_take(&c, "tasks", &p);
	check(pages_mm_cookie(&p, child->pid) == cookie && is_dirty(&p, child->pid, at, 6) &&
	      !is_dirty(&p, child->pid, at, 9), "a nested cgroup is the group's, too");
	pages_free(&p);
	cgroup_move(child->pid, "tasks_out");
	child_step(child, WRITE);
	client_take(&c, "tasks", &p);
	check(!is_told(&p, child->pid), "who leaves the cgroup is told no more");
	pages_free(&p);
	cgroup_move(child->pid, "tasks");
	client_take(&c, "tasks", &p);
	check(pages_mm_flags(&p, child->pid) == CKPT_MM_NEW &&
	      pages_dirty(&p, child->pid, at, at + LEN) == NR, "who comes back is told whole");
	check(pages_mm_cookie(&p, child->pid) != cookie, "as another one");
	pages_free(&p);
	check(!cgroup_gone("tasks/below"), "the nested cgroup can go");
}

/* In and out between two takes, and out in the middle of an epoch. */
static void test_short_moves(struct child *child)
{
	uint64_t at = child->shared[0];
	struct pages p;
	struct round r;

	client_take(&c, "tasks", &p);
	pages_free(&p);
	cgroup_move(child->pid, "tasks_out");
	child_step(child, WRITE);
	cgroup_move(child->pid, "tasks");
	client_take(&c, "tasks", &p);
	check(is_dirty(&p, child->pid, at, 6), "what was written outside, between takes, is told");
	pages_free(&p);
	child_step(child, WRITE);
	if (client_begin(&c, "tasks", &r))
		die("begin: %s", c.text);
	cgroup_move(child->pid, "tasks_out");
	client_next(&c, "tasks", 0, &r);
	client_abort(&c, "tasks", r.epoch);
	cgroup_move(child->pid, "tasks");
	client_take(&c, "tasks", &p);
	check(is_dirty(&p, child->pid, at, 6), "and what an epoch took of who left is given back");
	pages_free(&p);
}

/* Processes that come and go while rounds are taken. */
static void test_churn(void)
{
	uint64_t until = 60;
	struct pages p;
	struct round r;
	pid_t pid;
	int bad = 0;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;) {
			if (!fork())
				_exit(0);
			if (!vfork())
				_exit(0);
			while (waitpid(-1, NULL, WNOHANG) > 0)
				;
		}
	}
	cgroup_move(pid, "tasks");
	client_begin(&c, "tasks", &r);
	while (until--) {
		bad |= client_next(&c, "tasks", until ? 0 : CKPT_EPOCH_FINAL, &r);
		bad |= client_pages(&c, "tasks", &p);
		bad |= !is_told(&p, pid);
		pages_free(&p);
	}
	check(!bad && r.round == 61, "rounds are taken while processes come and go (%s)", c.text);
	client_abort(&c, "tasks", r.epoch);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* --- a leader that ends before its threads, and an exec --- */

static volatile uint64_t *told;

static void *survivor(void *arg)
{
	(void)arg;
	usleep(100000);		/* the leader has ended by then */
	told[0] = 1;
	while (told[1] == 0)
		usleep(1000);
	mem[7 * PAGE]++;
	told[0] = 2;
	pause();
	return NULL;
}

static pid_t start(void (*run)(void))
{
	pid_t pid;

	fflush(stdout);
	told[0] = told[1] = 0;
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		cgroup_move(getpid(), "tasks");
		mem = map_anon(LEN, 0);
		memset(mem, 1, LEN);
		told[2] = (uint64_t)(uintptr_t)mem;
		run();
	}
	return pid;
}

static void wait_for(uint64_t value)
{
	int tries;

	for (tries = 0; told[0] != value; tries++) {
		if (tries > 30000)
			die("the other process does not answer");
		usleep(1000);
	}
}

static void leader_ends(void)
{
	pthread_t t;

	pthread_create(&t, NULL, survivor, NULL);
	syscall(SYS_exit, 0);
}

static void test_leader(void)
{
	pid_t pid = start(leader_ends);
	struct pages p;
	int tries;

	wait_for(1);
	batches_drain();
	client_take(&c, "tasks", &p);
	check(pages_mm_flags(&p, pid) == CKPT_MM_NEW, "a process whose leader has ended is told");
	pages_free(&p);
	told[1] = 1;
	wait_for(2);
	client_take(&c, "tasks", &p);
	check(is_dirty(&p, pid, told[2], 7), "and what its thread writes");
	/* the kernel may hold a page for a moment, for work of its own */
	for (tries = 0; is_dirty(&p, pid, told[2], 9) && tries < 5; tries++) {
		pages_free(&p);
		batches_drain();
		client_take(&c, "tasks", &p);
	}
	check(tries < 5, "and not more (%d tries)", tries);
	pages_free(&p);
	kill(pid, SIGKILL);
	/* a zombie until it is waited for */
	usleep(100000);
	client_take(&c, "tasks", &p);
	check(!is_told(&p, pid), "a zombie has nothing to tell");
	pages_free(&p);
	waitpid(pid, NULL, 0);
}

static void exec_late(void)
{
	told[0] = 1;
	while (told[1] == 0)
		usleep(1000);
	execl("/bin/sleep", "sleep", "1000", NULL);
	_exit(1);
}

static void test_exec(void)
{
	pid_t pid = start(exec_late);
	uint64_t cookie, text;
	struct pages p;
	int tries;

	wait_for(1);
	client_take(&c, "tasks", &p);
	cookie = pages_mm_cookie(&p, pid);
	pages_free(&p);
	told[1] = 1;
	for (tries = 0; tries < 3000; tries++) {
		client_take(&c, "tasks", &p);
		text = pages_mm_cookie(&p, pid);
		if (text != cookie)
			break;
		pages_free(&p);
		usleep(10000);
	}
	check(text && text != cookie && pages_mm_flags(&p, pid) == CKPT_MM_NEW &&
	      !nr_with(&p, cookie), "exec: another address space, told whole, the old one gone");
	pages_free(&p);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void test_nested_groups(void)
{
	cgroup_make("tasks/below");
	check(client_group_new(&c, "below", "/tasks/below") == -EBUSY,
	      "a cgroup below a group's is no group of its own: %s", c.text);
	check(!cgroup_gone("tasks/below"), "and is not held");
}

int main(void)
{
	struct child child;
	struct pages p;

	told = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	cgroup_make("tasks");
	cgroup_make("tasks_out");
	if (client_open(&c) || client_group_new(&c, "tasks", "/tasks"))
		die("tag: %s", c.text);
	child_start(&child, "tasks", step);
	child_step(&child, MAP);
	client_take(&c, "tasks", &p);
	pages_free(&p);
	test_fork(&child);
	test_shared_mm(&child);
	test_moves(&child);
	test_short_moves(&child);
	child_end(&child);
	test_churn();
	test_leader();
	test_exec();
	test_nested_groups();
	client_group_del(&c, "tasks");
	client_close(&c);
	cgroup_gone("tasks");
	cgroup_gone("tasks_out");
	return finish();
}
