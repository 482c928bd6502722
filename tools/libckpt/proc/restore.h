/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Restore: a stopped tree built from an image, verified, then let run
 *
 * The caller builds every task by remote system calls: a fork of init is
 * emptied, multiplied by clone3 with the pids of the image, and filled.  No
 * instruction of the tree runs before ckpt_restore_run, and until its last
 * step the tree dies with the caller.
 *
 * LOCKING: ptrace belongs to a thread; one thread makes all calls.
 * LIFETIME: preflight; build; verify; run; close.  close without run kills all.
 */
#ifndef CKPT_PROC_RESTORE_H
#define CKPT_PROC_RESTORE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/pages.h"
#include "proc/image.h"

struct ckpt_restore;

/**
 * struct ckpt_restore_params - what is restored, and into what
 * @image: the tree, checked; must outlive the restore
 * @source: where its pages are; must outlive the restore
 * @cgroup: directory of the group's cgroup (v2): there, with nobody in it; NULL
 *	for a preflight before it is made
 * @above: without @cgroup: directory of the nearest cgroup above that is there; NULL: ours
 * @cpuset: without @cgroup: the cpuset.cpus that it will have; NULL: all that are above
 * @taken: a pid of it that somebody had before: it gets a new pid namespace, whatever is free
 *	by now; 0: that is to be seen
 * @ret_taken: of a build that fails because somebody has taken a pid since it was looked at:
 *	that pid; else left alone; NULL: not wanted
 * @stdio: what replaces descriptors 0-2 that led outside
 * @tcp_repair: TCP connections to the outside go on where that loses nothing; else they are reset
 * @later: preflight alone: whether a file is not in place yet and is left out;
 *	NULL: all are there
 * @later_arg: passed on
 */
struct ckpt_restore_params {
	const struct ckpt_image *image;
	const struct ckpt_source *source;
	const char *cgroup, *above, *cpuset;
	int32_t taken, *ret_taken;
	int stdio[3];
	bool tcp_repair;
	bool (*later)(const void *arg, const char *path);
	const void *later_arg;
};

/**
 * struct ckpt_restore_result - a tree that runs
 * @root_pid: its root task, host
 * @moved: it is in a new pid namespace, and had none of its own
 * @build_ns, @verify_ns, @run_ns: time of the three steps
 * @pages: pages placed and compared
 * @tcp_repaired, @tcp_reset: TCP connections to the outside that go on, and that do not
 * @tcp_why: why the first of these does not
 */
struct ckpt_restore_result {
	pid_t root_pid;
	bool moved;
	uint64_t build_ns, verify_ns, run_ns;
	uint64_t pages;
	size_t tcp_repaired, tcp_reset;
	char tcp_why[128];
};

/**
 * ckpt_restore_preflight - can this machine, now, hold the tree?
 *
 * Reads alone: pids, vdso, CPU features, limits, mapped files and executables
 * (that they are there with the size and time of the capture; their content is
 * the caller's to check).
 *
 * Return: 0, or -1 with the first obstacle as the error (CKPT_REFUSED).
 */
int ckpt_restore_preflight(const struct ckpt_restore_params *params, struct ckpt_err *err);

/*
 * The same.  @ret_taken: somebody has this pid of a tree that has no pid namespace of its own,
 * which is why it gets a new one; 0: nobody has any.
 */
int ckpt_restore_forecast(const struct ckpt_restore_params *params, int32_t *ret_taken,
			  struct ckpt_err *err);

/**
 * ckpt_restore_build - build the tree, stopped
 * @params: copied; preflight is repeated
 * @ret: to be closed with ckpt_restore_close
 *
 * Where its pids are taken the tree gets a new pid namespace, in which it has them.
 *
 * Return: 0, or -1 with nothing left of what was built.
 */
int ckpt_restore_build(const struct ckpt_restore_params *params, struct ckpt_restore **ret,
		       struct ckpt_err *err);

/**
 * ckpt_restore_verify - compare the tree with image and source
 *
 * Every placed page, areas, descriptors, masks, limits and ids are read back.
 *
 * Return: 0, or -1 (CKPT_DAMAGED), naming pid and object.
 */
int ckpt_restore_verify(struct ckpt_restore *r, struct ckpt_err *err);

/* The root task of a tree that was built, host pid. */
pid_t ckpt_restore_root(const struct ckpt_restore *r);

/**
 * ckpt_restore_run - let the tree run
 *
 * All of it is let go into the frozen cgroup; the thaw by init is the one step
 * that makes it run.  A caller that dies earlier takes all of it along, one
 * that dies later nobody.
 *
 * Return: 0 with the tree on its own, or -1 with nobody of it having run.
 */
int ckpt_restore_run(struct ckpt_restore *r, struct ckpt_restore_result *ret,
		     struct ckpt_err *err);

/* After run: wait for the root task; its status as a shell shows it. */
int ckpt_restore_wait(struct ckpt_restore *r, int *ret_status, struct ckpt_err *err);

/* Release the handle, and kill the tree unless it was let run; NULL is fine. */
void ckpt_restore_close(struct ckpt_restore *r);

static inline void ckpt_restore_cleanup(struct ckpt_restore **r)
{
	ckpt_restore_close(*r);
}

#define cleanup_restore __attribute__((cleanup(ckpt_restore_cleanup)))

#endif
