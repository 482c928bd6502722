// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * files_threads_test.c: what threads share is looked at once, also when their leader is gone
 *
 * debug: slow
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/changes.h"
#include "lib/world.h"

#define MUST(call) do { if ((call) < 0) die("%s", #call); } while (0)
#define ROOT "/scratch/files-threads"
#define FILE_NAME ROOT "/f"
#define THREADS 300
#define DESCRIPTORS 2000

static struct changes c;

static void *wait_for_ever(void *arg)
{
	for (;;)
		pause();
	return arg;
}

/* A process with many threads and descriptors, whose leader may end. */
static void many(bool leader_ends, int ready)
{
	const struct rlimit limit = { DESCRIPTORS + 64, DESCRIPTORS + 64 };
	pthread_t thread;
	int fd, i;

	put("/sys/fs/cgroup/files-threads/cgroup.procs", "0");
	MUST(setrlimit(RLIMIT_NOFILE, &limit));
	MUST(fd = open(FILE_NAME, O_WRONLY | O_CLOEXEC));
	for (i = 1; i < DESCRIPTORS; i++)
		MUST(dup(fd));
	for (i = 0; i < THREADS; i++)
		if (pthread_create(&thread, NULL, wait_for_ever, NULL))
			die("threads");
	MUST(write(ready, "r", 1));
	if (leader_ends)
		pthread_exit(NULL);
	wait_for_ever(NULL);
}

static pid_t start(bool leader_ends)
{
	int ready[2];
	pid_t pid;
	char r;

	MUST(pipe(ready));
	fflush(stdout);
	MUST(pid = fork());
	if (!pid)
		many(leader_ends, ready[1]);
	MUST(read(ready[0], &r, 1));
	close(ready[0]);
	close(ready[1]);
	/* until its leader is gone */
	usleep(300000);
	return pid;
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* The shortest of a few takes, in seconds. */
static double take(bool leader_ends)
{
	struct stat st = changes_id(FILE_NAME);
	pid_t pid = start(leader_ends);
	double best = 1e9;
	int i;

	for (i = 0; i < 5; i++) {
		double from = seconds(), to;

		changes_take(&c);
		to = seconds();
		best = to - from < best ? to - from : best;
		check(changes_flags(&c, &st) & CKPT_INODE_F_OPEN, "its file is open");
		changes_commit(&c);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	changes_settle(&c);
	return best;
}

int main(void)
{
	double with, without;

	shell("rm -rf " ROOT " && mkdir " ROOT);
	append(FILE_NAME, "content");
	changes_open(&c, "files-threads");
	changes_root(&c, ROOT);
	changes_settle(&c);
	with = take(false);
	without = take(true);
	check(without < 10 * with + 0.05, "a take of %d threads that share %d descriptors: %.1f ms "
	      "with their leader, %.1f ms without", THREADS, DESCRIPTORS, with * 1e3,
	      without * 1e3);
	changes_close(&c);
	shell("rm -rf " ROOT);
	return finish();
}
