// SPDX-License-Identifier: GPL-2.0-or-later
/* Consistency of images: what restore may rely on. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "base/pages.h"
#include "proc/image-check.h"
#include "proc/restart.h"
#include "proc/socket.h"
#include "proc/uring.h"
#include "proc/wait.h"

#define ADDRESS_MAX 0x00ffffffffffffffull
#define XSTATE_MIN 576u		/* legacy area and header */
#define XSTATE_MAX 65536u
#define AUXV_MAX 1024u
#define PIPE_MAX (1u << 31)

static bool in_or_none(uint32_t index, size_t n)
{
	return index == CKPT_NONE || index < n;
}

static bool text_ends(const char *text, size_t len)
{
	return memchr(text, 0, len) != NULL;
}

static int check_area(const struct ckpt_image *image, const struct ckpt_area *a,
		      struct ckpt_err *err)
{
	bool file = a->kind == CKPT_AREA_KIND_FILE_PRIVATE ||
		    a->kind == CKPT_AREA_KIND_FILE_SHARED;

	if (a->start >= a->end || (a->end > ADDRESS_MAX && a->kind != CKPT_AREA_KIND_VSYSCALL) ||
	    (a->start | a->end | a->pgoff) & (CKPT_PAGE_LEN - 1))
		return BAD_IMAGE("area at 0x%lx has no sound bounds", a->start);
	if (a->kind == CKPT_AREA_KIND_URING)
		return a->file < image->n_files && image->files[a->file].kind == CKPT_FILE_URING ?
			0 : BAD_IMAGE("area at 0x%lx is of no io_uring", a->start);
	if (a->kind > CKPT_AREA_KIND_VSYSCALL || a->prot & ~(PROT_READ | PROT_WRITE | PROT_EXEC))
		return BAD_IMAGE("area at 0x%lx is of no known kind", a->start);
	if (file ? a->file >= image->n_files : a->file != CKPT_NONE)
		return BAD_IMAGE("area at 0x%lx names a file that is not there", a->start);
	if (file && image->files[a->file].kind != CKPT_FILE_REG &&
	    image->files[a->file].kind != CKPT_FILE_SHM)
		return BAD_IMAGE("area at 0x%lx maps what is no regular file", a->start);
	return 0;
}

static int check_mm(const struct ckpt_image *image, const struct ckpt_mm *mm, struct ckpt_err *err)
{
	uint64_t last = 0;
	size_t i;

	if (mm->space > CKPT_SPACE_MAX || mm->exe >= image->n_files)
		return BAD_IMAGE("an address space names a space or executable that is not there");
	if (image->files[mm->exe].kind != CKPT_FILE_REG &&
	    image->files[mm->exe].kind != CKPT_FILE_SHM)
		return BAD_IMAGE("an executable is no regular file");
	if (mm->auxv_len > AUXV_MAX || mm->auxv_len % 16)
		return BAD_IMAGE("an auxiliary vector has %zu bytes", mm->auxv_len);
	for (i = 0; i < mm->n_areas; i++) {
		if (check_area(image, &mm->areas[i], err))
			return -1;
		if (mm->areas[i].start < last)
			return BAD_IMAGE("areas at 0x%lx overlap", mm->areas[i].start);
		last = mm->areas[i].end;
	}
	return ckpt_guards_check(mm, err);
}

static size_t n_objects(const struct ckpt_image *image, uint32_t kind)
{
	switch (kind) {
	case CKPT_FILE_EVENTFD:
		return image->n_eventfds;
	case CKPT_FILE_TIMERFD:
		return image->n_timerfds;
	case CKPT_FILE_SIGNALFD:
		return image->n_signalfds;
	case CKPT_FILE_EPOLL:
		return image->n_epolls;
	case CKPT_FILE_INOTIFY:
		return image->n_inotifies;
	case CKPT_FILE_PIDFD:
		return image->n_pidfds;
	case CKPT_FILE_PTM:
	case CKPT_FILE_PTS:
		return image->n_ptys;
	case CKPT_FILE_URING:
		return image->n_urings;
	case CKPT_FILE_SOCKET:
		return image->n_sockets;
	case CKPT_FILE_SHM:
		return image->n_shms;
	default:
		return 0;
	}
}

