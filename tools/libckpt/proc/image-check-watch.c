// SPDX-License-Identifier: GPL-2.0-or-later
/* Consistency of images: what watches files and processes. */
#include <fcntl.h>
#include <sys/inotify.h>

#include "proc/image-check.h"

#define BAD(...) ckpt_fail(err, CKPT_DAMAGED, 0, "process image: " __VA_ARGS__)
#define CORE_DUMPED 0x80

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

int ckpt_image_check_pidfds(const struct ckpt_image *image, struct ckpt_err *err)
{
	for (size_t i = 0; i < image->n_pidfds; i++) {
		const struct ckpt_pidfd *p = &image->pidfds[i];

		if (p->pid ? p->exit_code != 0 :
			     !ckpt_image_ends(p->exit_code) || p->exit_code & CORE_DUMPED)
			return BAD("a pidfd has an impossible end");
		if (p->pid && !rank_of(image, p->pid))
			return BAD("a pidfd is of process %d, which is not there", p->pid);
	}
	for (size_t i = 0; i < image->n_files; i++) {
		const struct ckpt_file *f = &image->files[i];

		if (f->kind == CKPT_FILE_PIDFD && !(f->flags & O_EXCL) &&
		    rank_of(image, image->pidfds[f->object].pid) == 1)
			return BAD("a pidfd of a thread is none of a thread");
	}
	return 0;
}

static int check_watch(const struct ckpt_watch *w, struct ckpt_err *err)
{
	if (w->mask & ~(uint32_t)(IN_ALL_EVENTS | IN_ONESHOT | IN_EXCL_UNLINK) ||
	    !(w->mask & IN_ALL_EVENTS))
		return BAD("watch %d is for impossible events", w->wd);
	if (!w->path || w->path[0] != '/')
		return BAD("watch %d has no absolute path", w->wd);
	return 0;
}

int ckpt_image_check_inotifies(const struct ckpt_image *image, struct ckpt_err *err)
{
	for (size_t i = 0; i < image->n_inotifies; i++) {
		const struct ckpt_inotify *in = &image->inotifies[i];
		int32_t last = 0;

		for (size_t j = 0; j < in->n_watches; j++) {
			if (in->watches[j].wd <= last)
				return BAD("watches are not in order");
			last = in->watches[j].wd;
			if (check_watch(&in->watches[j], err))
				return -1;
		}
	}
	return 0;
}
