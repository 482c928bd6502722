// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tasks: processes with the parents, sessions and process groups of the image
 *
 * They are born in the order and by whom births.c says.  Who is gone is played by a
 * ghost: a process that exists only while the tree is built.
 */
#include <errno.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "proc/births.h"
#include "proc/build.h"
#include "proc/remote.h"

#define TASK_END 0x7ffffffff000ull

/**
 * struct ghost - a process that is only there to make others
 * @pid: in the tree
 * @maker: who has to reap it
 */
struct ghost {
	struct ckpt_site site;
	int32_t pid;
	struct ckpt_site maker;
};

/* Glibc registered rseq in the process that init comes from; its memory goes. */
static int unregister_rseq(const struct ckpt_site *s, struct ckpt_err *err)
{
	struct __ptrace_rseq_configuration c;
	int64_t value;

	if (ptrace(PTRACE_GET_RSEQ_CONFIGURATION, s->tid, sizeof(c), &c) < 0 ||
	    !c.rseq_abi_pointer)
		return 0;
	if (ckpt_site_try(s, err, &value, SYS_rseq,
			  ARGS(c.rseq_abi_pointer, c.rseq_abi_size, 1, c.signature)))
		return -1;
	return value ? ckpt_fail(err, CKPT_FAILED, -value, "cannot unregister rseq") : 0;
}

/* The signal stack of the process that init comes from is memory that goes as well. */
static int drop_altstack(const struct ckpt_site *s, struct ckpt_err *err)
{
	const stack_t none = { .ss_flags = SS_DISABLE };
	uint64_t at = ckpt_site_put(s, 0, &none, sizeof(none), err);

	return !at || ckpt_site_call(s, err, "drop its signal stack", SYS_sigaltstack,
				     ARGS(at, 0)) < 0 ? -1 : 0;
}

/* Leave a fork of init nothing but scratch memory and the parked vdso. */
static int empty(struct ckpt_restore *r, struct ckpt_site *s, struct ckpt_err *err)
{
	uint64_t end = (r->region + CKPT_SCRATCH_LEN + r->vdso.len + CKPT_PAGE_LEN - 1) &
		       ~(uint64_t)(CKPT_PAGE_LEN - 1);

	if (unregister_rseq(s, err) || drop_altstack(s, err) ||
	    ckpt_vdso_park(r, s, r->vdso.base, &s->at, err))
		return -1;
	if (ckpt_site_call(s, err, "empty its memory", SYS_munmap, ARGS(0, r->region)) < 0 ||
	    ckpt_site_call(s, err, "empty its memory", SYS_munmap, ARGS(end, TASK_END - end)) < 0)
		return -1;
	return 0;
}

/* A child of init, in the group's cgroup. */
static int fork_init(struct ckpt_restore *r, int32_t pid, int exit_signal, struct ckpt_site *ret,
		     struct ckpt_err *err)
{
	struct ckpt_site s = r->init_site;

	if (ckpt_build_clone(r, &s, CLONE_INTO_CGROUP, pid, exit_signal, &s.tid, err))
		return -1;
	s.name = pid;
	if (empty(r, &s, err))
		return -1;
	*ret = s;
	return 0;
}

/* @shares: its table of descriptors is that of @parent. */
static int fork_site(struct ckpt_restore *r, const struct ckpt_site *parent, bool shares,
		     int32_t pid, int exit_signal, struct ckpt_site *ret, struct ckpt_err *err)
{
	struct ckpt_site s = *parent;

	if (parent->tid == r->init_site.tid)
		return fork_init(r, pid, exit_signal, ret, err);
	if (ckpt_build_clone(r, parent, shares ? CLONE_FILES : 0, pid, exit_signal, &s.tid, err))
		return -1;
	s.name = pid;
	*ret = s;
	return 0;
}

static int raise_ghost(struct ckpt_restore *r, const struct ckpt_site *maker, bool shares,
		       int32_t pid, struct ghost *ret, struct ckpt_err *err)
{
	struct ghost g = { .pid = pid, .maker = *maker };

	if (fork_site(r, maker, shares, pid, 0, &g.site, err))
		return -1;
	*ret = g;
	return 0;
}

static int lay_ghost(struct ckpt_restore *r, struct ghost *g, struct ckpt_err *err)
{
	int status;

	kill(g->site.tid, SIGKILL);
	while (waitpid(g->site.tid, &status, __WALL) < 0 && errno == EINTR)
		;
	ckpt_build_forget(r, g->site.tid);
	/* WNOHANG: it is dead already, and nothing may ever block here. */
	return ckpt_site_call(&g->maker, err, "reap a helper", SYS_wait4,
			      ARGS(g->pid, 0, __WALL | WNOHANG, 0)) < 0 ? -1 : 0;
}

