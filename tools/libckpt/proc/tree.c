// SPDX-License-Identifier: GPL-2.0-or-later
/* What belongs to the tree: processes, threads, children. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/hold.h"
#include "proc/procfs.h"

/* As the kernel's. */
#define PF_EXITING 0x4

struct ckpt_held_proc *ckpt_tree_find(struct ckpt_hold *hold, pid_t pid)
{
	for (size_t i = 0; i < hold->n_procs; i++) {
		if (hold->procs[i].pid == pid)
			return &hold->procs[i];
	}
	return NULL;
}

struct ckpt_held_proc *ckpt_first_held(struct ckpt_hold *hold)
{
	size_t i = 0;

	while (i + 1 < hold->n_procs && hold->procs[i].zombie)
		i++;
	return &hold->procs[i];
}

/* Looks for a child that is born into the cgroup just now. */
#define BIRTH_TRIES 20
/* Where a machine is busy it may take that long until it is in there. */
#define BIRTH_S 1

/* Return: 1 added, 0 known or gone, -1. */
static int add(struct ckpt_hold *hold, pid_t pid, struct ckpt_err *err)
{
	struct ckpt_proc_stat stat;
	cleanup_close int dir = -1;
	struct ckpt_held_proc *procs;
	char path[32];
	int r;

	if (ckpt_tree_find(hold, pid))
		return 0;
	if (!pid)
		return ckpt_fail(err, CKPT_REFUSED, 0,
			"the cgroup holds processes of another pid namespace; run ckpt-tool in a "
			"namespace that sees them");
	if (pid == hold->caller || pid == getpid())
		return ckpt_fail(err, CKPT_REFUSED, 0,
			"pid %d is ckpt-tool itself; run it outside the group", pid);
	snprintf(path, sizeof(path), "/proc/%d", pid);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return ckpt_procfs_gone(-errno) ? 0 : ckpt_fail(err, CKPT_FAILED, errno,
								"cannot open %s", path);
	r = ckpt_procfs_read_piece(dir, "stat", &hold->scratch);
	if (ckpt_procfs_gone(r))
		return 0;
	if (r || ckpt_parse_stat((char *)hold->scratch.data, &stat))
		return ckpt_fail(err, CKPT_FAILED, -r, "cannot read %s/stat", path);
	procs = ckpt_grow(hold->procs, &hold->n_procs, sizeof(*procs));
	if (!procs)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for the list of processes");
	hold->procs = procs;
	procs += hold->n_procs - 1;
	procs->pid = pid;
	procs->dir = take_fd(dir);
	procs->stat = stat;
	procs->start_time = stat.start_time;
	memcpy(procs->comm, stat.comm, sizeof(procs->comm));
	return 1;
}

/* The processes of one cgroup. Return: how many are new, -1. */
static ssize_t list_procs(struct ckpt_hold *hold, int cgroup, struct ckpt_err *err)
{
	cleanup_free char *text = NULL;
	ssize_t added = 0;
	char *at, *end;
	int r = ckpt_procfs_read(cgroup, "cgroup.procs", &hold->scratch);

	/* removed meanwhile: only what is empty can be */
	if (r == -ENODEV || r == -ENOENT)
		return 0;
	if (r == -EOPNOTSUPP)
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "the cgroup of the group is threaded, which this version cannot "
				 "restore");
	if (r)
		return ckpt_fail(err, CKPT_FAILED, -r, "cannot list the processes of the cgroup");
	/* the scratch is used again by add() */
	text = strdup((char *)hold->scratch.data);
	if (!text)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of pids");
	for (at = text; *at; at = *end ? end + 1 : end) {
		long pid = strtol(at, &end, 10);

		if (end == at)
			break;
		r = add(hold, pid, err);
		if (r < 0)
			return -1;
		added += r;
	}
	return added;
}

