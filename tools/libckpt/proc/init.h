/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Init: the small process above a tree that was started or restored
 *
 * It is pid 1 of the tree's pid namespace (or, for a tree that has the pids
 * of the machine, a child subreaper), adopts orphans, reaps them and exits with
 * the status of the root task when the last one is gone.  It lives outside the
 * group's cgroup and is no part of an image.
 *
 * A started tree does not depend on the caller.  A tree under restoration dies
 * with the caller: until ckpt_init_release the end of the control socket
 * makes init kill what there is and exit.
 *
 * LIFETIME: spawn; then release (restore only); then close, which leaves init
 * alone, or kill, which ends it and the tree.
 */
#ifndef CKPT_PROC_INIT_H
#define CKPT_PROC_INIT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct ckpt_uts;

/**
 * struct ckpt_init_params - what kind of init
 * @private_pidns: pid 1 of a new pid namespace, in a new mount namespace with a
 *	/proc of its own; else a subreaper among the caller's pids
 * @clocks: a new time namespace in which the clocks go on from the next two
 * @monotonic_ns, @boottime_ns: values of the clocks now
 * @uts: names in a new uts namespace; NULL: the caller's
 * @ipc, @net: a new ipc, network namespace
 * @cgroupns: a new cgroup namespace with @cgroup as its root, in CKPT_INIT_SPACE_FD, for the tree:
 *	init, who is above it, makes nobody in a cgroup out of one
 * @cgroup: directory of the group's cgroup (v2)
 * @stdio: descriptors 0 to 2 of init, and of the tree
 * @argv: command to start, or NULL to wait for tasks made by restore
 * @envp: its environment
 * @cwd: its working directory, NULL for the caller's
 */
struct ckpt_init_params {
	bool private_pidns;
	bool clocks;
	uint64_t monotonic_ns, boottime_ns;
	const struct ckpt_uts *uts;
	bool ipc, net, cgroupns;
	const char *cgroup;
	int stdio[3];
	char *const *argv;
	char *const *envp;
	const char *cwd;
};

/**
 * struct ckpt_init - an init as its maker sees it
 * @pid: of init, host
 * @root: the command, host pid; 0 before there is one
 * @control: socket to it
 * @cgroup_fd: directory of the group's cgroup
 */
struct ckpt_init {
	pid_t pid;
	pid_t root;
	int control;
	int cgroup_fd;
};

/* Where init has the cgroup's directory open until it is released. */
#define CKPT_INIT_CGROUP_FD 4
/* And the cgroup namespace of the tree, where it has one of its own. */
#define CKPT_INIT_SPACE_FD 5

#define CKPT_INIT_NONE { .control = -1, .cgroup_fd = -1 }

/* Return: 0 with init running, and the command executed where there is one. */
int ckpt_init_spawn(const struct ckpt_init_params *params, struct ckpt_init *ret,
		    struct ckpt_err *err);

/**
 * ckpt_init_release - let a restored tree live on its own
 * @root: its root task in its own pid namespace
 *
 * Init thaws the cgroup: the one instant from which the tree runs, whatever
 * happens to the caller.  Until then it is frozen as a whole; a caller that dies
 * before has it killed by init, one that dies after is not missed.
 *
 * Return: 0 with the cgroup thawed; -1 with the tree still frozen, or killed.
 */
int ckpt_init_release(struct ckpt_init *init, pid_t root, struct ckpt_err *err);

/**
 * ckpt_init_wait - wait for the root task
 * @ret_status: its exit status as a shell shows it, 128 + signal included
 */
int ckpt_init_wait(struct ckpt_init *init, int *ret_status, struct ckpt_err *err);

void ckpt_init_close(struct ckpt_init *init);
/* Kill every task in the cgroup, frozen ones where they are. */
void ckpt_init_kill_tree(const struct ckpt_init *init);
/* Kill the tree, then thaw its cgroup for the next user, then end init. */
void ckpt_init_kill(struct ckpt_init *init);

#endif
