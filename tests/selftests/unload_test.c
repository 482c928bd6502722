// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * unload_test.c: the module goes while all its events are wanted, told and listened to
 *
 * Tasks of a group run programs and change files all the time, before the unload, in it and
 * after it: a probe, a timer or a work item that were left would run into code that is gone.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/changes.h"
#include "lib/client.h"
#include "lib/events.h"
#include "lib/world.h"

#define ROUNDS 6
#define RUNNERS 2
/* Of CKPT_EVENT_*: dirty and memory share, changed inodes, exec, exit. */
#define WANTED 0xf8

static atomic_uint told;
static atomic_bool ends;

static void *listen_on(void *arg)
{
	struct event e;

	while (!ends)
		if (events_next(*(int *)arg, 50, &e) && e.what < 32)
			told |= 1U << e.what;
	return NULL;
}

static void enter(void)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", getpid());
	if (put("/sys/fs/cgroup/unload/cgroup.procs", pid))
		_exit(1);
}

static void run_programs(void)
{
	pid_t pid;

	for (;;) {
		pid = vfork();
		if (!pid) {
			execl("/bin/true", "true", NULL);
			_exit(1);
		}
		waitpid(pid, NULL, 0);
	}
}

static void change_files(void)
{
	char path[64];
	int i;

	for (i = 0;; i++) {
		snprintf(path, sizeof(path), "/tmp/unload/%d", i % 8);
		append(path, "x");
		if (i % 64 == 63)
			unlink(path);
		usleep(500);
	}
}

static void start(pid_t *pids)
{
	int i;

	fflush(stdout);
	for (i = 0; i <= RUNNERS; i++) {
		pids[i] = fork();
		if (pids[i])
			continue;
		enter();
		if (i)
			run_programs();
		change_files();
	}
}

static bool all_told(void)
{
	int tries;

	for (tries = 0; (told & WANTED) != WANTED && tries < 1200; tries++)
		usleep(50000);
	return (told & WANTED) == WANTED;
}

static void one_round(int n)
{
	const char *ko = getenv("CKPT_KO");
	char command[512];
	pthread_t listener;
	struct client c;
	struct round r;
	int fd = events_listen();

	told = 0;
	ends = false;
	if (pthread_create(&listener, NULL, listen_on, &fd))
		die("a thread");
	if (client_open(&c) || client_group_new(&c, "unload", "/unload") ||
	    client_root(&c, CKPT_CMD_ROOT_ADD, "unload", "/tmp/unload") ||
	    client_set(&c, "unload", 7, 1, 1, 2))
		die("tag: %s", c.text);
	usleep(100000);
	if (client_begin(&c, "unload", &r))
		die("begin: %s", c.text);
	if (!check(all_told(), "round %d: every event is told", n))
		note("told %#x of %#x", (unsigned int)told, WANTED);
	/* On odd rounds the epoch is open and its socket, too. */
	if (n % 2 == 0)
		client_close(&c);
	check(!system("rmmod ckpt"), "round %d: the module is unloaded", n);
	check(access("/sys/kernel/ckpt", F_OK) && errno == ENOENT, "round %d: and gone", n);
	/* what was left of it would run now */
	sleep(1);
	if (n % 2)
		client_close(&c);
	ends = true;
	pthread_join(listener, NULL);
	snprintf(command, sizeof(command), "insmod %s", ko ? ko : "");
	if (system(command))
		die("load the module");
	check(client_open(&c) == 0 && client_group_del(&c, "unload") == -ENOENT,
	      "round %d: loaded again, it knows no group", n);
	client_close(&c);
}

int main(void)
{
	const char *given = getenv("CKPT_UNLOADS");
	int rounds = given && *given ? atoi(given) : ROUNDS;
	pid_t pids[RUNNERS + 1];
	int i;

	cgroup_make("unload");
	put("/sys/fs/cgroup/unload/memory.max", "536870912");
	if (system("rm -rf /tmp/unload && mkdir /tmp/unload"))
		die("folders");
	start(pids);
	for (i = 0; i < rounds; i++)
		one_round(i);
	for (i = 0; i <= RUNNERS; i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
	cgroup_gone("unload");
	return finish();
}
