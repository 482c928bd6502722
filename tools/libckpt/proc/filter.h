/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Filters: programs that decide about system calls (seccomp)
 *
 * While ckpt-tool traces a thread its filters are suspended, so that calls of ours say what they
 * say elsewhere.  When ckpt-tool dies in between, the calls that are left are made under them;
 * so none is begun that a filter answers with more than an error.
 */
#ifndef CKPT_PROC_FILTER_H
#define CKPT_PROC_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#include "base/err.h"

struct ckpt_filter;
struct ckpt_held_proc;
struct ckpt_held_thread;
struct ckpt_image;
struct ckpt_task;

#define CKPT_FILTER_INSNS BPF_MAXINSNS
#define CKPT_FILTER_CHAIN 256		/* filters of a thread; the kernel takes more */

/*
 * filter-check.c: how many of the oldest filters all threads of a task have; refuse when some
 * share others, which they cannot be given together.
 */
size_t ckpt_filters_common(const struct ckpt_task *task);
int ckpt_filters_apart(const struct ckpt_task *task, struct ckpt_err *err);

/*
 * filter-run.c: what a filter answers to a call; pure.  A program that the kernel would not take
 * kills.
 */
uint32_t ckpt_filter_run(const uint64_t *insns, size_t n, const struct seccomp_data *data);

/*
 * filter-read.c: those of a stopped thread, into @t, suspended from now on; those of a thread as
 * the image has them, each once.
 */
int ckpt_filters_hold(const struct ckpt_held_proc *p, struct ckpt_held_thread *t,
		      struct ckpt_err *err);
int ckpt_filters_keep(struct ckpt_image *image, const struct ckpt_held_thread *t, uint32_t **ret,
		      size_t *ret_n, struct ckpt_err *err);
void ckpt_filters_done(struct ckpt_held_thread *t);
/* May a thread be left in the middle of this call? @ip: behind its instruction. */
bool ckpt_filters_spare(const struct ckpt_held_thread *t, uint64_t ip, long nr,
			const uint64_t args[6]);

#endif
