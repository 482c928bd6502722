// SPDX-License-Identifier: GPL-2.0-or-later
/* Verification of a stopped task: what the kernel says about it against the image. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/build.h"

/* An area as both sides can be brought to it: the kernel merges what is alike. */
struct span {
	uint64_t start, end, pgoff;
	uint32_t prot;
	bool shared, file;
};

struct spans {
	struct span *s;
	size_t n, cap;
};

static void spans_done(struct spans *v)
{
	free(v->s);
}

static int add_span(struct spans *v, struct span s)
{
	struct span *last = v->n ? &v->s[v->n - 1] : NULL;
	struct span *bigger;

	if (last && last->end == s.start && last->prot == s.prot && last->shared == s.shared &&
	    last->file == s.file &&
	    (!s.file || last->pgoff + (last->end - last->start) == s.pgoff)) {
		last->end = s.end;
		return 0;
	}
	if (v->n == v->cap) {
		bigger = realloc(v->s, (v->cap * 2 + 64) * sizeof(s));
		if (!bigger)
			return -1;
		v->s = bigger;
		v->cap = v->cap * 2 + 64;
	}
	v->s[v->n++] = s;
	return 0;
}

static int spans_of_image(const struct ckpt_restore *r, const struct ckpt_mm *mm, struct spans *v)
{
	size_t i;

	for (i = 0; i < mm->n_areas; i++) {
		const struct ckpt_area *a = &mm->areas[i];
		bool file = a->file != CKPT_NONE;
		/* the place alone is left of what the old vdso had for data */
		bool gone = a->kind == CKPT_AREA_KIND_VVAR && r->vdso_swap.needed;

		if (a->kind != CKPT_AREA_KIND_VSYSCALL &&
		    add_span(v, (struct span){ a->start, a->end, file ? a->pgoff : 0,
					       gone ? 0 : a->prot,
					       a->kind == CKPT_AREA_KIND_FILE_SHARED ||
					       a->kind == CKPT_AREA_KIND_URING, file }))
			return -1;
	}
	return 0;
}

/* A System V segment has its id for an inode number. */
static bool is_file(const struct ckpt_maps_line *m)
{
	return m->ino || m->dev;
}

static int spans_of_process(const struct ckpt_restore *r, const struct ckpt_build_task *t,
			    const char *maps, struct spans *v)
{
	struct ckpt_maps_line m;
	int more;

	while ((more = ckpt_parse_maps_line(&maps, &m)) > 0) {
		if (m.start == r->region || m.start > INT64_MAX ||
		    ckpt_vdso_is_new(r, t, m.start))
			continue;
		if (add_span(v, (struct span){ m.start, m.end, is_file(&m) ? m.pgoff : 0, m.prot,
					       m.shared, is_file(&m) }))
			return -1;
	}
	return more;
}

static int verify_areas(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err)
{
	cleanup_with(spans_done) struct spans wanted = { 0 };
	cleanup_with(spans_done) struct spans found = { 0 };
	cleanup_free char *text = NULL;
	char path[64];
	size_t i;

	snprintf(path, sizeof(path), "/proc/%d/maps", t->host);
	if (ckpt_build_text(path, &text, err))
		return -1;
	if (spans_of_image(r, &r->image->mms[t->task->mm], &wanted) ||
	    spans_of_process(r, t, text, &found))
		return ckpt_fail(err, CKPT_FAILED, 0, "process %d: cannot compare its areas",
				 t->task->pid);
	for (i = 0; i < wanted.n && i < found.n; i++) {
		const struct span *a = &wanted.s[i], *b = &found.s[i];

		if (a->start != b->start || a->end != b->end || a->pgoff != b->pgoff ||
		    a->prot != b->prot || a->shared != b->shared || a->file != b->file)
			return NOT_AS_CAPTURED("process %d: area at 0x%lx is not that of the "
					       "checkpoint", t->task->pid, a->start);
	}
	if (wanted.n != found.n)
		return NOT_AS_CAPTURED("process %d has %zu areas instead of %zu", t->task->pid,
				       found.n, wanted.n);
	return 0;
}

/*
 * How its memory is accounted for the machine decides.  That a shared area may become writable
 * is of the file that it was made with.
 */
static uint32_t compared(const struct ckpt_area *a)
{
	uint32_t flags = ~(CKPT_AREA_F_ACCOUNT | CKPT_AREA_F_NORESERVE | CKPT_AREA_F_MAYWRITE);

	return a->kind > CKPT_AREA_KIND_FILE_SHARED ? 0 :
	       a->kind == CKPT_AREA_KIND_FILE_SHARED ? flags | CKPT_AREA_F_MAYWRITE : flags;
}

