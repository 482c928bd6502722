// SPDX-License-Identifier: GPL-2.0-or-later
/* Namespaces and clocks of the tree. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <linux/nsfs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/procfs.h"
#include "proc/read.h"
#include "proc/uts.h"

/*
 * What becomes of a namespace: @ours: restore puts the tree into that of
 * ckpt-tool, where it must be; @threads: each thread may have one of its own; @like: what it must
 * be the same as, because it is the one that the next child would enter.  All
 * others restore makes anew for the whole tree.
 */
static const struct {
	const char *name;
	bool ours, threads;
	const char *like;
} kinds[CKPT_SPACES] = {
	{ "pid", false, false, NULL },
	{ "time", false, false, NULL },
	{ "user", true, false, NULL },
	{ "net", false, true, NULL },
	{ "ipc", false, true, NULL },
	{ "uts", false, true, NULL },
	{ "cgroup", false, true, NULL },
	{ "pid_for_children", false, true, "pid" },
	{ "time_for_children", false, false, "time" },
	{ "mnt", false, false, NULL },
};

#define PID 0
#define NET 3
#define IPC 4
#define UTS 5
#define CGROUP 6
#define MNT (CKPT_SPACES - 1)

/* For a survey a refusal is no end. */
#define PASS(failed) ckpt_survey_pass(r->hold->survey, failed, err)

int ckpt_spaces_open(struct ckpt_spaces *spaces, struct ckpt_err *err)
{
	*spaces = (struct ckpt_spaces){
		.self = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
	};
	if (spaces->self < 0)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot look at this process");
	for (size_t k = 0; k < CKPT_SPACES; k++) {
		char name[64];
		int e;

		snprintf(name, sizeof(name), "ns/%s", kinds[k].name);
		e = ckpt_procfs_link(spaces->self, name, &spaces->own[k]);
		if (e && e != -ENOENT)	/* this kernel has no such namespaces */
			return ckpt_fail(err, CKPT_FAILED, -e, "cannot look at %s", name);
	}
	return 0;
}

void ckpt_spaces_done(struct ckpt_spaces *spaces)
{
	for (size_t k = 0; k < CKPT_SPACES; k++) {
		free(spaces->own[k]);
		free(spaces->tree[k]);
	}
	for (size_t i = 0; i < spaces->n_lost; i++)
		free(spaces->lost[i].what);
	free(spaces->lost);
	if (spaces->self >= 0)
		close(spaces->self);
}

static int refuse(const struct ckpt_held_proc *p, size_t k, struct ckpt_err *err)
{
	return ckpt_fail(err, CKPT_REFUSED, 0,
		"pid %d (%s) has a namespace of its own (%.*s%s), which this version cannot "
		"restore", p->pid, p->comm, (int)strcspn(kinds[k].name, "_"), kinds[k].name,
		strchr(kinds[k].name, '_') ? ", for its children" : "");
}

/* Link of a kind below @dir, the ns of a thread. Return: 0, 1 when there is none, -errno. */
static int link_of(int dir, size_t k, char **ret)
{
	cleanup_free char *net = NULL;
	int e = ckpt_procfs_link(dir, kinds[k].name, ret);

	if (e != -ENOENT || strcmp(kinds[k].name, "pid_for_children"))
		return e;
	/* one that was unshared and that nobody has entered yet; or all are gone: it ends */
	return ckpt_procfs_link(dir, "net", &net) ? e : 1;
}

/* What the namespace of this kind must be. */
static const char *wanted(const struct ckpt_spaces *spaces, size_t k)
{
	if (kinds[k].ours)
		return spaces->own[k];
	for (size_t i = 0; kinds[k].like && i < CKPT_SPACES; i++) {
		if (!strcmp(kinds[i].name, kinds[k].like))
			return spaces->tree[i];
	}
	return spaces->tree[k];
}

