// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sets of semaphores: those of an ipc namespace of the tree's own; in that of ckpt-tool, whether
 * the tree uses one
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/ipc.h"
#include "proc/procfs.h"
#include "proc/read.h"
#include "proc/sem-undo.h"

union semun {
	int val;
	struct semid_ds *buf;
	unsigned short *array;
	struct seminfo *info;
};

static int by_id(const void *a, const void *b)
{
	const struct ckpt_sem_set *x = a, *y = b;

	return (x->id.id > y->id.id) - (x->id.id < y->id.id);
}

static int no_memory(struct ckpt_err *err)
{
	return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of semaphores");
}

static int read_set(struct ckpt_ipc *ipc, int id, const struct semid_ds *ds, struct ckpt_err *err)
{
	struct ckpt_sem_set *list = ckpt_grow(ipc->sems, &ipc->n_sems, sizeof(*list)), *s;

	if (!list)
		return no_memory(err);
	ipc->sems = list;
	s = &list[ipc->n_sems - 1];
	s->id = ckpt_ipc_id_of(id, &ds->sem_perm);
	s->used = ds->sem_otime;
	s->values = calloc(ds->sem_nsems, sizeof(*s->values));
	if (!s->values)
		return no_memory(err);
	s->n_values = ds->sem_nsems;
	if (semctl(id, 0, GETALL, (union semun){ .array = s->values }))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot read semaphores %d", id);
	return 0;
}

static const struct ckpt_sem_set *find(const struct ckpt_ipc *ipc, int32_t id)
{
	const struct ckpt_sem_set key = { .id.id = id };

	return ipc->n_sems ? bsearch(&key, ipc->sems, ipc->n_sems, sizeof(key), by_id) : NULL;
}

static size_t count_of(const void *arg, int32_t id)
{
	const struct ckpt_sem_set *s = find(arg, id);

	return s ? s->n_values : 0;
}

static int add_undos(struct ckpt_ipc *ipc, int32_t pid, const struct ckpt_undos *u,
		     struct ckpt_err *err)
{
	struct ckpt_sem_set *s = (struct ckpt_sem_set *)find(ipc, u->set);

	for (uint32_t i = 0; i < u->n; i++) {
		struct ckpt_sem_undo *list;

		if (!u->adjust[i])
			continue;
		list = ckpt_grow(s->undos, &s->n_undos, sizeof(*list));
		if (!list)
			return no_memory(err);
		s->undos = list;
		list[s->n_undos - 1] = (struct ckpt_sem_undo){ pid, i, u->adjust[i] };
	}
	return 0;
}

/**
 * struct seen - whose adjustments are asked for
 * @count: how many semaphores a set has, by @arg
 */
struct seen {
	struct ckpt_reader *r;
	const struct ckpt_held_proc *p;
	ckpt_sem_count_fn count;
	const void *arg;
};

static int undos_of(const struct seen *s, const struct ckpt_held_thread *t,
		    struct ckpt_undos **ret, size_t *ret_n, struct ckpt_err *err)
{
	cleanup_close int dir = -1;
	char name[32];
	int failed;

	snprintf(name, sizeof(name), "task/%d", t->tid);
	dir = openat(s->p->dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot look at thread %d of pid %d",
				 t->tid, s->p->pid);
	failed = ckpt_undos_get(&s->r->hold->undo_peek, t->tid, dir, s->count, s->arg, ret, ret_n);
	if (failed < 0)
		return no_memory(err);
	return !failed ? 0 : ckpt_fail(err, CKPT_REFUSED, 0,
		"pid %d (%s) may have adjusted semaphores for its end (SEM_UNDO), which this "
		"kernel does not tell (CONFIG_DEBUG_INFO_BTF, CONFIG_BPF_SYSCALL, no lockdown)",
		s->p->pid, s->p->comm);
}