static int check_file(const struct ckpt_image *image, const struct ckpt_file *f,
		      struct ckpt_err *err)
{
	if ((f->kind > CKPT_FILE_PTS && f->kind != CKPT_FILE_PROC) || f->space > CKPT_SPACE_MAX)
		return BAD_IMAGE("a file is of no known kind");
	if (f->pos > INT64_MAX || f->size > INT64_MAX)
		return BAD_IMAGE("a file has an impossible position or size");
	if (f->kind >= CKPT_FILE_EVENTFD && f->kind != CKPT_FILE_PROC)
		return f->object < n_objects(image, f->kind) ? 0 :
		       BAD_IMAGE("a descriptor is of nothing");
	if (f->kind == CKPT_FILE_PIPE && f->pipe >= image->n_pipes)
		return BAD_IMAGE("a pipe end has no pipe");
	if (f->kind == CKPT_FILE_FIFO && !in_or_none(f->pipe, image->n_pipes))
		return BAD_IMAGE("a fifo names a pipe that is not there");
	if (f->kind == CKPT_FILE_PROC && (!f->path || strncmp(f->path, "/proc/", 6)))
		return BAD_IMAGE("a file of procfs has no path there");
	if (f->kind != CKPT_FILE_PIPE && f->kind != CKPT_FILE_OUTER &&
	    (!f->path || f->path[0] != '/'))
		return BAD_IMAGE("a file has no absolute path");
	return 0;
}

static int check_pipe(const struct ckpt_pipe *p, struct ckpt_err *err)
{
	if (!p->capacity || p->capacity > PIPE_MAX || p->len > p->capacity)
		return BAD_IMAGE("a pipe holds %zu bytes in %u", p->len, p->capacity);
	return 0;
}

static int check_timerfd(const struct ckpt_image *image, const struct ckpt_timerfd *t,
			 struct ckpt_err *err)
{
	if (image->realtime_ns > INT64_MAX || t->value_ns < 0 || t->interval_ns < 0 ||
	    t->value_ns > INT64_MAX - (int64_t)image->realtime_ns)
		return BAD_IMAGE("a timer that is read has an impossible time");
	if (t->flags & ~TFD_TIMER_ABSTIME)
		return BAD_IMAGE("a timer that is read has unknown flags");
	switch (t->clock) {
	case CLOCK_REALTIME:
	case CLOCK_MONOTONIC:
	case CLOCK_BOOTTIME:
	case CLOCK_REALTIME_ALARM:
	case CLOCK_BOOTTIME_ALARM:
		return 0;
	default:
		return BAD_IMAGE("a timer that is read has no known clock");
	}
}

static int check_fdtable(const struct ckpt_image *image, const struct ckpt_fdtable *t,
			 struct ckpt_err *err)
{
	int32_t last = -1;
	size_t i;

	for (i = 0; i < t->n_fds; i++) {
		if (t->fds[i].fd <= last)
			return BAD_IMAGE("descriptors are not in order");
		last = t->fds[i].fd;
		if (t->fds[i].file >= image->n_files)
			return BAD_IMAGE("descriptor %d has no file", last);
	}
	return 0;
}

/* Signals that end a process when nobody handles them: all but these. */
#define HARMLESS (1ull << (SIGCHLD - 1) | 1ull << (SIGCONT - 1) | 1ull << (SIGSTOP - 1) | \
		  1ull << (SIGTSTP - 1) | 1ull << (SIGTTIN - 1) | 1ull << (SIGTTOU - 1) | \
		  1ull << (SIGURG - 1) | 1ull << (SIGWINCH - 1))

