// SPDX-License-Identifier: GPL-2.0-or-later
/* The cgroup freezer. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "base/cleanup.h"
#include "base/fault.h"
#include "proc/hold.h"
#include "proc/procfs.h"

/* Value of "@key N" in a flat keyed cgroup file, or -1. */
static int keyed(int fd, const char *key)
{
	char text[256];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	const char *p;

	if (n < 0)
		return -1;
	text[n] = 0;
	p = strstr(text, key);
	return p ? p[strlen(key)] - '0' : -1;
}

/* Was @dir itself told to freeze? Return: 1, 0, -1 when it is no cgroup below the root. */
static int told_to_freeze(int dir)
{
	cleanup_close int fd = openat(dir, "cgroup.freeze", O_RDONLY | O_CLOEXEC);
	char is;

	if (fd < 0 || pread(fd, &is, 1, 0) != 1)
		return -1;
	return is != '0';
}

static int refuse_frozen(int dir, struct ckpt_err *err)
{
	char name[32], path[PATH_MAX] = "";

	snprintf(name, sizeof(name), "/proc/self/fd/%d", dir);
	if (readlink(name, path, sizeof(path) - 1) < 0)
		snprintf(path, sizeof(path), "its cgroup");
	return ckpt_fail(err, CKPT_REFUSED, 0, "%s is frozen by somebody else; thaw it first",
			 path);
}

/* @dir and what is above it, as far as the mount shows it. */
static int check_above(int dir, struct ckpt_err *err)
{
	cleanup_close int at = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int told;

	for (; at >= 0 && (told = told_to_freeze(at)) >= 0;) {
		int up;

		if (told)
			return refuse_frozen(at, err);
		up = openat(at, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		close(at);
		at = up;
	}
	return 0;
}

static int check_below(int dir, struct ckpt_err *err)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_closedir DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		cleanup_close int below = -1;

		if (e->d_type != DT_DIR || !strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		below = openat(dir, e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (below < 0)
			continue;	/* removed meanwhile: empty */
		if (told_to_freeze(below) > 0)
			return refuse_frozen(below, err);
		if (check_below(below, err))
			return -1;
	}
	return 0;
}

/* Without a group each process may be in a cgroup of its own. */
static int check_process(const struct ckpt_held_proc *p, char **last, struct ckpt_err *err)
{
	struct ckpt_err ignored = CKPT_ERR_INIT;
	cleanup_free char *cgroup = NULL;
	cleanup_free char *path = NULL;
	cleanup_close int dir = -1;

	if (ckpt_cgroup_of(p->pid, &cgroup, &ignored) || (*last && !strcmp(*last, cgroup)))
		return 0;	/* it has ended, or there is no cgroup v2; or known */
	free(*last);
	*last = take_ptr(cgroup);
	if (ckpt_cgroup_dir(*last, &path, &ignored))
		return 0;
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || !check_above(dir, err))
		return 0;
	return ckpt_fail_at(err, "pid %d (%s) cannot run", p->pid, p->comm);
}

int ckpt_freeze_foreign(struct ckpt_hold *hold, struct ckpt_err *err)
{
	cleanup_free char *last = NULL;

	if (hold->cgroup >= 0)
		return check_above(hold->cgroup, err) || check_below(hold->cgroup, err) ? -1 : 0;
	for (size_t i = 0; i < hold->n_procs; i++) {
		if (!hold->procs[i].zombie && check_process(&hold->procs[i], &last, err))
			return -1;
	}
	return 0;
}

int ckpt_freeze_open(struct ckpt_hold *hold, const char *cgroup, struct ckpt_err *err)
{
	hold->cgroup = open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (hold->cgroup < 0)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot open cgroup %s", cgroup);
	hold->freeze = openat(hold->cgroup, "cgroup.freeze", O_RDWR | O_CLOEXEC);
	hold->events = openat(hold->cgroup, "cgroup.events", O_RDONLY | O_CLOEXEC);
	if (hold->freeze < 0 || hold->events < 0)
		return ckpt_fail(err, CKPT_FAILED, errno,
				 "%s cannot be frozen, it is no cgroup v2 below the root", cgroup);
	if (ckpt_freeze_foreign(hold, err))
		return -1;
	/* above what the mount shows, which only this tells */
	if (keyed(hold->events, "frozen ") == 1)
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "%s is frozen from above by somebody else; thaw it first",
				 cgroup);
	return 0;
}

/* Name the task that keeps the cgroup from being frozen. */
static int name_culprit(struct ckpt_hold *hold, struct ckpt_err *err)
{
	ckpt_hold_forget(hold);
	if (ckpt_tree_list_cgroup(hold, err) < 0 || ckpt_tree_list_threads(hold, err) < 0)
		return -1;
	for (size_t i = 0; i < hold->n_procs; i++) {
		struct ckpt_held_proc *p = &hold->procs[i];

		for (size_t j = 0; j < p->n_threads; j++) {
			pid_t tid = p->threads[j].tid;
			struct ckpt_proc_stat stat;
			char name[64];
			char wchan[64] = "user mode";

			snprintf(name, sizeof(name), "task/%d/stat", tid);
			if (ckpt_procfs_read(p->dir, name, &hold->scratch) ||
			    ckpt_parse_stat((char *)hold->scratch.data, &stat))
				continue;
			snprintf(name, sizeof(name), "task/%d/wchan", tid);
			if (!ckpt_procfs_read(p->dir, name, &hold->scratch) &&
			    hold->scratch.len > 1)
				snprintf(wchan, sizeof(wchan), "%.63s",
					 (char *)hold->scratch.data);
			if (strchr("TtZX", stat.state) || !strcmp(wchan, "do_freezer_trap") ||
			    !strcmp(wchan, "get_signal"))
				continue;
			return ckpt_fail(err, CKPT_FAILED, 0,
				"pid %d (%s) did not freeze in %u ms, thread %d is in state %c in "
				"%s; the tree was thawed, try again",
				p->pid, stat.comm, hold->freeze_ms, tid, stat.state, wchan);
		}
	}
	return ckpt_fail(err, CKPT_FAILED, 0,
			 "the cgroup did not freeze in %u ms and was thawed; try again",
			 hold->freeze_ms);
}

int ckpt_freeze_on(struct ckpt_hold *hold, struct ckpt_err *err)
{
	uint64_t start = ckpt_now_ns();
	uint64_t bound = hold->freeze_ms * 1000000ull;

	hold->began_ns = start;
	/* it would be our thaw that ended what somebody else has begun */
	if (ckpt_freeze_foreign(hold, err))
		return -1;
	hold->frozen = true;
	if (pwrite(hold->freeze, "1", 1, 0) != 1)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot freeze the cgroup");
	ckpt_fault("keeper.freezing");
	/*
	 * A short sleep between reads: the change is notified at most every
	 * 10 ms, while a freeze takes some tens of microseconds.  With cgroups below
	 * it may be said too early, as soon as all of those are frozen: that each
	 * thread stands is what the seizing waits for.
	 */
	while (keyed(hold->events, "frozen ") != 1) {
		uint64_t past = ckpt_now_ns() - start;

		if (past > bound)
			return name_culprit(hold, err);
		ckpt_sleep_us(past < 2000000 ? 10 : 1000);
	}
	return 0;
}

void ckpt_freeze_off(struct ckpt_hold *hold)
{
	if (!hold->frozen)
		return;
	for (int tries = 0; tries < 100; tries++) {
		if (pwrite(hold->freeze, "0", 1, 0) == 1 || errno == ENODEV)
			break;
		ckpt_sleep_us(1000);
	}
	hold->frozen = false;
}