static int settle(struct ckpt_build_task *t, const struct ckpt_site *s)
{
	size_t n = t->task->n_threads;

	t->host = s->tid;
	t->at = s->at;
	if (n)
		t->tids = calloc(n, sizeof(*t->tids));
	if (!t->tids)
		return n ? -1 : 0;
	t->tids[0] = s->tid;
	return 0;
}

/**
 * struct helper - a ghost that lives until all are born
 * @session: that it leads in the place of who is gone; 0: none
 * @child: to be adopted at its end, or NULL
 */
struct helper {
	struct ghost ghost;
	int32_t session;
	const struct ckpt_build_task *child;
};

struct helpers {
	struct helper *list;
	size_t n;
};

static const struct ckpt_site *seat_of(const struct helpers *helpers, int32_t session)
{
	const struct helper *h = helpers->list;

	while (h->session != session)
		h++;
	return &h->ghost.site;
}

/* A task of the plan as a site, or init. */
static struct ckpt_site site_of(const struct ckpt_restore *r, size_t task)
{
	return task == CKPT_BIRTH_NOBODY ? r->init_site :
					   ckpt_build_site(r, &r->tasks[task], 0);
}

/* What a task makes of the memory that it was forked with; a zombie needs none. */
static int inherit(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_site *s,
		   struct ckpt_err *err)
{
	if (!s->memory || t->task->state == CKPT_TASK_ZOMBIE)
		return 0;
	if (!ckpt_build_alike(r, s->memory, t))
		return ckpt_build_leave_memory(r, s, err);
	t->forked = s->memory;
	return 0;
}

static int beget(struct ckpt_restore *r, struct ckpt_build_task *t, const struct ckpt_site *parent,
		 bool shares, struct ckpt_err *err)
{
	struct ckpt_site s;

	if (fork_site(r, parent, shares, t->task->pid, t->task->exit_signal, &s, err) ||
	    inherit(r, t, &s, err))
		return -1;
	return settle(t, &s) ? ckpt_fail(err, CKPT_FAILED, 0, "no memory for task %d",
					 t->task->pid) : 0;
}

static int lead(struct ckpt_restore *r, const struct ckpt_build_task *t, struct ckpt_err *err)
{
	const struct ckpt_site s = ckpt_build_site(r, t, 0);

	return ckpt_site_call(&s, err, "lead a session", SYS_setsid, ARGS(0)) < 0 ||
	       ckpt_build_ctty(r, &s, t->task, err) ? -1 : 0;
}

static int raise_seat(struct ckpt_restore *r, const struct ckpt_birth *b, struct helpers *helpers,
		      struct ckpt_err *err)
{
	const struct ckpt_site maker = site_of(r, b->maker);
	struct helper *h = &helpers->list[helpers->n];

	if (raise_ghost(r, &maker, false, b->session, &h->ghost, err))
		return -1;
	h->session = b->session;
	helpers->n++;
	return ckpt_site_call(&h->ghost.site, err, "lead a session", SYS_setsid, ARGS(0)) < 0 ?
	       -1 : 0;
}

/* Forked by a helper in its session, which is to leave it to its parent. */
static int beget_adopted(struct ckpt_restore *r, const struct ckpt_birth *b,
			 struct helpers *helpers, struct ckpt_err *err)
{
	struct ckpt_site maker = b->maker == CKPT_BIRTH_NOBODY ? *seat_of(helpers, b->session) :
								 site_of(r, b->maker);
	struct helper *h = &helpers->list[helpers->n];

	if (raise_ghost(r, &maker, b->shares, ckpt_pids_spare(r), &h->ghost, err))
		return -1;
	h->child = &r->tasks[b->task];
	helpers->n++;
	return beget(r, &r->tasks[b->task], &h->ghost.site, b->shares, err);
}

/* Nobody is one yet but init, which takes those that nobody below it does. */
static int adopt(const struct ckpt_site *s, bool on, struct ckpt_err *err)
{
	return ckpt_site_call(s, err, "take orphans", SYS_prctl,
			      ARGS(PR_SET_CHILD_SUBREAPER, on, 0, 0, 0)) < 0 ? -1 : 0;
}

static int lay_helper(struct ckpt_restore *r, struct helper *h, struct ckpt_err *err)
{
	struct ckpt_build_task *parent = h->child && h->child->task->ppid ?
					 ckpt_build_find(r, h->child->task->ppid) : NULL;
	struct ckpt_site adopter;

	if (!parent)
		return lay_ghost(r, &h->ghost, err);
	adopter = ckpt_build_site(r, parent, 0);
	return adopt(&adopter, true, err) || lay_ghost(r, &h->ghost, err) ||
	       adopt(&adopter, false, err) ? -1 : 0;
}

/* Forked by a task, or by init; one that shares memory with it gets that so. */
static int beget_child(struct ckpt_restore *r, const struct ckpt_birth *b, struct ckpt_err *err)
{
	struct ckpt_build_task *t = &r->tasks[b->task];
	struct ckpt_site maker;

	if (b->maker != CKPT_BIRTH_NOBODY && ckpt_build_alike(r, &r->tasks[b->maker], t) &&
	    ckpt_build_fill(r, &r->tasks[b->maker], err))
		return -1;
	maker = site_of(r, b->maker);
	return beget(r, t, &maker, b->shares, err);
}