bool ckpt_image_ends(int32_t status)
{
	int sig = status & 0x7f;

	if (status & ~0xffff || (sig && status & 0xff00))
		return false;
	return !sig ? !(status & 0x80) : sig <= CKPT_NSIG && !(HARMLESS >> (sig - 1) & 1);
}

static bool are_signals(const siginfo_t *info, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (info[i].si_signo < 1 || info[i].si_signo > CKPT_NSIG)
			return false;
	}
	return true;
}

/* Is its call to be made once more, or is it before it? */
static bool is_made_again(const struct user_regs_struct *r)
{
	return (int64_t)r->orig_rax < 0 || ckpt_restart_pending(r);
}

static int check_thread(const struct ckpt_thread *t, struct ckpt_err *err)
{
	if (t->tid <= 0 || !text_ends(t->comm, sizeof(t->comm)))
		return BAD_IMAGE("a thread has no sound id or name");
	if (t->xstate_len < XSTATE_MIN || t->xstate_len > XSTATE_MAX)
		return BAD_IMAGE("thread %d has an extended state of %zu bytes", t->tid,
				 t->xstate_len);
	if (!are_signals(t->pending, t->n_pending))
		return BAD_IMAGE("thread %d has a pending signal of no number", t->tid);
	if (t->pdeath_sig > CKPT_NSIG)
		return BAD_IMAGE("thread %d has a parent-death signal of no number", t->tid);
	if (t->affinity_len > sizeof(t->affinity))
		return BAD_IMAGE("thread %d has an impossible affinity", t->tid);
	if (t->wait > CKPT_WAIT_LAST || (t->wait != CKPT_WAIT_LEFT && t->wait_ns) ||
	    (t->wait && !(ckpt_wait_call(&t->regs) && is_made_again(&t->regs))))
		return BAD_IMAGE("thread %d waits for a time in no call that has one", t->tid);
	return 0;
}

static bool stops(int32_t sig)
{
	return sig == SIGSTOP || sig == SIGTSTP || sig == SIGTTIN || sig == SIGTTOU;
}

static int check_task(const struct ckpt_image *image, const struct ckpt_task *t,
		      struct ckpt_err *err)
{
	size_t i;

	if (t->pid <= 0 || t->ppid < 0 || t->pgid < 0 || t->sid < 0 || t->ppid == t->pid)
		return BAD_IMAGE("task %d has impossible ids", t->pid);
	if (t->state > CKPT_TASK_ZOMBIE || !text_ends(t->comm, sizeof(t->comm)))
		return BAD_IMAGE("task %d is in no known state", t->pid);
	if (t->exit_signal < 0 || t->exit_signal > CKPT_NSIG ||
	    !are_signals(t->pending, t->n_pending))
		return BAD_IMAGE("task %d has a signal of no number", t->pid);
	if (t->state == CKPT_TASK_STOPPED && !stops(t->stop_signal))
		return BAD_IMAGE("task %d is stopped by signal %d", t->pid, t->stop_signal);
	if (t->state == CKPT_TASK_ZOMBIE && !ckpt_image_ends(t->exit_code))
		return BAD_IMAGE("zombie %d has ended with 0x%x", t->pid, t->exit_code);
	if (t->state == CKPT_TASK_ZOMBIE)
		return t->n_threads || t->n_timers ?
			BAD_IMAGE("zombie %d has threads or timers", t->pid) : 0;
	if (t->mm >= image->n_mms || t->fdtable >= image->n_fdtables ||
	    t->cwd >= image->n_files || !in_or_none(t->root, image->n_files))
		return BAD_IMAGE("task %d names objects that are not there", t->pid);
	if (!t->n_threads || t->threads[0].tid != t->pid)
		return BAD_IMAGE("task %d has no leader", t->pid);
	for (i = 0; i < t->n_threads; i++) {
		if (check_thread(&t->threads[i], err))
			return -1;
	}
	for (i = 0; i < 3; i++) {
		if (t->itimers[i].value_ns < 0 || t->itimers[i].interval_ns < 0)
			return BAD_IMAGE("task %d has a timer of negative time", t->pid);
	}
	return ckpt_timers_check(t, err);
}

