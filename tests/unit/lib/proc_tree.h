/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Self-checking tree: processes and threads that notice when they are disturbed
 *
 * Each member works in a loop, checks itself, and counts its rounds in a file
 * that the test maps too.  The first thing that is wrong is written there.
 */
#ifndef CKPT_TEST_PROC_TREE_H
#define CKPT_TEST_PROC_TREE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum proc_tree_member {
	TREE_SPIN,		/* registers, vector registers, flags */
	TREE_NANOSLEEP,		/* sleeps what it asked for, no EINTR */
	TREE_POLL,
	TREE_FUTEX,		/* a wait with a timeout */
	TREE_SIGTIMEDWAIT,	/* calls the kernel does not restart */
	TREE_SEMTIMEDOP,
	TREE_SIGSUSPEND,	/* a timer's signals, none lost */
	TREE_READ,		/* a sequence of bytes through a pipe */
	TREE_WRITE,
	TREE_CHILD,		/* a process of its own */
	TREE_SPAWN,		/* a process that spawns by vfork; only when asked for */
	TREE_MEMBERS,
};

/**
 * struct proc_tree_report - the shared page
 * @rounds: by member
 * @wrong: first complaint, empty while all is well
 * @eintr: how often a call that the kernel does not restart ended with EINTR
 * @stopped, @zombie: pids of the stopped child and the zombie
 * @sem: System V semaphore, to be removed by the test
 */
struct proc_tree_report {
	volatile uint64_t rounds[TREE_MEMBERS];
	char wrong[256];
	volatile uint64_t eintr;
	volatile int32_t stopped, zombie;
	int32_t sem;
};

/**
 * proc_tree_start - start the tree
 * @path: file of the report, made anew
 * @cgroup: directory of the cgroup it goes to first
 * @spawn: with the member that spawns
 * @ret: the report, mapped
 *
 * Return: pid of its root, leader of a new session.
 */
pid_t proc_tree_start(const char *path, const char *cgroup, bool spawn,
		      struct proc_tree_report **ret);

/* A test calls this first: does not return when it is started as a tree. */
void proc_tree_maybe_main(int argc, char **argv);

/* Wait until every member has gone on by @rounds. Return: 0, or -1 after 20 s. */
int proc_tree_go_on(const struct proc_tree_report *report, bool spawn, uint64_t rounds);

#endif
