// SPDX-License-Identifier: GPL-2.0-or-later
/* Restore: the order of its steps, and its end in either direction. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "proc/build.h"
#include "proc/cpus.h"
#include "proc/socket.h"
#include "proc/tcp-outside.h"

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

typedef int (*task_fn)(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err);

/**
 * struct step - something done to every task, zombies apart
 * @fault: fault point before it
 * @fn: what is done
 */
struct step {
	const char *fault;
	task_fn fn;
};

/* Of those that nobody was to be forked from, who are filled before that. */
static int build_mm(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err)
{
	return t->filled ? 0 : ckpt_build_mm(r, t, err);
}

static int build_memory(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err)
{
	if (t->filled)
		return 0;
	if (ckpt_build_memory(r, t, err))
		return -1;
	t->filled = true;
	return 0;
}

/* Memory before descriptors: mapped files are still open at their known places. */
static const struct step build_steps[] = {
	{ "restore.spaces", ckpt_build_cgroup_space },
	{ "restore.areas", build_mm },
	{ "restore.memory", build_memory },
	{ "restore.lock", ckpt_build_mm_finish },
	{ "restore.fds", ckpt_build_fds },
	{ "restore.locks", ckpt_build_locks },
	{ "restore.threads", ckpt_build_threads },
	{ "restore.undos", ckpt_build_undos },
};

/* When there are all that a descriptor may lead to; before anybody loses a right. */
static const struct step late_steps[] = {
	{ "restore.late", ckpt_build_late_fds },
	{ "restore.stops", ckpt_build_job_stop },
	{ "restore.signals", ckpt_build_signals },
	{ "restore.filters", ckpt_build_filters },
	{ "restore.attrs", ckpt_build_attrs },
	{ "restore.alarms", ckpt_build_timers },
	{ "restore.pending", ckpt_build_pending },
};

/* After these no thread makes another remote call. */
static const struct step arm_steps[] = {
	{ "restore.alarmed", ckpt_build_timers_arm },
	{ "restore.timers", ckpt_build_itimers },
	{ "restore.regs", ckpt_build_regs },
};

static int run_step(struct ckpt_restore *r, const struct step *step, struct ckpt_err *err)
{
	size_t i;

	for (i = 0; i < r->image->n_tasks; i++) {
		if (ckpt_fault(step->fault))
			return ckpt_fail(err, CKPT_FAILED, 0, "%s: fault injected", step->fault);
		if (r->tasks[i].task->state != CKPT_TASK_ZOMBIE && step->fn(r, &r->tasks[i], err))
			return -1;
	}
	return 0;
}

static int run_steps(struct ckpt_restore *r, const struct step *steps, size_t n,
		     struct ckpt_err *err)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (run_step(r, &steps[i], err))
			return -1;
	}
	return 0;
}

int32_t ckpt_build_first_ghost(const struct ckpt_image *image)
{
	int32_t highest = 1;
	size_t i, j;

	for (i = 0; i < image->n_tasks; i++) {
		const struct ckpt_task *t = &image->tasks[i];

		highest = t->pid > highest ? t->pid : highest;
		highest = t->pgid > highest ? t->pgid : highest;
		highest = t->sid > highest ? t->sid : highest;
		for (j = 0; j < t->n_threads; j++)
			highest = t->threads[j].tid > highest ? t->threads[j].tid : highest;
	}
	/* and of who made a socket and has ended */
	for (i = 0; i < image->n_unixes; i++) {
		const struct ckpt_unix *u = &image->unixes[i];

		if (u->peer_known && u->peer_pid > highest)
			highest = u->peer_pid;
	}
	return highest + 1;
}

static struct ckpt_restore *new_restore(const struct ckpt_restore_params *params, int32_t taken,
					struct ckpt_err *err)
{
	struct ckpt_restore *r = calloc(1, sizeof(*r));
	size_t i;

