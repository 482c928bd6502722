// SPDX-License-Identifier: GPL-2.0-or-later
/* Namespaces and clocks of the tree. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/procfs.h"
#include "proc/read.h"

static const char *const kinds[] = {
	"ns/mnt", "ns/pid", "ns/net", "ns/ipc", "ns/uts", "ns/user", "ns/cgroup", "ns/time",
};

static int same(struct ckpt_held_proc *p, const char *name, const char *as, struct ckpt_err *err)
{
	cleanup_free char *link = NULL;
	int e = ckpt_procfs_link(p->dir, name, &link);

	if (e)
		return ckpt_fail(err, CKPT_FAILED, -e, "cannot look at %s of pid %d", name, p->pid);
	return !strcmp(link, as);
}

/* The first process with threads: the others are compared with it. */
static struct ckpt_held_proc *first_alive(struct ckpt_hold *hold)
{
	for (size_t i = 0; i < hold->n_procs; i++) {
		if (!hold->procs[i].zombie)
			return &hold->procs[i];
	}
	return NULL;
}

int ckpt_read_namespaces(struct ckpt_reader *r, struct ckpt_err *err)
{
	struct ckpt_held_proc *first = first_alive(r->hold);
	cleanup_close int self = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (!first)
		return ckpt_fail(err, CKPT_FAILED, 0, "no process of the tree is alive");
	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		cleanup_free char *link = NULL;
		int e = ckpt_procfs_link(first->dir, kinds[k], &link);

		if (e == -ENOENT)	/* this kernel has no such namespaces */
			continue;
		if (e)
			return ckpt_fail(err, CKPT_FAILED, -e, "cannot look at %s of pid %d",
					 kinds[k], first->pid);
		for (size_t i = 0; i < r->hold->n_procs; i++) {
			struct ckpt_held_proc *p = &r->hold->procs[i];
			int s = p->zombie ? 1 : same(p, kinds[k], link, err);

			if (s < 0)
				return -1;
			if (!s)
				return ckpt_fail(err, CKPT_REFUSED, 0,
					"pid %d (%s) has a namespace of its own (%s), which this "
					"version cannot restore", p->pid, p->comm, kinds[k] + 3);
		}
		if (!strcmp(kinds[k], "ns/pid")) {
			struct ckpt_held_proc me = { .pid = getpid(), .dir = self };
			int s = same(&me, kinds[k], link, err);

			if (s < 0)
				return -1;
			r->image->private_pidns = !s;
		}
	}
	return 0;
}

static uint64_t clock_of(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

/* What a clock of the tree is ahead of ours. */
static int64_t ahead(struct ckpt_reader *r, struct ckpt_held_proc *p, int self, const char *clock)
{
	struct ckpt_buf *b = &r->hold->scratch;
	int64_t ours = 0, theirs = 0;

	if (ckpt_procfs_read(p->dir, "timens_offsets", b) ||
	    ckpt_parse_timens((char *)b->data, clock, &theirs) ||
	    ckpt_procfs_read(self, "timens_offsets", b) ||
	    ckpt_parse_timens((char *)b->data, clock, &ours))
		return 0;	/* a kernel without time namespaces */
	return theirs - ours;
}

int ckpt_read_clocks(struct ckpt_reader *r, struct ckpt_err *err)
{
	struct ckpt_held_proc *p = first_alive(r->hold);
	cleanup_close int self = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct ckpt_image *image = r->image;
	struct utsname u;

	if (uname(&u) || self < 0)
		return ckpt_fail(err, CKPT_FAILED, 0, "cannot look at this machine");
	memcpy(image->kernel, u.release, sizeof(image->kernel) - 1);
	image->monotonic_ns = clock_of(CLOCK_MONOTONIC) + ahead(r, p, self, "monotonic");
	image->boottime_ns = clock_of(CLOCK_BOOTTIME) + ahead(r, p, self, "boottime");
	image->realtime_ns = clock_of(CLOCK_REALTIME);
	return 0;
}