static int take_step(struct ckpt_restore *r, const struct ckpt_birth *b, struct helpers *helpers,
		     struct ckpt_err *err)
{
	switch (b->kind) {
	case CKPT_BIRTH_FORK:
		return beget_child(r, b, err);
	case CKPT_BIRTH_LEAD:
		return lead(r, &r->tasks[b->task], err);
	case CKPT_BIRTH_SEAT:
		return raise_seat(r, b, helpers, err);
	default:
		return beget_adopted(r, b, helpers, err);
	}
}

/* By a plan that image-restorable.c has found to be complete. */
static int beget_all(struct ckpt_restore *r, struct ckpt_err *err)
{
	cleanup_with(ckpt_births_done) struct ckpt_births births = { 0 };
	cleanup_free struct helper *list = calloc(2 * r->image->n_tasks + 1, sizeof(*list));
	struct helpers helpers = { list, 0 };

	if (!list)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of helpers");
	if (ckpt_births_plan(r->image, true, &births, err))
		return -1;
	for (size_t i = 0; i < births.n; i++) {
		if (take_step(r, &births.steps[i], &helpers, err))
			return -1;
	}
	while (helpers.n) {
		if (lay_helper(r, &helpers.list[--helpers.n], err))
			return -1;
	}
	return 0;
}

/* Some task that is in session @sid. */
static struct ckpt_build_task *member_of(struct ckpt_restore *r, int32_t sid)
{
	size_t i;

	for (i = 0; i < r->image->n_tasks; i++) {
		if (r->tasks[i].task->sid == sid)
			return &r->tasks[i];
	}
	return NULL;
}

static int set_group(const struct ckpt_site *s, int32_t pgid, struct ckpt_err *err)
{
	return ckpt_site_call(s, err, "join its process group", SYS_setpgid, ARGS(0, pgid)) < 0
		? -1 : 0;
}

/* Everybody of group @pgid joins it; its leader is there. */
static int fill_group(struct ckpt_restore *r, int32_t pgid, struct ckpt_err *err)
{
	struct ckpt_build_task *t;
	struct ckpt_site s;

	for (t = r->tasks; t < r->tasks + r->image->n_tasks; t++) {
		if (t->task->pgid != pgid || t->task->pid == pgid || t->task->sid == t->task->pid)
			continue;
		s = ckpt_build_site(r, t, 0);
		if (set_group(&s, pgid, err))
			return -1;
	}
	return 0;
}

/* A group whose leader is gone is founded by a ghost. */
static int found_group(struct ckpt_restore *r, const struct ckpt_build_task *t,
		       struct ckpt_err *err)
{
	struct ckpt_site maker = ckpt_build_site(r, member_of(r, t->task->sid), 0);
	int32_t pgid = t->task->pgid;
	struct ghost g;

	if (raise_ghost(r, &maker, false, pgid, &g, err) || set_group(&g.site, 0, err) ||
	    fill_group(r, pgid, err))
		return -1;
	return lay_ghost(r, &g, err);
}

/* Whether an earlier task already brought about the group of @t. */
static bool group_done(const struct ckpt_restore *r, const struct ckpt_build_task *t)
{
	const struct ckpt_build_task *e;

	for (e = r->tasks; e < t; e++) {
		if (e->task->pgid == t->task->pgid)
			return true;
	}
	return false;
}

static int build_groups(struct ckpt_restore *r, struct ckpt_err *err)
{
	struct ckpt_build_task *t, *leader;
	struct ckpt_site s;

	for (t = r->tasks; t < r->tasks + r->image->n_tasks; t++) {
		if (t->task->pgid != t->task->pid || t->task->sid == t->task->pid)
			continue;
		s = ckpt_build_site(r, t, 0);
		if (set_group(&s, 0, err))
			return -1;
	}
	for (t = r->tasks; t < r->tasks + r->image->n_tasks; t++) {
		if (group_done(r, t))
			continue;
		leader = ckpt_build_find(r, t->task->pgid);
		/* that of a leader who is gone is where they were born */
		if (!leader && t->task->pgid == t->task->sid)
			continue;
		if (leader ? fill_group(r, t->task->pgid, err) : found_group(r, t, err))
			return -1;
	}
	return 0;
}

int ckpt_build_tasks(struct ckpt_restore *r, struct ckpt_err *err)
{
	if (beget_all(r, err))
		return -1;
	if (ckpt_fault("restore.born"))
		return ckpt_fail(err, CKPT_FAILED, 0, "restore.born: fault injected");
	return build_groups(r, err) || ckpt_build_no_ctty(r, err) ||
	       ckpt_build_foreground(r, err) ? -1 : 0;
}