	if (r)
		r->tasks = calloc(params->image->n_tasks, sizeof(*r->tasks));
	if (!r || !r->tasks) {
		free(r);
		ckpt_fail(err, CKPT_FAILED, 0, "no memory for a restore");
		return NULL;
	}
	r->params = *params;
	r->image = params->image;
	r->source = params->source;
	r->private_pidns = r->image->private_pidns || taken;
	r->ghost = ckpt_build_first_ghost(r->image);
	r->init = (struct ckpt_init)CKPT_INIT_NONE;
	for (i = 0; i < r->image->n_tasks; i++)
		r->tasks[i].task = &r->image->tasks[i];
	return r;
}

static const struct step async_step = { "restore.async", ckpt_build_async };

static int build(struct ckpt_restore *r, struct ckpt_err *err)
{
	struct ckpt_cpus cpus;

	if (ckpt_vdso_swap_open(r->image, &r->vdso_swap, err) || ckpt_build_init(r, err) ||
	    ckpt_build_net(r, err) || ckpt_build_ipc(r, err) ||
	    ckpt_cpus_of(r->init.cgroup_fd, r->init.pid, &cpus, err))
		return -1;
	memcpy(r->cpus, cpus.usual, sizeof(r->cpus));
	if (ckpt_fault("restore.files"))
		return ckpt_fail(err, CKPT_FAILED, 0, "restore.files: fault injected");
	if (ckpt_build_files(r, err) || ckpt_build_tasks(r, err) || ckpt_build_zombies(r, err) ||
	    run_steps(r, build_steps, sizeof(build_steps) / sizeof(build_steps[0]), err) ||
	    ckpt_build_pidfds(r, err) || ckpt_build_procfiles(r, err) ||
	    run_steps(r, late_steps, sizeof(late_steps) / sizeof(late_steps[0]), err) ||
	    ckpt_build_epolls(r, err))
		return -1;
	if (ckpt_fault("restore.owners"))
		return ckpt_fail(err, CKPT_FAILED, 0, "restore.owners: fault injected");
	/* when there are threads to own a file, and all that is shared is mapped */
	if (ckpt_build_owners(r, err) || ckpt_build_shms_seal(r, err) ||
	    ckpt_build_ipc_settings(r, err) || ckpt_build_net_settings(r, err))
		return -1;
	/* nothing touches a file after that */
	if (ckpt_build_watches(r, err))
		return -1;
	return run_step(r, &async_step, err);
}

int ckpt_restore_forecast(const struct ckpt_restore_params *params, int32_t *ret_taken,
			  struct ckpt_err *err)
{
	return ckpt_restore_check(params, ret_taken, err);
}

int ckpt_restore_preflight(const struct ckpt_restore_params *params, struct ckpt_err *err)
{
	int32_t taken;

	return ckpt_restore_check(params, &taken, err);
}

int ckpt_restore_build(const struct ckpt_restore_params *params, struct ckpt_restore **ret,
		       struct ckpt_err *err)
{
	cleanup_restore struct ckpt_restore *r = NULL;
	uint64_t start = now_ns();
	int32_t taken;

	if (ckpt_restore_check(params, &taken, err))
		return -1;
	r = new_restore(params, taken, err);
	if (!r || build(r, err))
		return -1;
	r->build_ns = now_ns() - start;
	*ret = take_ptr(r);
	return 0;
}

int ckpt_restore_verify(struct ckpt_restore *r, struct ckpt_err *err)
{
	uint64_t start = now_ns();
	size_t i;

	if (ckpt_fault("restore.verify"))
		return ckpt_fail(err, CKPT_FAILED, 0, "restore.verify: fault injected");
	if (ckpt_verify_namespaces(r, err) || ckpt_verify_shms(r, err))
		return -1;
	for (i = 0; i < r->image->n_tasks; i++) {
		if (ckpt_verify_task(r, &r->tasks[i], err))
			return -1;
	}
	if (ckpt_verify_sockets(r, err))
		return -1;
	r->verify_ns = now_ns() - start;
	return 0;
}

static int freeze(struct ckpt_restore *r, struct ckpt_err *err)
{
	cleanup_close int fd = openat(r->init.cgroup_fd, "cgroup.freeze", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "1", 1) != 1)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot freeze cgroup %s",
				 r->params.cgroup);
	return 0;
}

/*
 * The frozen cgroup holds what ptrace lets go.  A thread that is let go has the
 * freezer's trap pending and takes it before any signal and before it returns to
 * user mode.  A stopped job stops at once.
 */
