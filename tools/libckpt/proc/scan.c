// SPDX-License-Identifier: GPL-2.0-or-later
/* Refusals that show on the running tree, and the slow reads before a freeze. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/cpus.h"
#include "proc/label.h"
#include "proc/procfs.h"
#include "proc/read.h"

#define PASS(failed) ckpt_survey_pass(hold->survey, failed, err)

/* A file or directory on a file system that it could not be opened on again. */
static int scan_file(struct ckpt_held_proc *p, const char *name, const char *link, uint32_t mode,
		     struct ckpt_err *err)
{
	struct ckpt_err e = CKPT_ERR_INIT;

	if (!ckpt_filesystem_check(p, name, link, mode, &e) || e.status == CKPT_FAILED)
		return 0;	/* closed, or its process gone, meanwhile */
	*err = e;
	return -1;
}

static int scan_named(struct ckpt_hold *hold, struct ckpt_held_proc *p, struct ckpt_err *err)
{
	static const char *const names[] = { "cwd", "root", "exe" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		cleanup_free char *link = NULL;
		struct stat st;

		if (!ckpt_procfs_link(p->dir, names[i], &link) &&
		    !fstatat(p->dir, names[i], &st, 0) &&
		    PASS(scan_file(p, names[i], link, st.st_mode, err)))
			return -1;
	}
	return 0;
}

static int scan_inotify(struct ckpt_hold *hold, struct ckpt_held_proc *p, int fd, const char *link,
			struct ckpt_points *points, struct ckpt_err *err)
{
	const char *fdinfo;
	char name[32];

	if (strcmp(link, CKPT_INOTIFY_LINK))
		return 0;
	snprintf(name, sizeof(name), "fdinfo/%d", fd);
	if (ckpt_procfs_read(p->dir, name, &hold->scratch))
		return 0;	/* closed meanwhile */
	fdinfo = (char *)hold->scratch.data;
	if (ckpt_queue_waits(p->pid, fd))
		ckpt_queue_ready(hold);
	return ckpt_queue_note(hold, p->pid, fd, fdinfo, err) ||
	       ckpt_watches_see(hold, points, fdinfo, err) ? -1 : 0;
}

static int scan_fd(struct ckpt_hold *hold, struct ckpt_held_proc *p, int fd,
		   struct ckpt_points *points, struct ckpt_err *err)
{
	cleanup_free char *link = NULL;
	struct stat st;
	char name[32];

	snprintf(name, sizeof(name), "fd/%d", fd);
	if (ckpt_procfs_link(p->dir, name, &link) || fstatat(p->dir, name, &st, 0))
		return 0;	/* closed meanwhile */
	if (ckpt_fd_check(p->pid, p->comm, fd, link, st.st_mode, st.st_rdev, err) ||
	    scan_file(p, name, link, st.st_mode, err) ||
	    scan_inotify(hold, p, fd, link, points, err))
		return -1;
	return ckpt_pty_remember(hold, p, fd, &st) ?
	       ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of terminals") : 0;
}

static int scan_fds(struct ckpt_hold *hold, struct ckpt_held_proc *p, struct ckpt_points *points,
		    struct ckpt_err *err)
{
	cleanup_free int *fds = NULL;
	ssize_t n = ckpt_procfs_numbers(p->dir, "fd", &fds);

	if (n < 0)
		return ckpt_procfs_gone(n) ? 0 :
		       ckpt_fail(err, CKPT_FAILED, -n, "cannot list the descriptors of pid %d",
				 p->pid);
	for (ssize_t i = 0; i < n; i++) {
		if (PASS(scan_fd(hold, p, fds[i], points, err)))
			return -1;
	}
	return 0;
}

static int scan_status(struct ckpt_hold *hold, struct ckpt_held_proc *p, struct ckpt_err *err)
{
	struct ckpt_proc_status s;
	int e = ckpt_procfs_read(p->dir, "status", &hold->scratch);

	if (ckpt_procfs_gone(e))
		return 0;
	if (e || ckpt_parse_status((char *)hold->scratch.data, &s))
		return ckpt_fail(err, CKPT_FAILED, -e, "cannot read the status of pid %d", p->pid);
	if (s.tracer)
		return ckpt_fail(err, CKPT_REFUSED, 0,
			"pid %d (%s) is traced by pid %d; detach the debugger", p->pid, p->comm,
			s.tracer);
	if (s.ns_tgid == 1)
		return ckpt_fail(err, CKPT_REFUSED, 0,
			"pid %d (%s) is the init of its pid namespace, which this version cannot "
			"restore", p->pid, p->comm);
	if (s.state == 'Z' && ckpt_tree_outlived(p))
		return ckpt_fail(err, CKPT_REFUSED, 0,
			"pid %d (%s) has ended its first thread while others run, which this "
			"version cannot restore", p->pid, p->comm);
	return 0;
}