static int check_one(struct ckpt_spaces *spaces, struct ckpt_held_proc *p, int dir, size_t k,
		     struct ckpt_err *err)
{
	cleanup_free char *link = NULL;
	int e = link_of(dir, k, &link);

	if (e < 0)
		return ckpt_fail(err, CKPT_FAILED, -e,
				 "cannot look at the %s namespace of pid %d", kinds[k].name,
				 p->pid);
	if (e > 0)
		return refuse(p, k, err);
	if (!spaces->tree[k]) {
		spaces->tree[k] = strdup(link);
		if (!spaces->tree[k])
			return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a link");
	}
	return strcmp(link, wanted(spaces, k)) ? refuse(p, k, err) : 0;
}

/* Some are asked for of the first thread only. */
static int check_thread(struct ckpt_spaces *spaces, struct ckpt_held_proc *p, size_t thread,
			struct ckpt_err *err)
{
	pid_t tid = p->threads[thread].tid;
	cleanup_close int dir = -1;
	char name[32];

	if (tid == p->pid)
		snprintf(name, sizeof(name), "ns");
	else
		snprintf(name, sizeof(name), "task/%d/ns", tid);
	dir = openat(p->dir, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot look at the namespaces of pid %d",
				 p->pid);
	for (size_t k = 0; k < CKPT_SPACES; k++) {
		if (spaces->own[k] && (!thread || kinds[k].threads) &&
		    check_one(spaces, p, dir, k, err))
			return -1;
	}
	return 0;
}

int ckpt_spaces_check(struct ckpt_spaces *spaces, struct ckpt_held_proc *p, struct ckpt_err *err)
{
	if (!p->n_threads)
		return 0;	/* ended before its threads were listed */
	for (size_t j = 0; j < p->n_threads; j++) {
		if (check_thread(spaces, p, j, err))
			return -1;
	}
	if (!strcmp(spaces->tree[MNT], spaces->own[MNT]))
		return 0;
	if (!strcmp(spaces->tree[PID], spaces->own[PID]))
		return refuse(p, MNT, err);
	if (!spaces->mounts_known && ckpt_mounts_compare(spaces, p, err))
		return -1;
	spaces->mounts_known = true;
	return ckpt_mounts_check(spaces, p, err);
}

/* The first process with threads: the clocks are those that it sees. */
static struct ckpt_held_proc *first_alive(struct ckpt_hold *hold)
{
	for (size_t i = 0; i < hold->n_procs; i++) {
		if (!hold->procs[i].zombie)
			return &hold->procs[i];
	}
	return NULL;
}

static bool is_own(const struct ckpt_spaces *spaces, size_t k)
{
	return spaces->own[k] && spaces->tree[k] && strcmp(spaces->tree[k], spaces->own[k]);
}

bool ckpt_spaces_own(const struct ckpt_spaces *spaces, const char *name)
{
	for (size_t k = 0; k < CKPT_SPACES; k++) {
		if (!strcmp(kinds[k].name, name))
			return is_own(spaces, k);
	}
	return false;
}

/* One that is made anew is ours: so is the user namespace that the one before has to be of. */
static int check_owner(const struct ckpt_held_proc *p, const struct ckpt_spaces *spaces, size_t k,
		       struct ckpt_err *err)
{
	cleanup_close int fd = -1, owner = -1;
	struct stat st, own;
	char name[64];

	snprintf(name, sizeof(name), "ns/%s", kinds[k].name);
	fd = openat(p->dir, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstatat(spaces->self, "ns/user", &own, 0))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot open the %s namespace of pid %d",
				 kinds[k].name, p->pid);
	owner = ioctl(fd, NS_GET_USERNS);
	if (owner >= 0 && !fstat(owner, &st) && st.st_ino == own.st_ino && st.st_dev == own.st_dev)
		return 0;
	return ckpt_fail(err, CKPT_REFUSED, 0,
		"pid %d (%s) is in a namespace (%s) that belongs to another user namespace, which "
		"this version cannot restore", p->pid, p->comm, kinds[k].name);
}

