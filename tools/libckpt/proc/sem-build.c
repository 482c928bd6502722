// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sets of semaphores: made with the ids they had; and what the end of a process adds to them,
 * which only that process can ask for
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/build.h"
#include "proc/ipc.h"
#include "proc/sem-undo.h"

#define STEP 16383	/* so much can be added to, or taken from, any value on its way */

union semun {
	int val;
	struct semid_ds *buf;
	unsigned short *array;
	struct seminfo *info;
};

static int cannot(const struct ckpt_sem_set *s, const char *what, int error, struct ckpt_err *err)
{
	return ckpt_fail(err, CKPT_REFUSED, error, "semaphores %d (key 0x%x) of the tree's ipc "
			 "namespace cannot be %s here", s->id.id, s->id.key, what);
}

static int get(const void *what)
{
	const struct ckpt_sem_set *s = what;

	return semget(s->id.key, (int)s->n_values, IPC_CREAT | IPC_EXCL | (int)s->id.mode);
}

/* A program may tell by the time of the last semop(2) whether a set is ready to be used. */
static int use(const struct ckpt_sem_set *s)
{
	struct sembuf op = { .sem_op = 1 };

	return s->used ? semop(s->id.id, &op, 1) : 0;
}

int ckpt_sem_make(const struct ckpt_sem_set *s, struct ckpt_err *err)
{
	int failed = ckpt_ipc_make("sem", &s->id, get, s);
	struct semid_ds ds;

	if (failed)
		return cannot(s, "made", -failed, err);
	if (use(s) || semctl(s->id.id, 0, SETALL, (union semun){ .array = s->values }) ||
	    semctl(s->id.id, 0, IPC_STAT, (union semun){ .buf = &ds }))
		return cannot(s, "filled", errno, err);
	ds.sem_perm.uid = s->id.uid;
	ds.sem_perm.gid = s->id.gid;
	ds.sem_perm.mode = s->id.mode;
	return semctl(s->id.id, 0, IPC_SET, (union semun){ .buf = &ds }) ?
	       cannot(s, "set", errno, err) : 0;
}

int ckpt_sem_compare(const struct ckpt_sem_set *s, struct ckpt_err *err)
{
	cleanup_free uint16_t *now = NULL;
	struct ckpt_ipc_id id;
	struct semid_ds ds;

	if (semctl(s->id.id, 0, IPC_STAT, (union semun){ .buf = &ds }))
		return NOT_AS_CAPTURED("there are no semaphores %d", s->id.id);
	id = ckpt_ipc_id_of(s->id.id, &ds.sem_perm);
	now = calloc(ds.sem_nsems, sizeof(*now));
	if (!now || semctl(s->id.id, 0, GETALL, (union semun){ .array = now }))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot read semaphores %d", s->id.id);
	return memcmp(&id, &s->id, sizeof(id)) || ds.sem_nsems != s->n_values ||
	       !ds.sem_otime != !s->used || memcmp(now, s->values, s->n_values * sizeof(*now)) ?
	       NOT_AS_CAPTURED("semaphores %d are others", s->id.id) : 0;
}

/*
 * The value comes back to what it is: what is undone at the end is done, and then the contrary.
 * It must not leave its bounds on the way.
 */
static int adjust(const struct ckpt_site *site, const struct ckpt_sem_set *s,
		  const struct ckpt_sem_undo *u, struct ckpt_err *err)
{
	int rest = u->adjust, value = s->values[u->sem];

	while (rest) {
		int step = rest > STEP ? STEP : rest < -STEP ? -STEP : rest;
		/* -step is undone by step */
		struct sembuf ops[2] = {
			{ .sem_num = u->sem, .sem_op = -step, .sem_flg = SEM_UNDO | IPC_NOWAIT },
			{ .sem_num = u->sem, .sem_op = step, .sem_flg = IPC_NOWAIT },
		};
		bool takes_first = value >= abs(step);
		uint64_t at;

		if (takes_first != (ops[0].sem_op < 0)) {
			struct sembuf first = ops[1];

			ops[1] = ops[0];
			ops[0] = first;
		}
		at = ckpt_site_put(site, 0, ops, sizeof(ops), err);
		if (!at || ckpt_site_call(site, err, "adjust a semaphore for its end", SYS_semop,
					  ARGS(s->id.id, at, 2)) < 0)
			return -1;
		rest -= step;
	}
	return 0;
}

int ckpt_build_undos(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err)
{
	const struct ckpt_site site = ckpt_build_site(r, t, 0);

	for (size_t i = 0; r->image->n_ipc && i < r->image->ipc->n_sems; i++) {
		const struct ckpt_sem_set *s = &r->image->ipc->sems[i];

		for (size_t j = 0; j < s->n_undos; j++) {
			if (s->undos[j].pid == t->task->pid &&
			    adjust(&site, s, &s->undos[j], err))
				return -1;
		}
	}
	return 0;
}

static size_t count_of(const void *arg, int32_t id)
{
	const struct ckpt_ipc *ipc = arg;

	for (size_t i = 0; i < ipc->n_sems; i++) {
		if (ipc->sems[i].id.id == id)
			return ipc->sems[i].n_values;
	}
	return 0;
}

/* What is undone of @sem of set @id, of those that were found. */
static int found(const struct ckpt_undos *undos, size_t n, int32_t id, uint32_t sem)
{
	for (size_t i = 0; i < n; i++) {
		if (undos[i].set == id)
			return undos[i].adjust[sem];
	}
	return 0;
}

static bool same_undos(const struct ckpt_ipc *ipc, int32_t pid, const struct ckpt_undos *undos,
		       size_t n)
{
	size_t wanted = 0, there = 0;

	for (size_t i = 0; i < ipc->n_sems; i++) {
		const struct ckpt_sem_set *s = &ipc->sems[i];

		for (size_t j = 0; j < s->n_undos; j++) {
			if (s->undos[j].pid != pid)
				continue;
			if (found(undos, n, s->id.id, s->undos[j].sem) != s->undos[j].adjust)
				return false;
			wanted++;
		}
	}
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < undos[i].n; j++)
			there += undos[i].adjust[j] != 0;
	}
	return wanted == there;
}

static int verify_undos(const struct ckpt_ipc *ipc, struct ckpt_undo_peek *peek,
			const struct ckpt_build_task *t, struct ckpt_err *err)
{
	cleanup_close int dir = -1;
	struct ckpt_undos *undos;
	char path[32];
	int failed;
	bool same;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%d", t->host);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	failed = dir < 0 ? -1 : ckpt_undos_get(peek, t->host, dir, count_of, ipc, &undos, &n);
	if (failed < 0)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot look at process %d",
				 t->task->pid);
	/* a kernel that does not tell */
	if (failed)
		return 0;
	same = same_undos(ipc, t->task->pid, undos, n);
	ckpt_undos_done(undos, n);
	return same ? 0 : NOT_AS_CAPTURED("process %d has other semaphores adjusted for its end",
					  t->task->pid);
}

int ckpt_verify_undos(struct ckpt_restore *r, struct ckpt_err *err)
{
	struct ckpt_undo_peek peek = CKPT_UNDO_PEEK_NONE;
	int failed = 0;

	for (size_t i = 0; i < r->image->n_tasks && !failed; i++) {
		if (r->tasks[i].task->state != CKPT_TASK_ZOMBIE && r->image->ipc->n_sems)
			failed = verify_undos(r->image->ipc, &peek, &r->tasks[i], err);
	}
	ckpt_undo_peek_close(&peek);
	return failed;
}
