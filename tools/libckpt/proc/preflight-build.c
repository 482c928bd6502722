// SPDX-License-Identifier: GPL-2.0-or-later
/* Preflight: obstacles that show before anything is built. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/build.h"
#include "proc/cpus.h"
#include "proc/label.h"
#include "proc/parse.h"
#include "proc/tcp-outside.h"
#include "proc/unix.h"

static int check_cgroup(const char *cgroup, struct ckpt_err *err)
{
	cleanup_free char *text = NULL;
	cleanup_free char *path = NULL;

	if (asprintf(&path, "%s/cgroup.events", cgroup) < 0)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a path");
	if (ckpt_build_text(path, &text, err))
		return -1;
	if (strstr(text, "frozen 1"))
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "cgroup %s is frozen, or one above it; thaw it first", cgroup);
	if (!strstr(text, "populated 0"))
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "processes live in cgroup %s; end them before the restore",
				 cgroup);
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

static int check_mapped(const struct ckpt_restore_params *p, uint32_t file, struct ckpt_err *err)
{
	const struct ckpt_file *f = &p->image->files[file];

	if (f->kind != CKPT_FILE_REG)
		return 0;
	return p->later && p->later(p->later_arg, f->path) ? 0 : check_file(f, err);
}

static int check_files(const struct ckpt_restore_params *p, struct ckpt_err *err)
{
	size_t i, j;

	for (i = 0; i < p->image->n_mms; i++) {
		const struct ckpt_mm *mm = &p->image->mms[i];

		if (check_mapped(p, mm->exe, err))
			return -1;
		for (j = 0; j < mm->n_areas; j++) {
			if (mm->areas[j].file != CKPT_NONE &&
			    mm->areas[j].kind != CKPT_AREA_KIND_URING &&
			    check_mapped(p, mm->areas[j].file, err))
				return -1;
		}
	}
	return 0;
}

/* What is watched is there, and is a directory or not as it was. */
static int check_watched(const struct ckpt_restore_params *p, const struct ckpt_watch *w,
			 struct ckpt_err *err)
{
	struct stat st;

	if (p->later && p->later(p->later_arg, w->path))
		return 0;
	if (lstat(w->path, &st))
		return ckpt_fail(err, CKPT_REFUSED, errno, "%s is watched by the checkpoint",
				 w->path);
	if (S_ISDIR(st.st_mode) != w->dir)
		return ckpt_fail(err, CKPT_REFUSED, 0, "%s is watched by the checkpoint, and is %s",
				 w->path, w->dir ? "no directory now" : "a directory now");
	return 0;
}

static int check_watches(const struct ckpt_restore_params *p, struct ckpt_err *err)
{
	for (size_t i = 0; i < p->image->n_inotifies; i++) {
		const struct ckpt_inotify *in = &p->image->inotifies[i];

		for (size_t j = 0; j < in->n_watches; j++) {
			if (check_watched(p, &in->watches[j], err))
				return -1;
		}
	}
	return 0;
}

static int check_task_cpus(const struct ckpt_image *image, const struct ckpt_task *t,
			   const struct ckpt_cpus *c, struct ckpt_err *err)
{
	char text[256];

	for (size_t i = 0; i < t->n_threads; i++) {
		const struct ckpt_thread *thread = &t->threads[i];
		int cpu = ckpt_cpus_outside(thread->affinity, c->can);

		if (cpu < 0 || !thread->affinity_len || ckpt_cpus_unasked(image, thread) ||
		    (!ckpt_cpus_recorded(image) && ckpt_cpus_shared(thread->affinity, c->can)))
			continue;
		ckpt_cpus_format(c->can, text, sizeof(text));
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "pid %d (%s) asks for CPU %d in thread %d, here it can "
				 "have %s", t->pid, t->comm, cpu, thread->tid, text);
	}
	return 0;
}

/* Threads that are tied to CPUs find these. */
static int check_cpus(const struct ckpt_restore_params *p, struct ckpt_err *err)
{
	const char *dir = p->cgroup ? p->cgroup : p->above;
	cleanup_close int cgroup = -1;
	struct ckpt_cpus c;

	if (dir)
		cgroup = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir && cgroup < 0)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot open cgroup %s", dir);
	if (ckpt_cpus_of(cgroup, 0, &c, err))
		return -1;
	if (ckpt_cpus_limit(&c, p->cpuset))
		return ckpt_fail(err, CKPT_DAMAGED, 0, "'%s' is no set of CPUs", p->cpuset);
	for (size_t i = 0; i < p->image->n_tasks; i++) {
		if (check_task_cpus(p->image, &p->image->tasks[i], &c, err))
			return -1;
	}
	return 0;
}

static int check_label(const struct ckpt_image *image, struct ckpt_err *err)
{
	cleanup_with(ckpt_labels_done) struct ckpt_labels own = { 0 };

	return ckpt_labels_own(&own, err) || ckpt_labels_fit(image, &own, err) ? -1 : 0;
}

int ckpt_restore_check(const struct ckpt_restore_params *params, int32_t *ret_taken,
		       struct ckpt_err *err)
{
	const struct ckpt_image *image = params->image;

	if (ckpt_image_check(image, err) ||
	    (params->cgroup && check_cgroup(params->cgroup, err)) ||
	    ckpt_image_restorable(image, NULL, err) || check_label(image, err) ||
	    check_cpus(params, err) || ckpt_pids_check(params, ret_taken, err) ||
	    check_files(params, err) || ckpt_ptys_free(image, err) ||
	    check_watches(params, err) || ckpt_locks_free(params, err) ||
	    ckpt_unix_preflight(params, err) ||
	    ckpt_machine_check(image, err) ||
	    (params->tcp_repair && ckpt_outside_machine(image, err)) ||
	    ckpt_vdso_check(params, err) ||
	    ckpt_xstate_check(image, err))
		return -1;
	return 0;
}
