// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pidfds: opened in init when all processes are there
 *
 * One that is gone is played by a helper, which ends as it did once all pidfds of it are open.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/build.h"

bool ckpt_pidfd_has_threads(void)
{
	cleanup_close int fd = syscall(SYS_pidfd_open, getpid(), O_EXCL);

	return fd >= 0;
}

/* Every descriptor of @object, which is @pid to init. */
static int open_all(struct ckpt_restore *r, size_t object, int32_t pid, struct ckpt_err *err)
{
	for (size_t i = 0; i < r->image->n_files; i++) {
		const struct ckpt_file *f = &r->image->files[i];
		int64_t fd;

		if (f->kind != CKPT_FILE_PIDFD || f->object != object)
			continue;
		fd = ckpt_site_call(&r->init_site, err, "open a process", SYS_pidfd_open,
				    ARGS(pid, f->flags & O_EXCL));
		if (fd < 0 || ckpt_build_place_new(r, fd, i, err))
			return -1;
	}
	return 0;
}

static int open_gone(struct ckpt_restore *r, size_t object, struct ckpt_err *err)
{
	struct ckpt_site s = r->init_site;

	s.name = ckpt_pids_spare(r);
	/* no signal tells init of its end */
	if (ckpt_build_clone(r, &r->init_site, CLONE_INTO_CGROUP, s.name, 0, &s.tid, err) ||
	    open_all(r, object, s.name, err) ||
	    ckpt_build_end(r, &s, r->image->pidfds[object].exit_code, err))
		return -1;
	return ckpt_site_call(&r->init_site, err, "reap a helper", SYS_wait4,
			      ARGS(s.name, 0, __WALL | WNOHANG, 0)) < 0 ? -1 : 0;
}

int ckpt_build_pidfds(struct ckpt_restore *r, struct ckpt_err *err)
{
	for (size_t i = 0; i < r->image->n_pidfds; i++) {
		const struct ckpt_pidfd *p = &r->image->pidfds[i];

		if (p->pid ? open_all(r, i, p->pid, err) : open_gone(r, i, err))
			return -1;
	}
	return 0;
}

/* Host pid or tid of what the tree calls @pid. */
static pid_t host_of(const struct ckpt_restore *r, int32_t pid)
{
	for (size_t i = 0; i < r->image->n_tasks; i++) {
		const struct ckpt_build_task *t = &r->tasks[i];

		if (t->task->pid == pid)
			return t->host;
		for (size_t j = 0; j < t->task->n_threads; j++) {
			if (t->task->threads[j].tid == pid)
				return t->tids[j];
		}
	}
	return 0;
}

int ckpt_verify_pidfd(const struct ckpt_restore *r, const struct ckpt_pidfd *p, const char *text,
		      struct ckpt_err *err)
{
	int32_t host;

	if (ckpt_parse_pidfd(text, &host) || host != (p->pid ? host_of(r, p->pid) : -1))
		return NOT_AS_CAPTURED("a pidfd is not that of the checkpoint");
	return 0;
}