/* The bounds are those of the image by now. */
static int verify_flags(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err)
{
	const struct ckpt_mm *mm = &r->image->mms[t->task->mm];
	cleanup_free char *text = NULL;
	struct ckpt_vm_flags flags;
	struct ckpt_maps_line m;
	const char *at, *line;
	char path[64];
	size_t i = 0, len;
	int more;

	snprintf(path, sizeof(path), "/proc/%d/smaps", t->host);
	if (ckpt_build_text(path, &text, err))
		return -1;
	at = text;
	while ((more = ckpt_parse_smaps_area(&at, &m, &flags, &line, &len)) > 0) {
		while (i < mm->n_areas && mm->areas[i].end <= m.start)
			i++;
		for (size_t j = i; j < mm->n_areas && mm->areas[j].start < m.end; j++) {
			const struct ckpt_area *a = &mm->areas[j];

			if ((a->flags ^ flags.area) & compared(a))
				return NOT_AS_CAPTURED("process %d: area at 0x%lx has flags 0x%x "
						       "instead of 0x%x", t->task->pid, a->start,
						       flags.area & compared(a),
						       a->flags & compared(a));
		}
	}
	return more ? ckpt_fail(err, CKPT_FAILED, 0, "cannot understand %s", path) : 0;
}

static int verify_link(const struct ckpt_file *f, pid_t host, const struct ckpt_task *task, int fd,
		       struct ckpt_err *err)
{
	char path[64], target[4096];
	ssize_t n;

	if (f->deleted || (f->kind != CKPT_FILE_REG && f->kind != CKPT_FILE_DIR))
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", host, fd);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return NOT_AS_CAPTURED("process %d has no descriptor %d", task->pid, fd);
	target[n] = 0;
	if (strcmp(target, f->path))
		return NOT_AS_CAPTURED("process %d: descriptor %d leads to %s instead of %s",
				       task->pid, fd, target, f->path);
	return 0;
}

/* @text: fdinfo of one that leads to @f. */
static int verify_description(struct ckpt_restore *r, const struct ckpt_file *f, const char *text,
			      const struct ckpt_proc_fdinfo *info, struct ckpt_err *err)
{
	if (info->flags != f->flags)
		return NOT_AS_CAPTURED("flags 0%o instead of 0%o", info->flags, f->flags);
	if ((f->kind == CKPT_FILE_REG || f->kind == CKPT_FILE_DIR || f->kind == CKPT_FILE_SHM ||
	     f->kind == CKPT_FILE_PROC) && info->pos != f->pos)
		return NOT_AS_CAPTURED("position %lu instead of %lu", info->pos, f->pos);
	return ckpt_verify_object(r, f, text, err);
}

static int verify_fd(struct ckpt_restore *r, struct ckpt_build_task *t, const struct ckpt_fd *fd,
		     struct ckpt_err *err)
{
	const struct ckpt_file *f = &r->image->files[fd->file];
	cleanup_free char *text = NULL;
	struct ckpt_proc_fdinfo info;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", t->host, fd->fd);
	if (ckpt_build_text(path, &text, err) || ckpt_parse_fdinfo(text, &info))
		return NOT_AS_CAPTURED("process %d has no descriptor %d", t->task->pid, fd->fd);
	if (info.cloexec != fd->cloexec)
		return NOT_AS_CAPTURED("process %d: descriptor %d has another close-on-exec flag",
				       t->task->pid, fd->fd);
	if (f->kind == CKPT_FILE_OUTER)
		return 0;
	if (verify_description(r, f, text, &info, err) ||
	    ckpt_verify_locks(r, t->task, fd, text, err) ||
	    (f->kind == CKPT_FILE_PROC && ckpt_verify_procfile(r, f, t->host, fd->fd, err)))
		return ckpt_fail_at(err, "process %d: descriptor %d", t->task->pid, fd->fd);
	return verify_link(f, t->host, t->task, fd->fd, err);
}

int ckpt_verify_brought(struct ckpt_restore *r, size_t index, struct ckpt_err *err)
{
	cleanup_free char *text = NULL;
	struct ckpt_proc_fdinfo info;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%zu", r->init.pid, r->fd_base + index);
	if (ckpt_build_text(path, &text, err) || ckpt_parse_fdinfo(text, &info))
		return NOT_AS_CAPTURED("a file that waits in a queue is not there");
	return verify_description(r, &r->image->files[index], text, &info, err) ?
	       ckpt_fail_at(err, "a file that waits in a queue") : 0;
}

/* The very table of the others that have it. */
static int verify_table(const struct ckpt_restore *r, const struct ckpt_build_task *t,
			struct ckpt_err *err)
{
	for (const struct ckpt_build_task *o = r->tasks; o < t; o++) {
		if (o->task->state != CKPT_TASK_ZOMBIE &&
		    o->task->fdtable == t->task->fdtable &&
		    syscall(SYS_kcmp, o->host, t->host, KCMP_FILES, 0, 0))
			return NOT_AS_CAPTURED("process %d does not share the descriptors of "
					       "process %d", t->task->pid, o->task->pid);
	}
	return 0;
}