/* Those of a process are those of all of its threads; other ones are refused. */
static int undos_of_others(const struct seen *s, struct ckpt_err *err)
{
	for (size_t i = 1; i < s->p->n_threads; i++) {
		struct ckpt_undos *undos;
		size_t n;

		if (!syscall(SYS_kcmp, s->p->pid, s->p->threads[i].tid, KCMP_SYSVSEM, 0, 0))
			continue;
		if (undos_of(s, &s->p->threads[i], &undos, &n, err))
			return -1;
		ckpt_undos_done(undos, n);
		if (n)
			return ckpt_fail(err, CKPT_REFUSED, 0,
				"thread %d of pid %d (%s) has adjusted semaphores for its own end "
				"(SEM_UNDO), which this version cannot restore",
				s->p->threads[i].tid, s->p->pid, s->p->comm);
	}
	return 0;
}

static int read_undos(const struct seen *s, struct ckpt_ipc *ipc, struct ckpt_err *err)
{
	struct ckpt_undos *undos;
	int failed = 0;
	size_t n;

	if (undos_of(s, &s->p->threads[0], &undos, &n, err))
		return -1;
	for (size_t i = 0; !failed && ipc && i < n; i++)
		failed = add_undos(ipc, s->p->threads[0].status.ns_tgid, &undos[i], err);
	if (!ipc && n)
		failed = ckpt_fail(err, CKPT_REFUSED, 0,
			"pid %d (%s) has adjusted semaphores %d of the machine for its end "
			"(SEM_UNDO), which this version cannot restore", s->p->pid, s->p->comm,
			undos[0].set);
	ckpt_undos_done(undos, n);
	return failed ? -1 : undos_of_others(s, err);
}

/* @ipc: NULL: of the machine, where there may be none. */
static int all_undos(struct ckpt_reader *r, ckpt_sem_count_fn count, struct ckpt_ipc *ipc,
		     struct ckpt_err *err)
{
	for (size_t i = 0; i < r->hold->n_procs; i++) {
		const struct seen s = { r, &r->hold->procs[i], count, ipc };

		if (!s.p->zombie &&
		    ckpt_survey_pass(r->hold->survey, read_undos(&s, ipc, err), err))
			return -1;
	}
	return 0;
}

static int read_sets(struct ckpt_ipc *ipc, int highest, struct ckpt_err *err)
{
	struct semid_ds ds;

	for (int slot = 0; slot <= highest; slot++) {
		int id = semctl(slot, 0, SEM_STAT_ANY, (union semun){ .buf = &ds });

		if (id >= 0 && read_set(ipc, id, &ds, err))
			return -1;
	}
	if (ipc->n_sems)
		qsort(ipc->sems, ipc->n_sems, sizeof(*ipc->sems), by_id);
	return 0;
}

static size_t machine_count(const void *arg, int32_t id)
{
	struct semid_ds ds;

	(void)arg;
	return semctl(id, 0, IPC_STAT, (union semun){ .buf = &ds }) ? 0 : ds.sem_nsems;
}

/* What somebody of the tree has done last to one shows; nothing else does. */
static int check_machine(struct ckpt_reader *r, int highest, struct ckpt_err *err)
{
	struct semid_ds ds;

	for (int slot = 0; slot <= highest; slot++) {
		int id = semctl(slot, 0, SEM_STAT_ANY, (union semun){ .buf = &ds });

		for (unsigned long i = 0; id >= 0 && i < ds.sem_nsems; i++) {
			pid_t pid = semctl(id, i, GETPID);
			const struct ckpt_held_proc *p = pid > 0 ?
							 ckpt_tree_find(r->hold, pid) : NULL;

			if (!p)
				continue;
			ckpt_fail(err, CKPT_REFUSED, 0,
				"pid %d (%s) uses semaphores %d (key 0x%x) of the machine, which "
				"cannot be restored; give the tree an ipc namespace of its own "
				"(unshare --ipc)", pid, p->comm, id, ds.sem_perm.__key);
			if (ckpt_survey_pass(r->hold->survey, -1, err))
				return -1;
			break;
		}
	}
	return all_undos(r, machine_count, NULL, err);
}

int ckpt_read_sems(struct ckpt_reader *r, struct ckpt_err *err)
{
	struct seminfo info;
	int highest = semctl(0, 0, SEM_INFO, (union semun){ .info = &info });

	if (highest < 0 || !info.semusz)
		return 0;	/* there is none, or this kernel has none */
	if (!r->image->n_ipc)
		return check_machine(r, highest, err);
	return read_sets(r->image->ipc, highest, err) ||
	       all_undos(r, count_of, r->image->ipc, err) ? -1 : 0;
}
