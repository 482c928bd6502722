// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Objects that clone can share and a restore makes for one process alone
 *
 * kcmp puts all objects of one type into an order, so that one of many processes
 * is found among those of the tree by a few comparisons.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/procfs.h"
#include "proc/read.h"

/* As the kernel's. */
#define PF_EXITING 0x4
#define PF_KTHREAD 0x200000

#define GENERATIONS 64

static const struct {
	int type;
	const char *what;
} kinds[] = {
	{ KCMP_VM, "an address space" },
	{ KCMP_FILES, "descriptors" },
	{ KCMP_FS, "a working directory" },
	{ KCMP_SIGHAND, "signal handlers" },	/* the last */
};

#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))
#define N_OUTSIDE (N_KINDS - 1)	/* who shares signal handlers shares memory */

#define KTHREADD 2

int ckpt_apart_check(struct ckpt_hold *hold, struct ckpt_held_proc **sorted, struct ckpt_err *err)
{
	for (size_t k = 0; k < N_KINDS; k++) {
		size_t n;

		/* descriptors of the tree's own are kept as they are shared */
		if (kinds[k].type == KCMP_FILES)
			continue;
		if (ckpt_read_sharing(hold, kinds[k].type, sorted, &n, err))
			return -1;
		for (size_t i = 1; i < n; i++) {
			if (!ckpt_read_same(sorted[i - 1], sorted[i], kinds[k].type))
				continue;
			ckpt_fail(err, CKPT_REFUSED, 0,
				"pid %d (%s) shares %s with pid %d, which this version cannot "
				"restore", sorted[i]->pid, sorted[i]->comm, kinds[k].what,
				sorted[i - 1]->pid);
			if (ckpt_survey_pass(hold->survey, -1, err))
				return -1;
		}
	}
	return 0;
}

static int get_stat(pid_t pid, struct ckpt_proc_stat *ret)
{
	cleanup_buf struct ckpt_buf text = CKPT_BUF_INIT;
	cleanup_close int dir = -1;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d", pid);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir < 0 || ckpt_procfs_read(dir, "stat", &text) ||
	       ckpt_parse_stat((char *)text.data, ret) ? -1 : 0;
}

/* Who ends and threads of the kernel have none of these objects, which looks like the same one. */
static bool has_objects(const struct ckpt_proc_stat *stat)
{
	return stat->state != 'Z' && stat->state != 'X' &&
	       !(stat->flags & (PF_EXITING | PF_KTHREAD));
}

/* Born in a running tree since that was listed. */
static bool is_descendant(struct ckpt_hold *hold, struct ckpt_proc_stat stat)
{
	for (int up = 0; up < GENERATIONS && stat.ppid > 1; up++) {
		if (ckpt_tree_find(hold, stat.ppid))
			return true;
		if (get_stat(stat.ppid, &stat))
			break;
	}
	return false;
}

/*
 * @pid is outside.  A process that is between vfork and exec, on its way into the group, has the
 * memory of who made it for a moment.
 */
static int refuse(struct ckpt_hold *hold, const struct ckpt_held_proc *p, pid_t pid, size_t kind,
		  struct ckpt_err *err)
{
	struct ckpt_proc_stat stat;

	if (get_stat(pid, &stat) || !has_objects(&stat) || is_descendant(hold, stat) ||
	    syscall(SYS_kcmp, p->pid, pid, kinds[kind].type, 0, 0))
		return 0;
	ckpt_fail(err, CKPT_REFUSED, 0,
		"pid %d (%s) shares %s with pid %d outside the tree, which this version cannot "
		"restore", p->pid, p->comm, kinds[kind].what, pid);
	return ckpt_fail_passing(err);
}

