/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Labels: what a security module (SELinux, AppArmor, Smack) calls a task
 *
 * A restored task has the labels of ckpt-tool, so a tree is captured only where
 * all of it has them already, and restored only under the same.
 */
#ifndef CKPT_PROC_LABEL_H
#define CKPT_PROC_LABEL_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

struct ckpt_image;
struct ckpt_held_proc;
struct ckpt_hold;

#define CKPT_LABELS 5

/**
 * struct ckpt_labels - labels of a task, as files below its attr
 * @text: without the end of line; NULL: none (an unconfined task of AppArmor has none either)
 * @module: there is a security module that labels tasks
 */
struct ckpt_labels {
	char *text[CKPT_LABELS];
	bool module;
};

/* Those of a task; @dir: of /proc/PID, or /proc/PID/task/TID. Return: 0, or a negative errno. */
int ckpt_labels_read(int dir, struct ckpt_labels *ret);
void ckpt_labels_done(struct ckpt_labels *l);
/* Those of the caller. */
int ckpt_labels_own(struct ckpt_labels *ret, struct ckpt_err *err);

/* Compare the labels of thread @tid of a process with @own; pure. */
int ckpt_labels_compare(pid_t pid, const char *comm, pid_t tid, const struct ckpt_labels *its,
			const struct ckpt_labels *own, struct ckpt_err *err);
/* All threads of @p, which may end meanwhile; nothing is read where no module is. */
int ckpt_labels_check(const struct ckpt_held_proc *p, const struct ckpt_labels *own,
		      struct ckpt_err *err);
/* All processes once more after the release: who has another one may have had it at the stop. */
int ckpt_labels_verify(const struct ckpt_hold *hold, struct ckpt_err *err);
/* Is @own what the image was captured under? Pure. */
int ckpt_labels_fit(const struct ckpt_image *image, const struct ckpt_labels *own,
		    struct ckpt_err *err);

#endif
