// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Controlling terminals: who has which, and the group in its foreground
 *
 * A session leader can take one; everybody else has that of who forked it, unless it gives it
 * up.  Nobody is signalled: a leader takes it while it is alone in its session, and is in the
 * foreground when it says who is.  All by the master, which does as its slave in this.
 */
#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/build.h"
#include "proc/pty.h"

/* A descriptor of a terminal, while every task has all files of the image. */
static uint64_t fd_of(const struct ckpt_restore *r, uint32_t kind, uint32_t index)
{
	for (uint32_t i = 0; i < r->image->n_files; i++) {
		if (r->image->files[i].kind == kind && r->image->files[i].object == index)
			return r->fd_base + i;
	}
	return r->fd_base + r->image->n_files;
}

/* A helper that shares the table of init, with the next pid that nobody has. */
static int raise_helper(struct ckpt_restore *r, struct ckpt_site *ret, struct ckpt_err *err)
{
	*ret = r->init_site;
	ret->name = ckpt_pids_spare(r);
	return ckpt_build_clone(r, &r->init_site, CLONE_FILES | CLONE_INTO_CGROUP, ret->name, 0,
				&ret->tid, err);
}

/* A terminal that controls nobody any more is free for the next one. */
static int lay_helper(struct ckpt_restore *r, const struct ckpt_site *s, struct ckpt_err *err)
{
	kill(s->tid, SIGKILL);
	while (waitpid(s->tid, NULL, __WALL) < 0 && errno == EINTR)
		;
	ckpt_build_forget(r, s->tid);
	return ckpt_site_call(&r->init_site, err, "reap a helper", SYS_wait4,
			      ARGS(s->name, 0, __WALL | WNOHANG, 0)) < 0 ? -1 : 0;
}

static int64_t open_own(const struct ckpt_site *s, uint32_t master, uint32_t flags,
			struct ckpt_err *err)
{
	uint64_t at = ckpt_site_put(s, 0, CKPT_DEV_TTY, sizeof(CKPT_DEV_TTY), err);

	if (!at || ckpt_site_call(s, err, "lead a session", SYS_setsid, ARGS(0)) < 0 ||
	    ckpt_site_call(s, err, "take a terminal", SYS_ioctl, ARGS(master, TIOCSCTTY, 0)) < 0)
		return -1;
	return ckpt_site_call(s, err, "open its terminal", SYS_openat,
			      ARGS(AT_FDCWD, at, flags | O_CLOEXEC, 0));
}

int ckpt_build_dev_tty(struct ckpt_restore *r, uint32_t master, size_t index, struct ckpt_err *err)
{
	struct ckpt_site s;
	int64_t fd;

	if (raise_helper(r, &s, err))
		return -1;
	fd = open_own(&s, master, ckpt_build_open_flags(&r->image->files[index]), err);
	return fd < 0 || lay_helper(r, &s, err) || ckpt_build_place(r, fd, index, err) ? -1 : 0;
}

int ckpt_build_ctty(struct ckpt_restore *r, const struct ckpt_site *leader,
		    const struct ckpt_task *task, struct ckpt_err *err)
{
	if (!task->ctty)
		return 0;
	return ckpt_site_call(leader, err, "take its terminal", SYS_ioctl,
			      ARGS(fd_of(r, CKPT_FILE_PTM, task->ctty - 1), TIOCSCTTY, 0)) < 0
		? -1 : 0;
}

int ckpt_build_no_ctty(struct ckpt_restore *r, struct ckpt_err *err)
{
	for (size_t i = 0; i < r->image->n_tasks && r->image->n_ptys; i++) {
		const struct ckpt_task *t = r->tasks[i].task;
		const struct ckpt_build_task *leader = ckpt_build_find(r, t->sid);
		struct ckpt_site s;

		if (t->state == CKPT_TASK_ZOMBIE || t->ctty || !leader || !leader->task->ctty)
			continue;
		s = ckpt_build_site(r, &r->tasks[i], 0);
		if (ckpt_site_call(&s, err, "give up its terminal", SYS_ioctl,
				   ARGS(fd_of(r, CKPT_FILE_PTS, leader->task->ctty - 1),
					TIOCNOTTY, 0)) < 0)
			return -1;
	}
	return 0;
}

int ckpt_build_foreground(struct ckpt_restore *r, struct ckpt_err *err)
{
	for (size_t i = 0; i < r->image->n_tasks; i++) {
		const struct ckpt_task *t = r->tasks[i].task;
		struct ckpt_site s;
		uint64_t at;

		if (!t->tpgid)
			continue;
		s = ckpt_build_site(r, &r->tasks[i], 0);
		at = ckpt_site_put(&s, 0, &t->tpgid, sizeof(t->tpgid), err);
		if (!at || ckpt_site_call(&s, err, "set the foreground of its terminal", SYS_ioctl,
					  ARGS(fd_of(r, CKPT_FILE_PTM, t->ctty - 1), TIOCSPGRP,
					       at)) < 0)
			return -1;
	}
	return 0;
}

static int read_stat(pid_t host, struct ckpt_proc_stat *ret, struct ckpt_err *err)
{
	cleanup_free char *text = NULL;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/stat", host);
	if (ckpt_build_text(path, &text, err))
		return -1;
	return ckpt_parse_stat(text, ret) ?
	       ckpt_fail(err, CKPT_FAILED, 0, "cannot understand %s", path) : 0;
}

/* The group in the foreground, as we call it, by one that is in it. */
static int verify_foreground(struct ckpt_restore *r, const struct ckpt_build_task *t,
			     int32_t tpgid, struct ckpt_err *err)
{
	for (size_t i = 0; i < r->image->n_tasks; i++) {
		struct ckpt_proc_stat s;

		if (r->tasks[i].task->pgid != t->task->tpgid)
			continue;
		if (read_stat(r->tasks[i].host, &s, err))
			return -1;
		if (s.pgrp == tpgid)
			return 0;
	}
	return ckpt_fail(err, CKPT_DAMAGED, 0,
			 "process %d has another group in the foreground of its terminal",
			 t->task->pid);
}

int ckpt_verify_ctty(struct ckpt_restore *r, const struct ckpt_build_task *t, struct ckpt_err *err)
{
	const struct ckpt_task *task = t->task;
	struct ckpt_proc_stat s;
	uint64_t wanted = 0;

	if (task->ctty)
		wanted = makedev(CKPT_PTS_MAJOR, r->image->ptys[task->ctty - 1].number);
	if (read_stat(t->host, &s, err))
		return -1;
	if (s.tty != wanted)
		return ckpt_fail(err, CKPT_DAMAGED, 0, "process %d has another terminal",
				 task->pid);
	return task->tpgid ? verify_foreground(r, t, s.tpgid, err) : 0;
}
