// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * events_tasks_test.c: exec, exit and OOM kill are told when they are wanted, and only then
 *
 * debug: slow
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/client.h"
#include "lib/events.h"
#include "lib/world.h"

#define SYS "/sys/kernel/ckpt/groups/tasks/"
#define BOMB 600
#define THREADS 4

enum { STEP_THREADS, STEP_BOMB, STEP_EAT };

static int fd;

static void *end_at_once(void *arg)
{
	return arg;
}

static void step(int n, uint64_t *shared)
{
	pthread_t thread;
	int i;

	if (n == STEP_EAT)
		memset(map_anon(256UL << 20, 0), 1, 256UL << 20);
	for (i = 0; n == STEP_THREADS && i < THREADS; i++)
		if (!pthread_create(&thread, NULL, end_at_once, NULL))
			pthread_join(thread, NULL);
	for (i = 0; n == STEP_BOMB && i < BOMB; i++) {
		pid_t pid = vfork();

		if (!pid)
			_exit(0);
		waitpid(pid, NULL, 0);
	}
	shared[0] = 1;
}

/* A process in a cgroup that calls exec once and ends. */
static void run_in(const char *cgroup)
{
	char command[256];

	snprintf(command, sizeof(command), "echo $$ >/sys/fs/cgroup/%s/cgroup.procs && exec true",
		 cgroup);
	if (system(command))
		die("run in %s", cgroup);
}

/* Exec and exit of one process. */
static void want_run(const char *why)
{
	events_want(fd, "tasks", CKPT_EVENT_EXEC, 1, 1, why);
	events_want(fd, "tasks", CKPT_EVENT_EXIT, 1, 1, "  and its exit");
}

static void test_which(struct client *c)
{
	run_in("tasks");
	events_want_none(fd, "nothing is told that was not asked for");
	if (client_set(c, "tasks", CKPT_EVENTS_EXEC | CKPT_EVENTS_EXIT, UNSET, UNSET, UNSET))
		die("set: %s", c->text);
	run_in("tasks");
	want_run("an exec in the group is told");
	run_in("tasks/below");
	want_run("one in a cgroup below it");
	run_in("tasks-not");
	events_want_none(fd, "one in another cgroup is not");
	check(!put(SYS "event_exec", "0"), "exec is turned off");
	run_in("tasks");
	events_want(fd, "tasks", CKPT_EVENT_EXIT, 1, 1, "exit is told all the same");
	check(!put(SYS "event_exit", "0"), "exit is turned off");
	run_in("tasks");
	events_want_none(fd, "and nothing is told");
	check(!put(SYS "event_exec", "1\n") && !put(SYS "event_exit", "1"), "both are turned on");
	run_in("tasks");
	want_run("and told again");
}

/* What one group wants is not told of another. */
static void test_two_groups(struct client *c)
{
	if (client_group_new(c, "other", "/tasks-not") ||
	    client_set(c, "other", CKPT_EVENTS_EXEC, UNSET, UNSET, UNSET) ||
	    client_set(c, "tasks", CKPT_EVENTS_EXIT, UNSET, UNSET, UNSET))
		die("set: %s", c->text);
	run_in("tasks");
	events_want(fd, "tasks", CKPT_EVENT_EXIT, 1, 1, "exit of the group that wants exit");
	events_want_none(fd, "and no exec, that another wants");
	run_in("tasks-not");
	events_want(fd, "other", CKPT_EVENT_EXEC, 1, 1, "exec of the group that wants exec");
	events_want_none(fd, "and no exit");
	if (client_group_del(c, "other"))
		die("untag: %s", c->text);
	if (client_set(c, "tasks", CKPT_EVENTS_EXEC | CKPT_EVENTS_EXIT, UNSET, UNSET, UNSET))
		die("set: %s", c->text);
	run_in("tasks");
	want_run("the end of one group takes no events from another");
}

