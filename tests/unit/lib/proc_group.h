/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Groups for tests of the stop: a cgroup, processes in it, one whole stop. */
#ifndef CKPT_TEST_PROC_GROUP_H
#define CKPT_TEST_PROC_GROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "proc/stop.h"

/* Make <mount of cgroup v2>/ckpt-test-PID@name. Return: 0 with its directory, -1. */
int proc_group_make(const char *name, char *ret, size_t size);
/* Kill what is in it and below, reap what is ours, remove it. */
void proc_group_end(const char *cgroup);
/* Write a file of it. Return: 0 or -1. */
int proc_group_put(const char *cgroup, const char *file, const char *text);

/* A body exits with it where this machine has no such thing: by the next one, mostly. */
#define PROC_GROUP_NONE 77

/**
 * proc_group_lacks - called by a body when a call has failed that not every machine has
 * @also: an errno that says so of this call, beside those that say it of any; 0: none
 *
 * Exits with PROC_GROUP_NONE, or with errno when it says something else.
 */
void __attribute__((noreturn)) proc_group_lacks(int also);

/**
 * proc_group_spawn - a process that holds nothing but what @body makes
 * @cgroup: where it goes first, or NULL
 * @body: runs in it with descriptors 0 to 2 on /dev/null and 3 reserved; then it pauses
 *
 * Return: its pid once @body has returned, or -1 when it has exited with PROC_GROUP_NONE
 * instead; any other end fails the test.
 */
pid_t proc_group_spawn(const char *cgroup, void (*body)(void));

/* With a longer bound for the stop, unless there is one: what is tested runs beside much else. */
struct ckpt_stop_params proc_group_patient(const struct ckpt_stop_params *params);

/* One stop as ckpt-tool makes it; @ret may be NULL. */
int proc_group_cycle(const struct ckpt_stop_params *params, struct ckpt_image *ret,
		     struct ckpt_err *err);

/**
 * proc_group_collect_at - a stop whose keeper stands at a fault point while it collects
 * @point: with its action: "keeper.looked=stop"
 * @ret: goes on by SIGCONT to the keeper and ckpt_stop_collect_wait
 *
 * Return: pid of the keeper, or -1 with @err.
 */
pid_t proc_group_collect_at(const struct ckpt_stop_params *params, const char *point,
			    struct ckpt_stop **ret, struct ckpt_err *err);

/* What a process that holds something is refused for, and the words of the refusal. */
struct proc_group_refusal {
	void (*hold)(void);
	const char *says;
};

/* Fails the test unless a stop with @params is refused, saying @says. */
void proc_group_refused(const struct ckpt_stop_params *params, const char *says);
/* The same for a process of each of @cases, which runs on; what is not here is left out. */
void proc_group_refusals(const struct proc_group_refusal *cases, size_t n);

/* Runs, or sleeps, and nobody traces it. */
bool proc_group_untraced(pid_t pid);

#endif