/* The one of @sorted that has the object of @pid, or NULL. */
static const struct ckpt_held_proc *find(struct ckpt_held_proc *const *sorted, size_t n, pid_t pid,
					 int type)
{
	size_t low = 0, high = n;
	long r = 0;

	while (low < high && r >= 0) {
		size_t mid = low + (high - low) / 2;

		r = syscall(SYS_kcmp, sorted[mid]->pid, pid, type, 0, 0);
		if (!r)
			return sorted[mid];
		if (r == 1)	/* that of sorted[mid] is before */
			low = mid + 1;
		else
			high = mid;
	}
	/* one that has ended has no place in the order */
	for (size_t i = 0; i < n && r < 0; i++) {
		if (!syscall(SYS_kcmp, sorted[i]->pid, pid, type, 0, 0))
			return sorted[i];
	}
	return NULL;
}

static int by_pid(const void *a, const void *b)
{
	return *(const pid_t *)a < *(const pid_t *)b ? -1 : *(const pid_t *)a > *(const pid_t *)b;
}

/* Threads of the kernel, of which there are many, have no memory, as the first of them. */
static bool is_kthread(pid_t pid)
{
	return !syscall(SYS_kcmp, KTHREADD, pid, KCMP_VM, 0, 0);
}

/* Processes outside the tree. Return: their count, or -1. */
static ssize_t list_others(const struct ckpt_hold *hold, int **ret, struct ckpt_err *err)
{
	cleanup_free pid_t *held = calloc(hold->n_procs, sizeof(*held));
	cleanup_close int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct ckpt_proc_stat stat;
	bool kthreads = !get_stat(KTHREADD, &stat) && stat.flags & PF_KTHREAD;
	size_t kept = 0;
	ssize_t n;

	if (!held)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of processes");
	n = proc < 0 ? -errno : ckpt_procfs_numbers(proc, ".", ret);
	if (n < 0)
		return ckpt_fail(err, CKPT_FAILED, -n, "cannot list the processes of the machine");
	for (size_t i = 0; i < hold->n_procs; i++)
		held[i] = hold->procs[i].pid;
	qsort(held, hold->n_procs, sizeof(*held), by_pid);
	for (ssize_t i = 0; i < n; i++) {
		if (!bsearch(&(*ret)[i], held, hold->n_procs, sizeof(*held), by_pid) &&
		    !(kthreads && is_kthread((*ret)[i])))
			(*ret)[kept++] = (*ret)[i];
	}
	return kept;
}

int ckpt_apart_scan(struct ckpt_hold *hold, struct ckpt_err *err)
{
	cleanup_free struct ckpt_held_proc **sorted = calloc(hold->n_procs, sizeof(*sorted));
	cleanup_free int *others = NULL;
	ssize_t n_others;

	if (!sorted)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of processes");
	n_others = list_others(hold, &others, err);
	for (size_t k = 0; n_others > 0 && k < N_OUTSIDE; k++) {
		struct ckpt_err ended = CKPT_ERR_INIT;
		size_t n;

		/* of who has ended meanwhile nothing is said */
		(void)ckpt_read_sharing(hold, kinds[k].type, sorted, &n, &ended);
		for (ssize_t i = 0; i < n_others; i++) {
			const struct ckpt_held_proc *p = find(sorted, n, others[i], kinds[k].type);

			if (p && refuse(hold, p, others[i], k, err))
				return -1;
		}
	}
	return n_others < 0 ? -1 : 0;
}

int ckpt_apart_parents(struct ckpt_hold *hold, struct ckpt_err *err)
{
	for (size_t i = 0; i < hold->n_procs; i++) {
		const struct ckpt_held_proc *p = &hold->procs[i];
		pid_t parent = p->stat.ppid;

		if (p->zombie || !parent || ckpt_tree_find(hold, parent))
			continue;
		for (size_t k = 0; k < N_OUTSIDE; k++) {
			if (!syscall(SYS_kcmp, p->pid, parent, kinds[k].type, 0, 0) &&
			    refuse(hold, p, parent, k, err))
				return -1;
		}
	}
	return 0;
}