static int by_number(const void *a, const void *b)
{
	int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

	return (x > y) - (x < y);
}

/* Every pid and tid once. */
static int check_ids(const struct ckpt_image *image, struct ckpt_err *err)
{
	cleanup_free int32_t *ids = NULL;
	size_t i, j, n = image->n_tasks, at = 0;

	for (i = 0; i < image->n_tasks; i++)
		n += image->tasks[i].n_threads;
	ids = calloc(n, sizeof(*ids));
	if (!ids)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory to check the process image");
	for (i = 0; i < image->n_tasks; i++) {
		ids[at++] = image->tasks[i].pid;
		for (j = 1; j < image->tasks[i].n_threads; j++)
			ids[at++] = image->tasks[i].threads[j].tid;
	}
	qsort(ids, at, sizeof(*ids), by_number);
	for (i = 1; i < at; i++) {
		if (ids[i] == ids[i - 1])
			return BAD_IMAGE("id %d is there twice", ids[i]);
	}
	return 0;
}

static const struct ckpt_task *parent_of(const struct ckpt_image *image, const struct ckpt_task *t)
{
	size_t i;

	for (i = 0; i < image->n_tasks; i++) {
		if (image->tasks[i].pid == t->ppid)
			return &image->tasks[i];
	}
	return NULL;
}

/* Every parent is there, is alive, and nobody is its own ancestor. */
static int check_parents(const struct ckpt_image *image, struct ckpt_err *err)
{
	const struct ckpt_task *t;
	size_t i, depth;

	for (i = 0; i < image->n_tasks; i++) {
		t = &image->tasks[i];
		for (depth = 0; t->ppid; depth++) {
			t = parent_of(image, t);
			if (!t || t->state == CKPT_TASK_ZOMBIE || depth > image->n_tasks)
				return BAD_IMAGE("task %d has no parent", image->tasks[i].pid);
		}
	}
	return 0;
}

int ckpt_image_check(const struct ckpt_image *image, struct ckpt_err *err)
{
	size_t i;

	if (!image->n_tasks)
		return BAD_IMAGE("no task in it");
	if (!text_ends(image->kernel, sizeof(image->kernel)))
		return BAD_IMAGE("its kernel has no name");
	for (i = 0; i < image->n_mms; i++) {
		if (check_mm(image, &image->mms[i], err))
			return -1;
	}
	for (i = 0; i < image->n_files; i++) {
		if (check_file(image, &image->files[i], err))
			return -1;
	}
	for (i = 0; i < image->n_pipes; i++) {
		if (check_pipe(&image->pipes[i], err))
			return -1;
	}
	for (i = 0; i < image->n_timerfds; i++) {
		if (check_timerfd(image, &image->timerfds[i], err))
			return -1;
	}
	for (i = 0; i < image->n_eventfds; i++) {
		if (image->eventfds[i].count == UINT64_MAX)
			return BAD_IMAGE("an eventfd has an impossible count");
	}
	if (ckpt_epolls_check(image, err) || ckpt_sockets_check(image, err))
		return -1;
	for (i = 0; i < image->n_fdtables; i++) {
		if (check_fdtable(image, &image->fdtables[i], err))
			return -1;
	}
	for (i = 0; i < image->n_tasks; i++) {
		if (check_task(image, &image->tasks[i], err))
			return -1;
	}
	return check_ids(image, err) || check_parents(image, err) ||
	       ckpt_pidfds_check(image, err) ||
	       ckpt_inotifies_check(image, err) || ckpt_ptys_check(image, err) ||
	       ckpt_locks_check(image, err) || ckpt_filters_check(image, err) ||
	       ckpt_urings_check(image, err) || ckpt_shms_check(image, err) ||
	       ckpt_namespaces_check(image, err) ||
	       ckpt_vdso_bytes_check(image, err) ? -1 : 0;
}