static int scan_namespaces(struct ckpt_spaces *spaces, struct ckpt_held_proc *p,
			   struct ckpt_err *err)
{
	struct ckpt_err e = CKPT_ERR_INIT;

	if (!ckpt_spaces_check(spaces, p, &e) || (e.status == CKPT_FAILED && e.os))
		return 0;	/* it, or a thread of it, has ended */
	*err = e;
	return -1;
}

/* Of the first process that is still there; what is another one is refused already. */
static int scan_net(struct ckpt_hold *hold, const struct ckpt_spaces *spaces, struct ckpt_err *err)
{
	for (size_t i = 0; i < hold->n_procs && !hold->net; i++) {
		const struct ckpt_held_proc *p = &hold->procs[i];

		if (!p->zombie && ckpt_spaces_own(spaces, "net") &&
		    PASS(ckpt_net_scan(hold, p, err)))
			return -1;
	}
	return 0;
}

static int scan_areas(struct ckpt_hold *hold, struct ckpt_held_proc *p, struct ckpt_err *err)
{
	size_t before = hold->n_seen;
	struct ckpt_seen *seen;

	if (ckpt_seen_read(hold, p, err))
		return -1;
	if (hold->n_seen == before)
		return 0;
	seen = &hold->seen[before];
	for (size_t i = 0; i < seen->smaps.n; i++) {
		const struct ckpt_smaps_area *a = &seen->smaps.areas[i];
		struct ckpt_vm_flags flags = a->flags;

		ckpt_area_forgive(hold, &a->line, &flags);
		if (PASS(ckpt_area_check(p->pid, p->comm, &a->line, &flags, err)))
			return -1;
		seen->uring |= ckpt_area_is_uring(&a->line);
	}
	return 0;
}

static int scan_timers(struct ckpt_hold *hold, struct ckpt_held_proc *p, struct ckpt_err *err)
{
	struct ckpt_err e = CKPT_ERR_INIT;

	if (!ckpt_scan_timers(hold, p, &e) || ckpt_procfs_gone(-e.os))
		return 0;
	*err = e;
	return -1;
}

/* One pass over a tree that runs: what is gone meanwhile is no failure. */
static int scan_list(struct ckpt_hold *hold, struct ckpt_err *err)
{
	if (hold->cgroup >= 0 && ckpt_tree_list_cgroup(hold, err) < 0)
		return -1;
	/* children of children: until nothing new comes, but not for ever */
	for (int pass = 0; pass < 64; pass++) {
		ssize_t threads = ckpt_tree_list_threads(hold, err);
		ssize_t children = 0;

		if (threads < 0)
			return -1;
		if (hold->cgroup < 0)
			children = ckpt_tree_list_children(hold, err);
		if (children < 0)
			return -1;
		if (!children)
			break;
	}
	if (!hold->n_procs)
		return ckpt_fail(err, CKPT_FAILED, 0, "the cgroup has no process");
	return hold->cgroup < 0 ? ckpt_freeze_foreign(hold, err) : 0;
}

/* Our own labels, which those of the tree are to be. */
static int open_labels(struct ckpt_hold *hold, struct ckpt_labels *ret, struct ckpt_err *err)
{
	if (ckpt_labels_own(ret, err))
		return -1;
	hold->label = ret->text[0] ? strdup(ret->text[0]) : NULL;
	if (ret->text[0] && !hold->label)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a security label");
	return 0;
}

int ckpt_scan_tree(struct ckpt_hold *hold, struct ckpt_err *err)
{
	cleanup_with(ckpt_spaces_done) struct ckpt_spaces spaces = CKPT_SPACES_NONE;
	cleanup_with(ckpt_labels_done) struct ckpt_labels labels = { 0 };
	cleanup_with(ckpt_points_done) struct ckpt_points points = { 0 };
	struct ckpt_cpus cpus;

	if (PASS(scan_list(hold, err)) || PASS(ckpt_cgroup_check(hold, err)) ||
	    ckpt_spaces_open(&spaces, err) || open_labels(hold, &labels, err) ||
	    ckpt_cpus_of(hold->cgroup, 0, &cpus, err))
		return -1;
	memcpy(hold->cpus, cpus.usual, sizeof(hold->cpus));
	for (size_t i = 0; i < hold->n_procs; i++) {
		struct ckpt_held_proc *p = &hold->procs[i];

		if (p->zombie)
			continue;
		if (PASS(scan_status(hold, p, err)) || PASS(scan_namespaces(&spaces, p, err)) ||
		    PASS(ckpt_labels_check(p, &labels, err)) || scan_named(hold, p, err) ||
		    scan_fds(hold, p, &points, err) || PASS(scan_timers(hold, p, err)) ||
		    scan_areas(hold, p, err) || PASS(ckpt_policy_check(hold, p, err)))
			return -1;
	}
	ckpt_watches_sort(hold);
	if (PASS(ckpt_apart_scan(hold, err)) || scan_net(hold, &spaces, err))
		return -1;
	ckpt_hold_forget(hold);
	return 0;
}
