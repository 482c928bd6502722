/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Births: in which order the processes of a tree are made, and by whom
 *
 * A process gets its session from who forks it, and its parent is who forks it, or, when that has
 * ended, the nearest one above that takes orphans.  A table of descriptors that several have goes
 * from one to the other by a fork as well.  Pure: it depends on the image alone.
 */
#ifndef CKPT_PROC_BIRTHS_H
#define CKPT_PROC_BIRTHS_H

#include "base/err.h"
#include "proc/image.h"

enum ckpt_birth_kind {
	CKPT_BIRTH_FORK,	/* @task is forked by its parent */
	CKPT_BIRTH_LEAD,	/* @task leads its session from here on */
	CKPT_BIRTH_SEAT,	/* @maker forks a helper that leads @session, as who is gone did */
	CKPT_BIRTH_ADOPT,	/* @maker's helper forks @task: its parent adopts it in the end */
};

#define CKPT_BIRTH_NOBODY SIZE_MAX

/**
 * struct ckpt_birth - one step
 * @task: index in image->tasks
 * @maker: likewise; CKPT_BIRTH_NOBODY: init, or of an adoption the helper that leads @session
 * @shares: it is born with the very table of descriptors of @maker
 */
struct ckpt_birth {
	enum ckpt_birth_kind kind;
	size_t task, maker;
	int32_t session;
	bool shares;
};

/* @complete: all are born; then the helpers end, the last one first */
struct ckpt_births {
	struct ckpt_birth *steps;
	size_t n;
	bool complete;
};

/* @tables: keep them as they are shared; else a plan without that is made. */
int ckpt_births_plan(const struct ckpt_image *image, bool tables, struct ckpt_births *ret,
		     struct ckpt_err *err);
void ckpt_births_done(struct ckpt_births *births);
/* Is it born? */
bool ckpt_births_has(const struct ckpt_births *births, size_t task);

#endif
