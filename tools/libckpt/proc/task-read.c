// SPDX-License-Identifier: GPL-2.0-or-later
/* Processes: identity, state, what they share, zombies. */
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/ask.h"
#include "proc/procfs.h"
#include "proc/read.h"

/* For a survey a refusal is no end. */
#define PASS(failed) ckpt_survey_pass(r->hold->survey, failed, err)

/* stat again: parents and groups may have changed until the stop. */
static int refresh(struct ckpt_reader *r, struct ckpt_held_proc *p, struct ckpt_proc_status *s,
		   struct ckpt_err *err)
{
	struct ckpt_buf *b = &r->hold->scratch;
	int e = ckpt_procfs_read_piece(p->dir, "stat", b);

	if (e || ckpt_parse_stat((char *)b->data, &p->stat))
		return ckpt_fail(err, CKPT_FAILED, -e, "cannot read the state of pid %d", p->pid);
	memcpy(p->comm, p->stat.comm, sizeof(p->comm));
	if (!p->zombie) {
		*s = p->threads[0].status;
		return 0;
	}
	e = ckpt_procfs_read_piece(p->dir, "status", b);
	if (e || ckpt_parse_status((char *)b->data, s))
		return ckpt_fail(err, CKPT_FAILED, -e, "cannot read the status of pid %d", p->pid);
	return 0;
}

static int identity(struct ckpt_reader *r, struct ckpt_held_proc *p, struct ckpt_task *task,
		    struct ckpt_err *err)
{
	struct ckpt_proc_status s;
	struct ckpt_held_proc *parent;

	if (refresh(r, p, &s, err))
		return -1;
	task->host_pid = p->pid;
	task->pid = s.ns_tgid;
	task->pgid = s.ns_pgid;
	task->sid = s.ns_sid;
	task->umask = s.umask;
	task->exit_signal = p->stat.exit_signal;
	memcpy(task->comm, p->stat.comm, sizeof(task->comm));
	task->mm = CKPT_NONE;
	task->fdtable = CKPT_NONE;
	task->cwd = CKPT_NONE;
	task->root = CKPT_NONE;
	if (p->zombie) {
		task->state = CKPT_TASK_ZOMBIE;
		task->exit_code = p->stat.exit_code;
		if (ckpt_read_creds(p, &s, &task->creds, err))
			return -1;
		task->creds_known = true;
	} else if (p->threads[0].group_stop) {
		task->state = CKPT_TASK_STOPPED;
		task->stop_signal = p->threads[0].group_stop;
		task->stop_told = !p->stat.exit_code;
	}
	parent = ckpt_tree_find(r->hold, p->stat.ppid);
	if (parent && !parent->zombie)
		task->ppid = parent->threads[0].status.ns_tgid;
	/* last: for a survey it is a task like others */
	if (s.ns_tgid == 1 && !p->zombie)
		return ckpt_fail(err, CKPT_REFUSED, 0,
			"pid %d (%s) is the init of its pid namespace, which this version cannot "
			"restore", p->pid, p->comm);
	return 0;
}

static int read_root(struct ckpt_reader *r, struct ckpt_held_proc *p, struct ckpt_task *task,
		     struct ckpt_err *err)
{
	cleanup_free char *root = NULL;
	int e = ckpt_procfs_link(p->dir, "root", &root);

	if (e)
		return ckpt_fail(err, CKPT_FAILED, -e, "cannot look at the root of pid %d", p->pid);
	if (strcmp(root, "/") &&
	    ckpt_read_named(r, p, "root", O_RDONLY | O_DIRECTORY, &task->root, err))
		return -1;
	return ckpt_read_named(r, p, "cwd", O_RDONLY | O_DIRECTORY, &task->cwd, err);
}

/* Threads share descriptors and file system state with their leader. */
static int check_threads(struct ckpt_held_proc *p, struct ckpt_err *err)
{
	for (size_t j = 1; j < p->n_threads; j++) {
		pid_t tid = p->threads[j].tid;

		if (syscall(SYS_kcmp, p->pid, tid, KCMP_FILES, 0, 0) ||
		    syscall(SYS_kcmp, p->pid, tid, KCMP_FS, 0, 0))
			return ckpt_fail(err, CKPT_REFUSED, 0,
				"thread %d of pid %d (%s) has descriptors or a directory of its "
				"own, which this version cannot restore", tid, p->pid, p->comm);
	}
	return 0;
}

static int read_threads(struct ckpt_reader *r, struct ckpt_held_proc *p, struct ckpt_task *task,
			struct ckpt_err *err)
{
	task->threads = calloc(p->n_threads, sizeof(*task->threads));
	if (!task->threads)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of threads");
	task->n_threads = p->n_threads;
	for (size_t j = 0; j < p->n_threads; j++) {
		if (PASS(ckpt_states_seen(p, &p->threads[j], err)) ||
		    PASS(ckpt_read_thread(r, p, &p->threads[j], &task->threads[j], err)))
			return -1;
	}
	return 0;
}

int ckpt_read_task(struct ckpt_reader *r, struct ckpt_held_proc *p, struct ckpt_task *task,
		   struct ckpt_err *err)
{
	if (PASS(identity(r, p, task, err)))
		return -1;
	if (p->zombie)
		return 0;
	if (PASS(check_threads(p, err)) || PASS(ckpt_read_timers(r, p, task, err)) ||
	    PASS(ckpt_read_mm(r, p, &task->mm, err)) || PASS(read_root(r, p, task, err)) ||
	    PASS(ckpt_read_limits(r, p, task, err)))
		return -1;
	return read_threads(r, p, task, err);
}

struct pair {
	int type;
	int failed;
};

static int by_object(const void *a, const void *b, void *arg)
{
	const struct ckpt_held_proc *x = *(struct ckpt_held_proc *const *)a;
	const struct ckpt_held_proc *y = *(struct ckpt_held_proc *const *)b;
	struct pair *pair = arg;
	long r = syscall(SYS_kcmp, x->pid, y->pid, pair->type, 0, 0);

	if (r < 0)
		pair->failed = errno;
	return r == 1 ? -1 : r == 2 ? 1 : 0;
}

int ckpt_read_sharing(struct ckpt_hold *hold, int type, struct ckpt_held_proc **ret_sorted,
		      size_t *ret_n, struct ckpt_err *err)
{
	struct pair pair = { .type = type };
	size_t n = 0;

	for (size_t i = 0; i < hold->n_procs; i++) {
		if (!hold->procs[i].zombie)
			ret_sorted[n++] = &hold->procs[i];
	}
	qsort_r(ret_sorted, n, sizeof(*ret_sorted), by_object, &pair);
	*ret_n = n;
	if (pair.failed)
		return ckpt_fail(err, CKPT_FAILED, pair.failed, "cannot compare the processes");
	return 0;
}

bool ckpt_read_same(const struct ckpt_held_proc *a, const struct ckpt_held_proc *b, int type)
{
	return syscall(SYS_kcmp, a->pid, b->pid, type, 0, 0) == 0;
}
