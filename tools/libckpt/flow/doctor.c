// SPDX-License-Identifier: GPL-2.0-or-later
/* Doctor: what a checkpoint of a group would refuse, and what a restore would not bring back. */
#include <string.h>
#include <sys/socket.h>

#include "base/cgroup.h"
#include "base/cleanup.h"
#include "flow/cut.h"
#include "flow/doctor.h"
#include "track/tracker-main.h"

void ckpt_diagnosis_done(struct ckpt_diagnosis *d)
{
	ckpt_survey_done(&d->refused);
	ckpt_survey_done(&d->lost);
	*d = (struct ckpt_diagnosis){ 0 };
}

/* Note a refusal of the stop itself: behind it there is nothing to be seen. */
static int pass(struct ckpt_diagnosis *d, struct ckpt_err *err)
{
	return ckpt_survey_pass(&d->refused, -1, err);
}

static int lose(struct ckpt_diagnosis *d, const struct ckpt_task *t, int fd, const char *why,
		struct ckpt_err *err)
{
	ckpt_fail(err, CKPT_REFUSED, 0, "pid %d (%s): descriptor %d %s", t->host_pid, t->comm, fd,
		  why);
	return ckpt_survey_pass(&d->lost, -1, err);
}

static bool in_roots(const struct ckpt_tagged *group, const char *path)
{
	return ckpt_tagged_overlap(group, path, false) != NULL;
}

/* A connection whose other end is outside, and alive as far as anybody knows. */
static bool is_cut(const struct ckpt_image *image, const struct ckpt_file *f)
{
	const struct ckpt_socket *s;

	if (f->kind != CKPT_FILE_SOCKET)
		return false;
	s = &image->sockets[f->object];
	return (s->family == AF_INET || s->family == AF_INET6) &&
	       image->tcps[s->part].state == CKPT_TCP_ALONE &&
	       image->tcps[s->part].flags & CKPT_TCP_F_RESET;
}

static bool may_go_on(const struct ckpt_image *image, const struct ckpt_file *f)
{
	return image->tcps[image->sockets[f->object].part].flags & CKPT_TCP_F_KNOWN;
}

static int check_fd(struct ckpt_diagnosis *d, const struct ckpt_tagged *group,
		    const struct ckpt_image *image, const struct ckpt_task *t,
		    const struct ckpt_fd *fd, struct ckpt_err *err)
{
	const struct ckpt_file *f = &image->files[fd->file];

	if (is_cut(image, f))
		return lose(d, t, fd->fd, may_go_on(image, f) ?
			    "is connected to a process outside the tree; after a restore the "
			    "connection is reset, unless restore --tcp repair can go on with it" :
			    "is connected to a process outside the tree; after a restore the "
			    "connection is reset", err);
	if (f->kind == CKPT_FILE_OUTER)
		return lose(d, t, fd->fd, "leads out of the tree; a restore gives it its own", err);
	if (f->kind == CKPT_FILE_REG && f->writable && !f->deleted && !in_roots(group, f->path))
		return lose(d, t, fd->fd, "writes a file that is in no root; it alone comes back, "
			    "not what lies beside it", err);
	return 0;
}

static int lose_area(struct ckpt_diagnosis *d, const struct ckpt_task *t,
		     const struct ckpt_area *a, const char *why, struct ckpt_err *err)
{
	ckpt_fail(err, CKPT_REFUSED, 0, "pid %d (%s): memory at 0x%lx %s", t->host_pid, t->comm,
		  a->start, why);
	return ckpt_survey_pass(&d->lost, -1, err);
}

/* Does a descriptor of the task write that file? Then it is told with that. */
static bool has_open(const struct ckpt_image *image, const struct ckpt_task *t, const char *path)
{
	const struct ckpt_fdtable *table = &image->fdtables[t->fdtable];

	for (size_t i = 0; i < table->n_fds; i++) {
		const struct ckpt_file *f = &image->files[table->fds[i].file];

		if (f->kind == CKPT_FILE_REG && f->writable && !strcmp(f->path, path))
			return true;
	}
	return false;
}