static ssize_t list_dir(struct ckpt_hold *hold, int cgroup, struct ckpt_err *err)
{
	ssize_t added = list_procs(hold, cgroup, err);
	int fd = openat(cgroup, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_closedir DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (added < 0)
		return -1;
	if (!d)
		return errno == ENOENT ? added :
		       ckpt_fail(err, CKPT_FAILED, errno, "cannot list the cgroup");
	while ((e = readdir(d))) {
		cleanup_close int below = -1;
		ssize_t n;

		if (e->d_type != DT_DIR || !strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		below = openat(cgroup, e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (below < 0 && errno == ENOENT)
			continue;
		if (below < 0)
			return ckpt_fail(err, CKPT_FAILED, errno, "cannot open cgroup %s",
					 e->d_name);
		n = list_dir(hold, below, err);
		if (n < 0)
			return -1;
		added += n;
	}
	return added;
}

ssize_t ckpt_tree_list_cgroup(struct ckpt_hold *hold, struct ckpt_err *err)
{
	return list_dir(hold, hold->cgroup, err);
}

/* The last one that was added is not to be held. */
static void forget_last(struct ckpt_hold *hold)
{
	close(hold->procs[--hold->n_procs].dir);
}

static bool just_born(uint64_t start_time)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return start_time / sysconf(_SC_CLK_TCK) + BIRTH_S >= (uint64_t)now.tv_sec;
}

/*
 * A child found outside the cgroup must be a zombie, which cgroup.procs leaves
 * out; a live one has left the group and could not be restored with its parent.
 * One that was born since cgroup.procs was read is in there by now.
 */
static int add_child(struct ckpt_hold *hold, pid_t pid, pid_t parent, struct ckpt_err *err)
{
	char comm[sizeof(hold->procs->comm)] = "";
	uint64_t start_time = 0;
	ssize_t added = 0;

	for (int tries = 0; tries < BIRTH_TRIES; tries++) {
		struct ckpt_held_proc *p;
		int r = add(hold, pid, err);

		if (r <= 0)
			return r < 0 ? -1 : added;
		p = &hold->procs[hold->n_procs - 1];
		p->zombie = p->stat.state == 'Z';
		if (p->zombie || hold->cgroup < 0)
			return added + 1;
		memcpy(comm, p->comm, sizeof(comm));
		start_time = p->start_time;
		forget_last(hold);
		if (tries)
			ckpt_sleep_us(1000);
		r = ckpt_tree_list_cgroup(hold, err);
		if (r < 0)
			return -1;
		added += r;
	}
	if (just_born(start_time)) {
		ckpt_fail(err, CKPT_REFUSED, 0, "pid %d (%s), a child of pid %d, has just been "
			  "born and is not in the group's cgroup; try again", pid, comm, parent);
		return ckpt_fail_passing(err);
	}
	return ckpt_fail(err, CKPT_REFUSED, 0, "pid %d (%s), a child of pid %d, is outside the "
			 "group's cgroup; move it back or wait for its end", pid, comm, parent);
}

ssize_t ckpt_tree_list_children(struct ckpt_hold *hold, struct ckpt_err *err)
{
	ssize_t added = 0;

	if (!hold->n_procs && hold->cgroup < 0) {
		int r = add(hold, hold->root, err);

		if (r < 0)
			return -1;
		if (!r)
			return ckpt_fail(err, CKPT_FAILED, 0, "pid %d does not exist", hold->root);
		added++;
	}
	for (size_t i = 0; i < hold->n_procs; i++) {
		for (size_t j = 0; j < hold->procs[i].n_threads; j++) {
			cleanup_free char *text = NULL;
			char name[64];
			char *at, *end;
			int r;

			snprintf(name, sizeof(name), "task/%d/children",
				 hold->procs[i].threads[j].tid);
			r = ckpt_procfs_read(hold->procs[i].dir, name, &hold->scratch);
			if (ckpt_procfs_gone(r))
				continue;	/* the thread is gone */
			if (r)
				return ckpt_fail(err, CKPT_FAILED, -r,
						 "cannot list the children of pid %d",
						 hold->procs[i].pid);
			text = strdup((char *)hold->scratch.data);
			if (!text)
				return ckpt_fail(err, CKPT_FAILED, 0,
						 "no memory for a list of pids");
			for (at = text; (void)(r = strtol(at, &end, 10)), end != at; at = end) {
				r = add_child(hold, r, hold->procs[i].pid, err);
				if (r < 0)
					return -1;
				added += r;
			}
		}
	}
	return added;
}

static int add_thread(const struct ckpt_hold *hold, struct ckpt_held_proc *p, pid_t tid)
{
	struct ckpt_held_thread *threads;

	for (size_t i = 0; i < p->n_threads; i++) {
		if (p->threads[i].tid == tid)
			return 0;
	}
	if (ckpt_uring_worker(hold, p, tid))
		return 0;
	threads = ckpt_grow(p->threads, &p->n_threads, sizeof(*threads));
	if (!threads)
		return -1;
	p->threads = threads;
	threads[p->n_threads - 1].tid = tid;
	return 1;
}

ssize_t ckpt_tree_list_threads(struct ckpt_hold *hold, struct ckpt_err *err)
{
	ssize_t added = 0;

	for (size_t i = 0; i < hold->n_procs; i++) {
		struct ckpt_held_proc *p = &hold->procs[i];
		cleanup_free int *tids = NULL;
		ssize_t n;

		if (p->zombie)
			continue;
		n = ckpt_procfs_numbers(p->dir, "task", &tids);
		if (ckpt_procfs_gone(n))
			continue;
		if (n < 0)
			return ckpt_fail(err, CKPT_FAILED, -n, "cannot list the threads of pid %d",
					 p->pid);
		/* sorted by number, but the leader comes first */
		for (ssize_t j = -1; j < n; j++) {
			int r = add_thread(hold, p, j < 0 ? p->pid : tids[j]);

			if (r < 0)
				return ckpt_fail(err, CKPT_FAILED, 0,
						 "no memory for a list of threads");
			added += r;
		}
	}
	return added;
}

static bool all_gone(const struct ckpt_held_proc *p)
{
	for (size_t j = 0; j < p->n_threads; j++) {
		if (!p->threads[j].gone)
			return false;
	}
	return true;
}

/* A zombie stays in the tree; who was reaped meanwhile leaves it. */
void ckpt_tree_prune(struct ckpt_hold *hold)
{
	size_t kept = 0;

	for (size_t i = 0; i < hold->n_procs; i++) {
		struct ckpt_held_proc *p = &hold->procs[i];

		if (p->zombie || all_gone(p)) {
			bool there = !ckpt_procfs_read_piece(p->dir, "stat", &hold->scratch) &&
				     !ckpt_parse_stat((char *)hold->scratch.data, &p->stat);

			if (!there || p->stat.state != 'Z') {
				ckpt_hold_drop(p);
				continue;
			}
			p->zombie = true;
		}
		hold->procs[kept++] = *p;
	}
	hold->n_procs = kept;
}

/* Neither ended, nor told to end by a kill or an exit of the whole process. */
static bool thread_lives(const struct ckpt_held_proc *p, int tid)
{
	cleanup_buf struct ckpt_buf text = CKPT_BUF_INIT;
	struct ckpt_proc_status status;
	struct ckpt_proc_stat stat;
	char name[64];

	snprintf(name, sizeof(name), "task/%d/status", tid);
	if (ckpt_procfs_read(p->dir, name, &text) ||
	    ckpt_parse_status((char *)text.data, &status) || strchr("ZX", status.state) ||
	    (status.sig_pending | status.sig_shared) & (1ull << (SIGKILL - 1)))
		return false;
	snprintf(name, sizeof(name), "task/%d/stat", tid);
	return !ckpt_procfs_read(p->dir, name, &text) &&
	       !ckpt_parse_stat((char *)text.data, &stat) && !(stat.flags & PF_EXITING);
}

static bool has_other_thread(const struct ckpt_held_proc *p)
{
	cleanup_free int *tids = NULL;
	ssize_t n = ckpt_procfs_numbers(p->dir, "task", &tids);

	for (ssize_t i = 0; i < n; i++) {
		if (tids[i] != p->pid && thread_lives(p, tids[i]))
			return true;
	}
	return false;
}

bool ckpt_tree_outlived(const struct ckpt_held_proc *p)
{
	uint64_t until = ckpt_now_ns() + 100000000;

	while (has_other_thread(p)) {
		if (ckpt_now_ns() > until)
			return true;
		ckpt_sleep_us(200);
	}
	return false;
}

bool ckpt_tree_ended(struct ckpt_hold *hold, const struct ckpt_held_proc *p)
{
	struct ckpt_proc_stat s;

	return ckpt_procfs_read_piece(p->dir, "stat", &hold->scratch) ||
	       ckpt_parse_stat((char *)hold->scratch.data, &s) || s.state == 'Z' ||
	       s.state == 'X';
}

bool ckpt_tree_ending(const struct ckpt_held_proc *p)
{
	if (!thread_lives(p, p->pid))
		return true;
	for (size_t j = 1; j < p->n_threads; j++) {
		if (!p->threads[j].gone && !thread_lives(p, p->threads[j].tid))
			return true;
	}
	return false;
}

bool ckpt_tree_was_killed(struct ckpt_hold *hold, const struct ckpt_held_proc *p)
{
	struct ckpt_proc_stat s;

	if (ckpt_procfs_read_piece(p->dir, "stat", &hold->scratch) ||
	    ckpt_parse_stat((char *)hold->scratch.data, &s) || s.state == 'X')
		return true;
	return s.state == 'Z' && (s.exit_code & 0x7f) == SIGKILL;
}

int ckpt_tree_vfork(struct ckpt_hold *hold, pid_t *ret_parent, pid_t *ret_child)
{
	for (size_t i = 0; i < hold->n_procs; i++) {
		struct ckpt_held_proc *child = &hold->procs[i];
		struct ckpt_held_proc *parent = ckpt_tree_find(hold, child->stat.ppid);

		if (!parent || child->zombie || parent->zombie)
			continue;
		if (syscall(SYS_kcmp, parent->pid, child->pid, KCMP_VM, 0, 0) == 0) {
			*ret_parent = parent->pid;
			*ret_child = child->pid;
			return 1;
		}
	}
	return 0;
}