static int read_uts(void *arg, struct ckpt_err *err)
{
	return ckpt_uts_get(arg, err);
}

static int read_own_uts(struct ckpt_reader *r, const struct ckpt_spaces *spaces,
			struct ckpt_err *err)
{
	const struct ckpt_held_proc *p = first_alive(r->hold);
	struct ckpt_uts *uts;

	if (!is_own(spaces, UTS))
		return 0;
	uts = ckpt_grow(r->image->uts, &r->image->n_uts, sizeof(*uts));
	if (!uts)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a host name");
	r->image->uts = uts;
	return PASS(check_owner(p, spaces, UTS, err)) ||
	       ckpt_inside(p->dir, "uts", read_uts, uts, err) ? -1 : 0;
}

static int read_own_ipc(struct ckpt_reader *r, const struct ckpt_spaces *spaces,
			struct ckpt_err *err)
{
	const struct ckpt_held_proc *p = first_alive(r->hold);

	if (!is_own(spaces, IPC))
		return 0;
	return PASS(check_owner(p, spaces, IPC, err)) || ckpt_read_ipc(r, p, err) ? -1 : 0;
}

/* Whose sockets are the tree's: those of this namespace. */
static int read_own_net(struct ckpt_reader *r, const struct ckpt_spaces *spaces,
			struct ckpt_err *err)
{
	const struct ckpt_held_proc *p = first_alive(r->hold);
	struct stat st;

	if (spaces->own[NET] && fstatat(p->dir, "ns/net", &st, 0))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot look at the network namespace "
				 "of pid %d", p->pid);
	r->net_ino = spaces->own[NET] ? st.st_ino : 0;
	if (!is_own(spaces, NET))
		return 0;
	return PASS(check_owner(p, spaces, NET, err)) || ckpt_read_net(r, p, err) ? -1 : 0;
}

static int read_own_cgroup(struct ckpt_reader *r, const struct ckpt_spaces *spaces,
			   struct ckpt_err *err)
{
	const struct ckpt_held_proc *p = first_alive(r->hold);

	if (!is_own(spaces, CGROUP))
		return 0;
	r->image->own_cgroupns = true;
	return PASS(check_owner(p, spaces, CGROUP, err)) ||
	       PASS(ckpt_cgroup_root_check(r->hold, p, err)) ? -1 : 0;
}

int ckpt_read_in_ipc(struct ckpt_reader *r, ckpt_inside_fn fn, void *arg, struct ckpt_err *err)
{
	return r->image->n_ipc ? ckpt_inside(first_alive(r->hold)->dir, "ipc", fn, arg, err) :
				 fn(arg, err);
}

int ckpt_read_namespaces(struct ckpt_reader *r, struct ckpt_err *err)
{
	cleanup_with(ckpt_spaces_done) struct ckpt_spaces spaces = CKPT_SPACES_NONE;

	if (!first_alive(r->hold))
		return ckpt_fail(err, CKPT_FAILED, 0, "no process of the tree is alive");
	if (ckpt_spaces_open(&spaces, err))
		return -1;
	for (size_t i = 0; i < r->hold->n_procs; i++) {
		struct ckpt_held_proc *p = &r->hold->procs[i];

		if (!p->zombie && PASS(ckpt_spaces_check(&spaces, p, err)))
			return -1;
	}
	r->image->private_pidns = is_own(&spaces, PID);
	return read_own_uts(r, &spaces, err) || read_own_ipc(r, &spaces, err) ||
	       read_own_net(r, &spaces, err) || read_own_cgroup(r, &spaces, err) ? -1 : 0;
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
	r->cut_ns = clock_of(CLOCK_MONOTONIC);
	image->monotonic_ns = r->cut_ns + ahead(r, p, self, "monotonic");
	image->boottime_ns = clock_of(CLOCK_BOOTTIME) + ahead(r, p, self, "boottime");
	image->realtime_ns = clock_of(CLOCK_REALTIME);
	return 0;
}