static int check_area(struct ckpt_diagnosis *d, const struct ckpt_tagged *group,
		      const struct ckpt_image *image, const struct ckpt_task *t,
		      const struct ckpt_area *a, struct ckpt_err *err)
{
	const struct ckpt_file *f = a->file == CKPT_NONE ? NULL : &image->files[a->file];

	if (a->flags & CKPT_AREA_F_DROPPABLE)
		return lose_area(d, t, a, "may be dropped (MAP_DROPPABLE); it comes back without "
				 "its content", err);
	if (a->flags & CKPT_AREA_F_WIPEONFORK)
		return lose_area(d, t, a, "is wiped in a child (MADV_WIPEONFORK); it comes back "
				 "without its content", err);
	if (a->kind != CKPT_AREA_KIND_FILE_SHARED || !f || f->kind != CKPT_FILE_REG ||
	    !f->writable || f->deleted || in_roots(group, f->path) ||
	    has_open(image, t, f->path))
		return 0;
	return lose_area(d, t, a, "writes a file that is in no root; it alone comes back, not "
			 "what lies beside it", err);
}

static int check_areas(struct ckpt_diagnosis *d, const struct ckpt_tagged *group,
		       const struct ckpt_image *image, const struct ckpt_task *t,
		       struct ckpt_err *err)
{
	const struct ckpt_mm *mm = &image->mms[t->mm];

	for (size_t i = 0; i < mm->n_areas; i++) {
		if (check_area(d, group, image, t, &mm->areas[i], err))
			return -1;
	}
	return 0;
}

static int check_losses(struct ckpt_diagnosis *d, const struct ckpt_tagged *group,
			const struct ckpt_image *image, struct ckpt_err *err)
{
	for (size_t i = 0; i < image->n_tasks; i++) {
		const struct ckpt_task *t = &image->tasks[i];

		d->tasks++;
		d->threads += t->n_threads;
		for (size_t k = 0; t->n_threads && k < image->fdtables[t->fdtable].n_fds; k++) {
			const struct ckpt_fd *fd = &image->fdtables[t->fdtable].fds[k];

			if (check_fd(d, group, image, t, fd, err))
				return -1;
		}
		if (t->n_threads && check_areas(d, group, image, t, err))
			return -1;
	}
	return 0;
}

/* The stopped tree; on success it runs again. */
static int look(struct ckpt_stop *stop, const struct ckpt_tagged *group, struct ckpt_diagnosis *d,
		struct ckpt_err *err)
{
	struct ckpt_image image = { 0 };
	int ret;

	if (ckpt_stop_survey(stop, &d->refused, &image, err))
		return -1;
	ret = ckpt_stop_release(stop, &d->freeze_ns, err) ? pass(d, err) : 0;
	if (!ret)
		ret = check_losses(d, group, &image, err);
	ckpt_image_done(&image);
	return ret;
}

int ckpt_doctor(const struct ckpt_tagged *group, struct ckpt_diagnosis *ret, struct ckpt_err *err)
{
	struct ckpt_stop_params params = {
		.pid = group->cgroup ? 0 : group->root_pid, .survey = true,
	};
	cleanup_with(ckpt_diagnosis_done) struct ckpt_diagnosis d = { 0 };
	cleanup_stop struct ckpt_stop *stop = NULL;
	cleanup_free char *dir = NULL, *tracker = ckpt_tagged_tracker(group->name);
	int failed;

	if (ckpt_cut_refuse_group(group, err) ||
	    (group->cgroup && ckpt_cgroup_dir(group->cgroup, &dir, err)))
		return -1;
	params.cgroup = dir;
	params.watched = group->cgroup && tracker && ckpt_tracker_listens(tracker);
	if (ckpt_stop_open(&params, &stop, err))
		failed = pass(&d, err);
	else if (ckpt_stop_begin(stop, err))
		failed = pass(&d, err) || ckpt_stop_survey(stop, &d.refused, NULL, err);
	else
		failed = look(stop, group, &d, err);
	if (failed)
		return -1;
	*ret = d;
	d = (struct ckpt_diagnosis){ 0 };
	return 0;
}
