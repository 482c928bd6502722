// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Work of io_urings: the kernel's own threads in a process, requests under way, and children
 * that have copies of its rings until they execute another program
 *
 * A request that would wait is given to a thread of the kernel, which is listed among those of
 * the process, stays when it is done, and is made again when it is needed.  It has no
 * registers and is not stopped: whoever has asked it for something is not at rest.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "proc/procfs.h"
#include "proc/read.h"
#include "proc/uring.h"

#define PF_IO_WORKER 0x10u
#define RING_LINK "anon_inode:[io_uring]"

/* Is this thread the kernel's? @ret_serves: it takes requests by itself (SQPOLL). */
static bool is_worker(const struct ckpt_held_proc *p, pid_t tid, bool *ret_serves)
{
	cleanup_buf struct ckpt_buf text = CKPT_BUF_INIT;
	unsigned int flags = 0;
	const char *name, *rest;
	char path[64];

	snprintf(path, sizeof(path), "task/%d/stat", tid);
	if (ckpt_procfs_read(p->dir, path, &text))
		return false;
	name = strchr((char *)text.data, '(');
	rest = strrchr((char *)text.data, ')');
	if (!name || !rest || sscanf(rest, ") %*c %*d %*d %*d %*d %*d %u", &flags) != 1)
		return false;
	*ret_serves = !strncmp(name, "(iou-sqp-", 9);
	return flags & PF_IO_WORKER;
}

static bool has_ring(const struct ckpt_hold *hold, const struct ckpt_held_proc *p)
{
	for (size_t i = 0; i < hold->n_seen; i++) {
		if (hold->seen[i].pid == p->pid && hold->seen[i].start_time == p->start_time)
			return hold->seen[i].uring;
	}
	return false;
}

bool ckpt_uring_worker(const struct ckpt_hold *hold, const struct ckpt_held_proc *p, pid_t tid)
{
	bool serves;

	return tid != p->pid && has_ring(hold, p) && is_worker(p, tid, &serves) && !serves;
}

int ckpt_uring_workers(const struct ckpt_held_proc *p, int fd, struct ckpt_err *err)
{
	for (size_t i = 1; i < p->n_threads; i++) {
		bool serves;

		if (!is_worker(p, p->threads[i].tid, &serves))
			continue;
		if (serves)
			return ckpt_fail(err, CKPT_REFUSED, 0,
				"pid %d (%s) holds an io_uring, descriptor %d, served by a thread "
				"of the kernel (SQPOLL), which this version cannot restore",
				p->pid, p->comm, fd);
		return ckpt_fail(err, CKPT_FAILED, 0,
			"pid %d (%s) has begun to use an io_uring while it was captured; it runs "
			"on, try again", p->pid, p->comm);
	}
	return 0;
}

static bool fd_at_work(struct ckpt_hold *hold, const struct ckpt_held_proc *p, int fd)
{
	struct ckpt_proc_uring u;
	char name[32];

	snprintf(name, sizeof(name), "fdinfo/%d", fd);
	return !ckpt_procfs_read(p->dir, name, &hold->scratch) &&
	       (ckpt_parse_uring((char *)hold->scratch.data, &u) || u.waiting ||
		u.sq_cached != u.cq_cached);
}

/* Has it been forked by one with rings, and not executed another program yet? */
static bool is_copy(struct ckpt_hold *hold, const struct ckpt_held_proc *p)
{
	const struct ckpt_held_proc *parent = ckpt_tree_find(hold, p->stat.ppid);

	return parent && has_ring(hold, parent);
}

static bool has_ring_fd(const struct ckpt_held_proc *p, int fd)
{
	cleanup_free char *link = NULL;
	char name[32];

	snprintf(name, sizeof(name), "fd/%d", fd);
	return !ckpt_procfs_link(p->dir, name, &link) && !strcmp(link, RING_LINK);
}

bool ckpt_uring_at_work(struct ckpt_hold *hold)
{
	for (size_t i = 0; i < hold->n_procs; i++) {
		const struct ckpt_held_proc *p = &hold->procs[i];
		const bool own = !p->zombie && has_ring(hold, p);
		cleanup_free int *fds = NULL;
		ssize_t n;

		if (p->zombie || (!own && !is_copy(hold, p)))
			continue;
		n = ckpt_procfs_numbers(p->dir, "fd", &fds);
		for (ssize_t j = 0; j < n; j++) {
			if (has_ring_fd(p, fds[j]) && (!own || fd_at_work(hold, p, fds[j])))
				return true;
		}
	}
	return false;
}