static int detach(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err)
{
	size_t i;

	for (i = 0; i < t->task->n_threads; i++) {
		if (ptrace(PTRACE_DETACH, t->tids[i], 0, 0))
			return ckpt_fail(err, CKPT_FAILED, errno, "thread %d: cannot let it go",
					 t->task->threads[i].tid);
		ckpt_build_forget(r, t->tids[i]);
	}
	return 0;
}

/* The oldest task that init is the parent of. */
static const struct ckpt_build_task *root_of(const struct ckpt_restore *r)
{
	const struct ckpt_build_task *t, *root = NULL;

	for (t = r->tasks; t < r->tasks + r->image->n_tasks; t++) {
		if (!t->task->ppid && t->task->state != CKPT_TASK_ZOMBIE &&
		    (!root || t->task->pid < root->task->pid))
			root = t;
	}
	return root ? root : r->tasks;
}

pid_t ckpt_restore_root(const struct ckpt_restore *r)
{
	return root_of(r)->host;
}

int ckpt_restore_run(struct ckpt_restore *r, struct ckpt_restore_result *ret,
		     struct ckpt_err *err)
{
	static const struct step detach_step = { "restore.detach", detach };
	uint64_t start = now_ns();

	if (ckpt_build_timerfds_arm(r, err) ||
	    run_steps(r, arm_steps, sizeof(arm_steps) / sizeof(arm_steps[0]), err) ||
	    freeze(r, err) || ckpt_build_init_leave(r, err) || run_step(r, &detach_step, err))
		return -1;
	ckpt_segments_leave(r);
	if (ckpt_outside_start(r, err))
		return -1;
	if (ckpt_fault("restore.release"))
		return ckpt_fail(err, CKPT_FAILED, 0, "restore.release: fault injected");
	if (ckpt_init_release(&r->init, root_of(r)->task->pid, err))
		return -1;
	r->released = true;
	r->init.root = root_of(r)->host;
	*ret = (struct ckpt_restore_result){
		.root_pid = r->init.root,
		.moved = r->private_pidns && !r->image->private_pidns,
		.build_ns = r->build_ns,
		.verify_ns = r->verify_ns,
		.run_ns = now_ns() - start,
		.pages = r->pages,
		.tcp_repaired = r->tcp_repaired,
		.tcp_reset = r->tcp_reset,
	};
	memcpy(ret->tcp_why, r->tcp_why, sizeof(ret->tcp_why));
	return 0;
}

int ckpt_restore_wait(struct ckpt_restore *r, int *ret_status, struct ckpt_err *err)
{
	return ckpt_init_wait(&r->init, ret_status, err);
}

/*
 * Kill what was built.  Those first that are held by nothing but the frozen
 * cgroup, all at once and while it is frozen: no thaw may come before they are
 * dead.  The tracer reaps its tasks, threads before leaders, or the end of init
 * would wait for them for ever.
 */
static void abort_tree(struct ckpt_restore *r)
{
	size_t i;

	ckpt_outside_quit(r);
	ckpt_init_kill_tree(&r->init);
	for (i = 0; i < r->n_made; i++)
		kill(r->made[i], SIGKILL);
	while (r->n_made)
		waitpid(r->made[--r->n_made], NULL, __WALL);
	ckpt_init_kill(&r->init);
}

void ckpt_restore_close(struct ckpt_restore *r)
{
	size_t i;

	if (!r)
		return;
	if (r->released)
		ckpt_init_close(&r->init);
	else
		abort_tree(r);
	ckpt_outside_done(r);
	ckpt_segments_leave(r);
	if (!r->released)
		ckpt_segments_remove(r);
	if (r->pty_peek_tried)
		ckpt_pty_peek_close(&r->pty_peek);
	if (r->inotify_peek_tried)
		ckpt_inotify_peek_close(&r->inotify_peek);
	free(r->shms);
	for (i = 0; i < r->image->n_tasks; i++) {
		free(r->tasks[i].tids);
		ckpt_placed_free(r->tasks[i].placed);
		ckpt_build_forked_done(&r->tasks[i]);
	}
	free(r->tasks);
	free(r->made);
	free(r);
}