static int verify_fds(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err)
{
	const struct ckpt_fdtable *table = &r->image->fdtables[t->task->fdtable];
	cleanup_closedir DIR *dir = NULL;
	struct dirent *e;
	size_t i, found = 0;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/fd", t->host);
	dir = opendir(path);
	if (!dir)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot open %s", path);
	while ((e = readdir(dir)))
		found += e->d_name[0] != '.';
	if (found != table->n_fds)
		return NOT_AS_CAPTURED("process %d has %zu descriptors instead of %zu",
				       t->task->pid, found, table->n_fds);
	for (i = 0; i < table->n_fds; i++) {
		if (verify_fd(r, t, &table->fds[i], err))
			return -1;
	}
	return verify_table(r, t, err);
}

static void masks_of(const struct ckpt_task *task, uint64_t *ret_ignored, uint64_t *ret_caught)
{
	int i;

	*ret_ignored = *ret_caught = 0;
	for (i = 0; i < CKPT_NSIG; i++) {
		if (task->actions[i].handler == (uint64_t)SIG_IGN)
			*ret_ignored |= 1ull << i;
		else if (task->actions[i].handler != (uint64_t)SIG_DFL)
			*ret_caught |= 1ull << i;
	}
}

static int verify_process(const struct ckpt_build_task *t, const struct ckpt_proc_status *now,
			  struct ckpt_err *err)
{
	uint64_t ignored, caught;

	if (now->ns_pgid != t->task->pgid || now->ns_sid != t->task->sid)
		return NOT_AS_CAPTURED("process %d is in group %d of session %d instead of %d of "
				       "%d", t->task->pid, now->ns_pgid, now->ns_sid, t->task->pgid,
				       t->task->sid);
	if (t->task->state == CKPT_TASK_ZOMBIE)
		return t->task->creds_known && !ckpt_creds_same(now, &t->task->creds) ?
			NOT_AS_CAPTURED("zombie %d has other credentials", t->task->pid) : 0;
	masks_of(t->task, &ignored, &caught);
	if (now->sig_ignored != ignored || now->sig_caught != caught)
		return NOT_AS_CAPTURED("process %d has other signal handlers", t->task->pid);
	if (!ckpt_pending_same(t, t->host, true, now->sig_shared, t->task->pending,
			       t->task->n_pending))
		return NOT_AS_CAPTURED("process %d has other pending signals", t->task->pid);
	if (now->umask != t->task->umask)
		return NOT_AS_CAPTURED("process %d has another umask", t->task->pid);
	return 0;
}

static int verify_thread(const struct ckpt_build_task *t, size_t i,
			 const struct ckpt_proc_status *now, struct ckpt_err *err)
{
	const struct ckpt_thread *thread = &t->task->threads[i];

	if (now->ns_pid != thread->tid)
		return NOT_AS_CAPTURED("thread %d has id %d", thread->tid, now->ns_pid);
	if (!ckpt_pending_same(t, t->tids[i], false, now->sig_pending, thread->pending,
			       thread->n_pending))
		return NOT_AS_CAPTURED("thread %d has other pending signals", thread->tid);
	if (!ckpt_creds_same(now, &thread->creds))
		return NOT_AS_CAPTURED("thread %d has other credentials", thread->tid);
	return 0;
}

static int verify_status(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err)
{
	struct ckpt_proc_status now;
	size_t i;

	for (i = 0; i < t->task->n_threads + !t->task->n_threads; i++) {
		cleanup_free char *text = NULL;

		if (ckpt_build_status(t->tids ? t->tids[i] : t->host, &text, &now, err))
			return -1;
		if (!i && verify_process(t, &now, err))
			return -1;
		if (t->tids && (verify_thread(t, i, &now, err) ||
				ckpt_verify_sched(r, &t->task->threads[i], t->tids[i], err) ||
				ckpt_verify_filters(r, &t->task->threads[i], t->tids[i], &now,
						    err)))
			return -1;
	}
	if (t->task->state == CKPT_TASK_ZOMBIE && now.state != 'Z')
		return NOT_AS_CAPTURED("zombie %d is in state %c", t->task->pid, now.state);
	return 0;
}

int ckpt_verify_task(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err)
{
	if (verify_status(r, t, err))
		return -1;
	if (t->task->state == CKPT_TASK_ZOMBIE)
		return 0;
	if (ckpt_verify_attrs(r, t, err) || ckpt_verify_ctty(r, t, err) ||
	    ckpt_verify_limits(t, err) || ckpt_verify_timers(t, err) ||
	    verify_areas(r, t, err) || ckpt_vdso_verify(r, t, err) || verify_fds(r, t, err) ||
	    ckpt_verify_shm_uses(r, t, err) || verify_flags(r, t, err))
		return -1;
	return ckpt_verify_urings(r, t, err) || ckpt_verify_guards(r, t, err) ||
	       ckpt_memory_verify(r, t, err) ? -1 : 0;
}