static void test_threads(void)
{
	struct child child;

	child_start(&child, "tasks", step);
	child_step(&child, STEP_THREADS);
	events_want_none(fd, "the end of a thread is not told");
	child_end(&child);
	events_want(fd, "tasks", CKPT_EVENT_EXIT, 1, 1, "that of its process is");
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Whatever tasks do, ten messages a second are the most. */
static void test_bomb(void)
{
	uint64_t told = 0, messages = 0;
	double begun = now(), took = 0;
	struct child child;
	struct event e;
	int n = STEP_BOMB;

	child_start(&child, "tasks", step);
	if (write(child.to, &n, sizeof(n)) != sizeof(n))
		die("step");
	while (events_next(fd, 2000, &e)) {
		if (e.what != CKPT_EVENT_EXIT)
			check(false, "an event %u of a group that forks", e.what);
		told += e.value;
		messages++;
		took = now() - begun;
	}
	check(told == BOMB, "every exit is counted (%lu of %d)", told, BOMB);
	check((double)messages <= took * 10 + 2, "in few messages (%lu in %.1f s)", messages, took);
	child_end(&child);
	events_want(fd, "tasks", CKPT_EVENT_EXIT, 1, 1, "and then the last one");
}

static void test_oom(struct client *c)
{
	struct child child;
	int n = STEP_EAT;

	if (put("/sys/fs/cgroup/tasks/memory.max", "67108864"))
		die("memory.max");
	put("/sys/fs/cgroup/tasks/memory.swap.max", "0");
	if (client_set(c, "tasks", CKPT_EVENTS_OOM_KILL, UNSET, UNSET, UNSET))
		die("set: %s", c->text);
	child_start(&child, "tasks", step);
	if (write(child.to, &n, sizeof(n)) != sizeof(n))
		die("step");
	events_want(fd, "tasks", CKPT_EVENT_OOM_KILL, 1, 1, "an OOM kill in the group is told");
	child_end(&child);
	events_want_none(fd, "once");
	child_start(&child, "tasks", step);
	child_end(&child);
	events_want_none(fd, "another kill is none");
	put("/sys/fs/cgroup/tasks/memory.max", "max");
}

static void test_end(struct client *c)
{
	if (client_set(c, "tasks", 7, UNSET, UNSET, UNSET))
		die("set: %s", c->text);
	run_in("tasks");
	check(!client_group_del(c, "tasks"), "the group goes while something is to be told");
	while (events_next(fd, 300, &(struct event){ 0 }))
		;
	run_in("tasks");
	events_want_none(fd, "nothing is told of a group that is gone");
	if (client_group_new(c, "tasks", "/tasks"))
		die("tag: %s", c->text);
	run_in("tasks");
	events_want_none(fd, "a new group of the name wants nothing");
}

/*
 * Tasks end all the time, so a message is nearly always waiting for its time when the group goes.
 * Another group keeps the tracepoints hooked, which makes that quick.
 */
static void test_end_in_a_bomb(struct client *c)
{
	int i, n = STEP_BOMB, late = 0;
	struct child child;
	struct event e;

	if (client_group_new(c, "other", "/tasks-not") ||
	    client_set(c, "other", 7, UNSET, UNSET, UNSET))
		die("set: %s", c->text);
	child_start(&child, "tasks", step);
	if (write(child.to, &n, sizeof(n)) != sizeof(n))
		die("step");
	for (i = 0; i < 8; i++) {
		if (client_set(c, "tasks", 7, UNSET, UNSET, UNSET))
			die("set: %s", c->text);
		usleep(150000);
		if (client_group_del(c, "tasks"))
			die("untag: %s", c->text);
		while (events_next(fd, 0, &e))
			;
		while (events_next(fd, 150, &e))
			late++;
		if (client_group_new(c, "tasks", "/tasks"))
			die("tag: %s", c->text);
	}
	check(!late, "nothing is told after the end of a group whose tasks end all the time (%d)",
	      late);
	child_end(&child);
	client_group_del(c, "other");
}

int main(void)
{
	struct client c;

	cgroup_make("tasks");
	cgroup_make("tasks/below");
	cgroup_make("tasks-not");
	if (client_open(&c) || client_group_new(&c, "tasks", "/tasks"))
		die("tag: %s", c.text);
	fd = events_listen();
	test_which(&c);
	test_two_groups(&c);
	test_threads();
	test_bomb();
	test_oom(&c);
	test_end(&c);
	test_end_in_a_bomb(&c);
	client_group_del(&c, "tasks");
	client_close(&c);
	cgroup_gone("tasks-not");
	cgroup_gone("tasks/below");
	cgroup_gone("tasks");
	return finish();
}
