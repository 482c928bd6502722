// SPDX-License-Identifier: GPL-2.0-or-later
/* Preflight: obstacles that show before anything is built. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/build.h"
#include "proc/parse.h"

#define CAP_SYS_RESOURCE_BIT 24

static int check_cgroup(const char *cgroup, struct ckpt_err *err)
{
	cleanup_free char *text = NULL;
	cleanup_free char *path = NULL;

	if (asprintf(&path, "%s/cgroup.events", cgroup) < 0)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a path");
	if (ckpt_build_text(path, &text, err))
		return -1;
	if (!strstr(text, "populated 0"))
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "processes live in cgroup %s; end them before the restore",
				 cgroup);
	return 0;
}

static int check_pid(int32_t pid, struct ckpt_err *err)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d", pid);
	if (!access(path, F_OK))
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "pid %d of the checkpoint is in use; end that process first", pid);
	return 0;
}

static int check_pids(const struct ckpt_image *image, struct ckpt_err *err)
{
	size_t i, j;

	for (i = 0; i < image->n_tasks && !image->private_pidns; i++) {
		if (check_pid(image->tasks[i].pid, err))
			return -1;
		for (j = 1; j < image->tasks[i].n_threads; j++) {
			if (check_pid(image->tasks[i].threads[j].tid, err))
				return -1;
		}
	}
	return 0;
}

static int refuse_shared(int32_t a, int32_t b, const char *what, struct ckpt_err *err)
{
	return ckpt_fail(err, CKPT_REFUSED, 0, "processes %d and %d share their %s", a, b, what);
}

static int check_sharing(const struct ckpt_image *image, struct ckpt_err *err)
{
	const struct ckpt_task *a, *b, *end = image->tasks + image->n_tasks;

	for (a = image->tasks; a < end; a++) {
		for (b = a + 1; b < end; b++) {
			if (a->state == CKPT_TASK_ZOMBIE || b->state == CKPT_TASK_ZOMBIE)
				continue;
			if (a->mm == b->mm)
				return refuse_shared(a->pid, b->pid, "memory", err);
			if (a->fdtable == b->fdtable)
				return refuse_shared(a->pid, b->pid, "descriptors", err);
		}
	}
	return 0;
}

/* A file that is mapped or executed is the one that was there. */
static int check_file(const struct ckpt_file *f, struct ckpt_err *err)
{
	struct stat st;

	if (f->deleted || f->writable)
		return 0;
	if (stat(f->path, &st))
		return ckpt_fail(err, CKPT_REFUSED, errno, "%s is mapped by the checkpoint",
				 f->path);
	if ((uint64_t)st.st_size != f->size ||
	    st.st_mtim.tv_sec * 1000000000ll + st.st_mtim.tv_nsec != f->mtime_ns)
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "%s has changed since the checkpoint, which maps it", f->path);
	return 0;
}

static int check_files(const struct ckpt_image *image, struct ckpt_err *err)
{
	size_t i, j;

	for (i = 0; i < image->n_mms; i++) {
		const struct ckpt_mm *mm = &image->mms[i];

		if (check_file(&image->files[mm->exe], err))
			return -1;
		for (j = 0; j < mm->n_areas; j++) {
			if (mm->areas[j].file != CKPT_NONE &&
			    check_file(&image->files[mm->areas[j].file], err))
				return -1;
		}
	}
	return 0;
}

static int check_limits(const struct ckpt_image *image, struct ckpt_err *err)
{
	cleanup_free char *text = NULL;
	struct ckpt_proc_status own;
	struct rlimit limit;
	size_t i, j;

	if (ckpt_build_status(getpid(), &text, &own, err))
		return -1;
	if (own.cap_eff >> CAP_SYS_RESOURCE_BIT & 1)
		return 0;
	for (i = 0; i < image->n_tasks; i++) {
		if (image->tasks[i].state == CKPT_TASK_ZOMBIE)
			continue;
		for (j = 0; j < CKPT_NLIMITS; j++) {
			if (!getrlimit(j, &limit) &&
			    image->tasks[i].limits[j].max > limit.rlim_max)
				return ckpt_fail(err, CKPT_REFUSED, 0,
						 "process %d had a higher hard resource limit %zu; "
						 "raise that of ckpt-tool", image->tasks[i].pid, j);
		}
	}
	return 0;
}

static int check_tasks(const struct ckpt_image *image, struct ckpt_err *err)
{
	size_t i;

	for (i = 0; i < image->n_tasks; i++) {
		const struct ckpt_task *t = &image->tasks[i];

		if (!t->sid || !t->pgid)
			return ckpt_fail(err, CKPT_REFUSED, 0,
					 "process %d is in a session or process group led from "
					 "outside the tree; start the tree with setsid", t->pid);
		if (t->dumpable != 0 && t->dumpable != 1)
			return ckpt_fail(err, CKPT_REFUSED, 0,
					 "process %d is dumpable by root alone, which no process "
					 "can be made", t->pid);
	}
	return 0;
}

int ckpt_restore_check(const struct ckpt_restore_params *params, struct ckpt_err *err)
{
	const struct ckpt_image *image = params->image;

	if (ckpt_image_check(image, err) ||
	    (params->cgroup && check_cgroup(params->cgroup, err)) ||
	    check_pids(image, err) || check_tasks(image, err) || check_sharing(image, err) ||
	    (!params->files_later && check_files(image, err)) || check_limits(image, err) ||
	    ckpt_vdso_check(image, err) || ckpt_xstate_check(image, err))
		return -1;
	return 0;
}
