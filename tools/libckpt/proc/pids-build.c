// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pids: can the tree have its own here, or does it need a pid namespace for them?
 *
 * A number is taken as long as a process, a thread, a process group or a session has it.  Of a
 * tree that was killed a moment ago the numbers are taken until its parent has looked at it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/build.h"
#include "proc/procfs.h"
#include "proc/unix.h"

#define REAP_MS 3000

/* Numbers that the tree needs, ascending. */
struct wanted {
	int32_t *pids;
	size_t n;
};

/**
 * struct taken - what of it others have
 * @pid: one of them, 0: nothing
 * @for_long: somebody who has not ended has it
 */
struct taken {
	int32_t pid;
	bool for_long;
};

static void wanted_done(struct wanted *w)
{
	free(w->pids);
}

static int by_number(const void *a, const void *b)
{
	int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

	return (x > y) - (x < y);
}

static void want(struct wanted *w, int32_t pid)
{
	w->pids[w->n++] = pid;
}

/* Leaders that are gone, and who made a socket and is gone, are played by helpers. */
static int list_wanted(const struct ckpt_image *image, struct wanted *ret, struct ckpt_err *err)
{
	size_t n = 3 * image->n_tasks + image->n_unixes;

	for (size_t i = 0; i < image->n_tasks; i++)
		n += image->tasks[i].n_threads;
	ret->pids = calloc(n + 1, sizeof(*ret->pids));
	if (!ret->pids)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of pids");
	for (size_t i = 0; i < image->n_tasks; i++) {
		const struct ckpt_task *t = &image->tasks[i];

		want(ret, t->pid);
		want(ret, t->pgid);
		want(ret, t->sid);
		for (size_t j = 1; j < t->n_threads; j++)
			want(ret, t->threads[j].tid);
	}
	for (uint32_t i = 0; i < image->n_unixes; i++) {
		if (image->unixes[i].peer_known && ckpt_unix_file(image, i) != CKPT_NONE)
			want(ret, image->unixes[i].peer_pid);
	}
	qsort(ret->pids, ret->n, sizeof(*ret->pids), by_number);
	return 0;
}

/* Return: whether /proc has it, as a process or as a thread of one. */
static bool look(int32_t pid, struct ckpt_buf *scratch, struct ckpt_proc_stat *ret)
{
	cleanup_close int dir = -1;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d", pid);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir >= 0 && !ckpt_procfs_read(dir, "stat", scratch) &&
	       !ckpt_parse_stat((char *)scratch->data, ret);
}

static void note(const struct wanted *w, int32_t pid, char state, struct taken *t)
{
	if (!bsearch(&pid, w->pids, w->n, sizeof(pid), by_number))
		return;
	t->pid = pid;
	t->for_long |= state != 'Z' && state != 'X';
}

static int look_for(const struct wanted *w, struct taken *ret, struct ckpt_err *err)
{
	cleanup_buf struct ckpt_buf scratch = CKPT_BUF_INIT;
	cleanup_free int *all = NULL;
	ssize_t n = ckpt_procfs_numbers(AT_FDCWD, "/proc", &all);
	struct ckpt_proc_stat s;

	if (n < 0)
		return ckpt_fail(err, CKPT_FAILED, -n, "cannot list the processes");
	*ret = (struct taken){ 0 };
	for (size_t i = 0; i < w->n; i++) {
		if ((!i || w->pids[i] != w->pids[i - 1]) && look(w->pids[i], &scratch, &s))
			note(w, w->pids[i], s.state, ret);
	}
	for (ssize_t i = 0; i < n; i++) {
		if (!look(all[i], &scratch, &s))
			continue;
		note(w, s.pgrp, s.state, ret);
		note(w, s.session, s.state, ret);
	}
	return 0;
}

/* What shows the numbers of this machine, wherever the tree has looked at it. */
static bool is_procfs(const char *path)
{
	struct statfs fs;

	return !statfs(path, &fs) && fs.f_type == PROC_SUPER_MAGIC;
}

/* In a new pid namespace /proc is a new one, and every other procfs stays as it is. */
static int check_move(const struct ckpt_image *image, struct ckpt_err *err)
{
	for (const struct ckpt_task *t = image->tasks; t < image->tasks + image->n_tasks; t++) {
		cleanup_free char *proc = NULL;

		if (t->state == CKPT_TASK_ZOMBIE || t->root == CKPT_NONE)
			continue;
		if (asprintf(&proc, "%s/proc", image->files[t->root].path) < 0)
			return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a path");
		if (is_procfs(proc))
			return ckpt_fail(err, CKPT_REFUSED, 0,
				"in a new pid namespace %s, which is /proc to pid %d (%s), would "
				"not show its numbers", proc, t->pid, t->comm);
	}
	for (const struct ckpt_file *f = image->files; f < image->files + image->n_files; f++) {
		if (f->kind == CKPT_FILE_DIR && strcmp(f->path, "/proc") &&
		    strncmp(f->path, "/proc/", 6) && is_procfs(f->path))
			return ckpt_fail(err, CKPT_REFUSED, 0,
				"in a new pid namespace %s, which the tree has open, would not "
				"show its numbers", f->path);
	}
	return 0;
}

static int move(const struct ckpt_image *image, int32_t taken, int32_t *ret, struct ckpt_err *err)
{
	if (check_move(image, err))
		return ckpt_fail_at(err, "pid %d of the checkpoint is in use, end who has it first",
				    taken);
	*ret = taken;
	return 0;
}

int ckpt_pids_check(const struct ckpt_restore_params *params, int32_t *ret_taken,
		    struct ckpt_err *err)
{
	const uint64_t until = ckpt_now_ns() + REAP_MS * 1000000ull;
	const struct ckpt_image *image = params->image;
	cleanup_with(wanted_done) struct wanted w = { 0 };
	struct taken taken;

	*ret_taken = 0;
	if (image->private_pidns)
		return 0;
	if (params->taken)
		return move(image, params->taken, ret_taken, err);
	if (list_wanted(image, &w, err))
		return -1;
	for (;;) {
		if (look_for(&w, &taken, err))
			return -1;
		if (!taken.pid)
			return 0;
		if (taken.for_long || ckpt_now_ns() > until)
			return move(image, taken.pid, ret_taken, err);
		ckpt_sleep_us(10000);
	}
}

/* By a process or a thread, or by a group whose leader is gone. */
static bool is_had(int32_t pid)
{
	return !kill(pid, 0) || errno != ESRCH || !kill(-pid, 0) || errno != ESRCH;
}

int32_t ckpt_pids_spare(struct ckpt_restore *r)
{
	while (!r->private_pidns && is_had(r->ghost))
		r->ghost++;
	return r->ghost++;
}
