// SPDX-License-Identifier: GPL-2.0-or-later
/* Consistency of images: what watches descriptors, files and processes. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/inotify.h>

#include "base/cleanup.h"
#include "proc/image-check.h"
#include "proc/inotify.h"

#define CORE_DUMPED 0x80
#define EPOLL_DEPTH 5	/* epolls that watch epolls, as deep as the kernel lets them */

/* One more than the depth of any epoll that @e watches, as far as those are known. */
static uint8_t depth_of(const struct ckpt_image *image, const struct ckpt_epoll *e,
			const uint8_t *depth)
{
	uint8_t most = 0;

	for (size_t i = 0; i < e->n_targets; i++) {
		const struct ckpt_file *f = &image->files[e->targets[i].file];

		if (f->kind == CKPT_FILE_EPOLL && depth[f->object] >= most)
			most = depth[f->object] + 1;
	}
	return most;
}

/* Every pass goes a level further: a ring is too deep after EPOLL_DEPTH of them. */
static int check_depth(const struct ckpt_image *image, uint8_t *depth, struct ckpt_err *err)
{
	bool again = true;

	while (again) {
		again = false;
		for (size_t i = 0; i < image->n_epolls; i++) {
			uint8_t now = depth_of(image, &image->epolls[i], depth);

			if (now > EPOLL_DEPTH)
				return BAD_IMAGE("an epoll watches itself");
			again = again || now != depth[i];
			depth[i] = now;
		}
	}
	return 0;
}

int ckpt_epolls_check(const struct ckpt_image *image, struct ckpt_err *err)
{
	cleanup_free uint8_t *depth = calloc(image->n_epolls + 1, 1);

	if (!depth)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory to check the process image");
	for (size_t i = 0; i < image->n_epolls; i++) {
		for (size_t j = 0; j < image->epolls[i].n_targets; j++) {
			const struct ckpt_epoll_target *t = &image->epolls[i].targets[j];

			if (t->fd < 0 || t->file >= image->n_files)
				return BAD_IMAGE("an epoll watches what is not there");
		}
	}
	return check_depth(image, depth, err);
}

/* 2: a process, 1: a thread of one, 0: nobody */
static int rank_of(const struct ckpt_image *image, int32_t pid)
{
	for (size_t i = 0; i < image->n_tasks; i++) {
		const struct ckpt_task *t = &image->tasks[i];

		if (t->pid == pid)
			return 2;
		for (size_t j = 0; j < t->n_threads; j++) {
			if (t->threads[j].tid == pid)
				return 1;
		}
	}
	return 0;
}

int ckpt_pidfds_check(const struct ckpt_image *image, struct ckpt_err *err)
{
	for (size_t i = 0; i < image->n_pidfds; i++) {
		const struct ckpt_pidfd *p = &image->pidfds[i];

		if (p->pid ? p->exit_code != 0 :
			     !ckpt_image_ends(p->exit_code) || p->exit_code & CORE_DUMPED)
			return BAD_IMAGE("a pidfd has an impossible end");
		if (p->pid && !rank_of(image, p->pid))
			return BAD_IMAGE("a pidfd is of process %d, which is not there", p->pid);
	}
	for (size_t i = 0; i < image->n_files; i++) {
		const struct ckpt_file *f = &image->files[i];

		if (f->kind == CKPT_FILE_PIDFD && !(f->flags & O_EXCL) &&
		    rank_of(image, image->pidfds[f->object].pid) == 1)
			return BAD_IMAGE("a pidfd of a thread is none of a thread");
	}
	return 0;
}

static int check_watch(const struct ckpt_watch *w, struct ckpt_err *err)
{
	if (w->mask & ~(uint32_t)(IN_ALL_EVENTS | IN_ONESHOT | IN_EXCL_UNLINK) ||
	    !(w->mask & IN_ALL_EVENTS))
		return BAD_IMAGE("watch %d is for impossible events", w->wd);
	if (!w->path || w->path[0] != '/')
		return BAD_IMAGE("watch %d has no absolute path", w->wd);
	return 0;
}

int ckpt_inotifies_check(const struct ckpt_image *image, struct ckpt_err *err)
{
	struct ckpt_event_sources sources;
	const char *odd;

	for (size_t i = 0; i < image->n_inotifies; i++) {
		const struct ckpt_inotify *in = &image->inotifies[i];
		int32_t last = 0;

		for (size_t j = 0; j < in->n_watches; j++) {
			if (in->watches[j].wd <= last)
				return BAD_IMAGE("watches are not in order");
			last = in->watches[j].wd;
			if (check_watch(&in->watches[j], err))
				return -1;
		}
		odd = ckpt_events_odd(in, &sources);
		if (odd)
			return BAD_IMAGE("events wait in an inotify, %s", odd);
	}
	return 0;
}
