// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What no machine can restore: looked at when a tree is captured, and once more
 * before a restore changes anything
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/cleanup.h"
#include "proc/births.h"
#include "proc/filter.h"
#include "proc/image-check.h"

#define CORE_DUMPED 0x80
#define USER_END 0x7ffffffff000ull	/* what mmap gives without asking for more */
#define XSTATE_BV 512			/* which components are not in their initial state */
#define XFEATURES_AMX (3ull << 17)

/* For a survey a refusal is no end. */
#define PASS(failed) ckpt_survey_pass(survey, failed, err)

#define REFUSE(t, format, ...) \
	ckpt_fail(err, CKPT_REFUSED, 0, "pid %d (%s) " format, (t)->pid, (t)->comm, ##__VA_ARGS__)

static const struct ckpt_task *find(const struct ckpt_image *image, int32_t pid)
{
	for (size_t i = 0; i < image->n_tasks; i++) {
		if (image->tasks[i].pid == pid)
			return &image->tasks[i];
	}
	return NULL;
}

static int check_sessions(const struct ckpt_image *image, struct ckpt_survey *survey,
			  struct ckpt_err *err)
{
	cleanup_with(ckpt_births_done) struct ckpt_births births = { 0 }, apart = { 0 };

	if (ckpt_births_plan(image, true, &births, err))
		return -1;
	if (births.complete)
		return 0;
	if (ckpt_births_plan(image, false, &apart, err))
		return -1;
	for (size_t i = 0; apart.complete && i < image->n_tasks; i++) {
		if (!ckpt_births_has(&births, i) &&
		    PASS(REFUSE(&image->tasks[i], "shares its table of descriptors with processes "
				"of which none can have forked it, which this version cannot "
				"restore")))
			return -1;
	}
	for (size_t i = 0; !apart.complete && i < image->n_tasks; i++) {
		if (!ckpt_births_has(&births, i) &&
		    PASS(REFUSE(&image->tasks[i], "is in session %d, in which no parent of it can "
				"have been", image->tasks[i].sid)))
			return -1;
	}
	return 0;
}

static int check_group(const struct ckpt_image *image, const struct ckpt_task *t,
		       struct ckpt_err *err)
{
	const struct ckpt_task *leader = find(image, t->pgid);

	if (!t->sid || !t->pgid)
		return REFUSE(t, "is in a session or process group led from outside the tree; "
			      "start the tree with setsid");
	/* pid 1 is always somebody else */
	if (t->pid == 1 || t->sid == 1 || t->pgid == 1)
		return REFUSE(t, "is the init of its pid namespace or in its session; start the "
			      "tree with ckpt-tool run");
	if (leader && leader->pgid != t->pgid)
		return REFUSE(t, "is in process group %d, which its founder has left", t->pgid);
	return 0;
}

/* Of either of two processes. */
static bool has_lock(const struct ckpt_image *image, int32_t a, int32_t b)
{
	for (size_t i = 0; i < image->n_locks; i++) {
		const struct ckpt_lock *l = &image->locks[i];

		if (l->kind == CKPT_LOCK_POSIX && (l->pid == a || l->pid == b))
			return true;
	}
	return false;
}

static int check_sharing(const struct ckpt_image *image, const struct ckpt_task *t,
			 struct ckpt_err *err)
{
	for (const struct ckpt_task *o = image->tasks; o < t; o++) {
		if (o->state == CKPT_TASK_ZOMBIE)
			continue;
		if (t->mm != CKPT_NONE && o->mm == t->mm)
			return REFUSE(t, "shares its memory with pid %d", o->pid);
		if (o->fdtable == t->fdtable && has_lock(image, o->pid, t->pid))
			return REFUSE(t, "shares its table of descriptors with pid %d, and a lock "
				      "of a process, which this version cannot restore", o->pid);
	}
	return 0;
}

static int check_threads(const struct ckpt_task *t, struct ckpt_err *err)
{
	for (size_t i = 0; i < t->n_threads; i++) {
		const struct ckpt_thread *thread = &t->threads[i];
		uint64_t used;

		if (!thread->xstate)
			continue;	/* it was refused */
		memcpy(&used, thread->xstate + XSTATE_BV, sizeof(used));
		if (used & XFEATURES_AMX)
			return REFUSE(t, "has AMX tiles in use in thread %d", thread->tid);
		if (thread->rseq_ptr && thread->rseq_size > CKPT_RSEQ_MAX)
			return REFUSE(t, "has an rseq area of %u bytes in thread %d",
				      thread->rseq_size, thread->tid);
	}
	return 0;
}

static int check_memory(const struct ckpt_image *image, const struct ckpt_task *t,
			struct ckpt_err *err)
{
	const struct ckpt_mm *mm = t->mm < image->n_mms ? &image->mms[t->mm] : NULL;

	for (size_t i = 0; mm && i < mm->n_areas; i++) {
		if (mm->areas[i].end > USER_END && mm->areas[i].kind != CKPT_AREA_KIND_VSYSCALL)
			return REFUSE(t, "has memory above 47 bits at 0x%lx", mm->areas[i].start);
	}
	return 0;
}

static int check_task(const struct ckpt_image *image, const struct ckpt_task *t,
		      struct ckpt_survey *survey, struct ckpt_err *err)
{
	if (PASS(check_group(image, t, err)))
		return -1;
	if (t->state == CKPT_TASK_ZOMBIE)
		return PASS(t->exit_code & CORE_DUMPED ?
			    REFUSE(t, "has dumped core and waits for its parent; its status cannot "
				   "be made again") : 0);
	if (t->dumpable != 0 && t->dumpable != 1 &&
	    PASS(REFUSE(t, "is dumpable by root alone, which no process can be made")))
		return -1;
	return PASS(check_memory(image, t, err)) ||
	       PASS(check_sharing(image, t, err)) || PASS(check_threads(t, err)) ? -1 : 0;
}

/* Who is told of a file's events. */
static bool owner_is_there(const struct ckpt_image *image, const struct ckpt_file *f)
{
	for (size_t i = 0; i < image->n_tasks; i++) {
		const struct ckpt_task *t = &image->tasks[i];

		if (f->owner_type == F_OWNER_PGRP ? t->pgid == f->owner_pid :
						    t->pid == f->owner_pid)
			return true;
		for (size_t j = 0; f->owner_type == F_OWNER_TID && j < t->n_threads; j++) {
			if (t->threads[j].tid == f->owner_pid)
				return true;
		}
	}
	return false;
}

static int check_fd(const struct ckpt_image *image, const struct ckpt_task *t,
		    const struct ckpt_fd *fd, struct ckpt_err *err)
{
	const struct ckpt_file *f = &image->files[fd->file];

	if (f->kind == CKPT_FILE_OUTER && fd->fd > 2)
		return REFUSE(t, "has a descriptor above 2, %d, that leads out of the tree",
			      fd->fd);
	if (f->kind == CKPT_FILE_OUTER && f->flags & O_ASYNC)
		return REFUSE(t, "gets signals of descriptor %d (O_ASYNC), which leads out of the "
			      "tree", fd->fd);
	if (f->owner_pid && !owner_is_there(image, f))
		return REFUSE(t, "has descriptor %d whose signals go to %d, which is not in the "
			      "tree", fd->fd, f->owner_pid);
	return 0;
}

static int check_fds(const struct ckpt_image *image, const struct ckpt_task *t,
		     struct ckpt_survey *survey, struct ckpt_err *err)
{
	const struct ckpt_fdtable *table = &image->fdtables[t->fdtable];

	for (size_t i = 0; i < table->n_fds; i++) {
		/* what leads out was told by name when it was read */
		if (survey && image->files[table->fds[i].file].kind == CKPT_FILE_OUTER)
			continue;
		if (PASS(check_fd(image, t, &table->fds[i], err)))
			return -1;
	}
	return 0;
}

int ckpt_image_restorable(const struct ckpt_image *image, struct ckpt_survey *survey,
			  struct ckpt_err *err)
{
	for (const struct ckpt_task *t = image->tasks; t < image->tasks + image->n_tasks; t++) {
		if (check_task(image, t, survey, err) || PASS(ckpt_filters_apart(t, err)) ||
		    (t->state != CKPT_TASK_ZOMBIE && check_fds(image, t, survey, err)))
			return -1;
	}
	return check_sessions(image, survey, err) || ckpt_ptys_restorable(image, survey, err) ||
	       ckpt_locks_restorable(image, survey, err) ||
	       ckpt_shms_restorable(image, survey, err) ? -1 : 0;
}
