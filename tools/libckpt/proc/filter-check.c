// SPDX-License-Identifier: GPL-2.0-or-later
/* Consistency of the filters of an image. */
#include "proc/filter.h"
#include "proc/image-check.h"

static int check_thread(const struct ckpt_image *image, const struct ckpt_thread *t,
			struct ckpt_err *err)
{
	if (t->n_filters > CKPT_FILTER_CHAIN)
		return BAD_IMAGE("thread %d has %zu filters", t->tid, t->n_filters);
	for (size_t i = 0; i < t->n_filters; i++) {
		if (t->filters[i] >= image->n_filters)
			return BAD_IMAGE("thread %d has a filter that is not there", t->tid);
	}
	return 0;
}

int ckpt_filters_check(const struct ckpt_image *image, struct ckpt_err *err)
{
	for (size_t i = 0; i < image->n_filters; i++) {
		const struct ckpt_filter *f = &image->filters[i];

		if (!f->n_insns || f->n_insns > CKPT_FILTER_INSNS ||
		    f->flags & ~(uint32_t)SECCOMP_FILTER_FLAG_LOG)
			return BAD_IMAGE("a filter of %zu instructions or with unknown flags",
					 f->n_insns);
	}
	for (size_t i = 0; i < image->n_tasks; i++) {
		for (size_t j = 0; j < image->tasks[i].n_threads; j++) {
			if (check_thread(image, &image->tasks[i].threads[j], err))
				return -1;
		}
	}
	return 0;
}

size_t ckpt_filters_common(const struct ckpt_task *task)
{
	const struct ckpt_thread *first = &task->threads[0];
	size_t n = task->n_threads ? first->n_filters : 0, k;

	for (size_t i = 1; i < task->n_threads; i++) {
		const struct ckpt_thread *t = &task->threads[i];

		for (k = 0; k < n && k < t->n_filters && t->filters[k] == first->filters[k]; k++)
			;
		n = k;
	}
	return n;
}

static bool same_rest(const struct ckpt_thread *a, const struct ckpt_thread *b, size_t from)
{
	return a->n_filters > from && b->n_filters > from && a->filters[from] == b->filters[from];
}

int ckpt_filters_apart(const struct ckpt_task *task, struct ckpt_err *err)
{
	size_t from = ckpt_filters_common(task);

	for (size_t i = 1; i < task->n_threads; i++) {
		for (size_t j = 0; j < i; j++) {
			if (same_rest(&task->threads[i], &task->threads[j], from))
				return ckpt_fail(err, CKPT_REFUSED, 0,
					"pid %d (%s) has threads of which some share a seccomp "
					"filter that others lack, which this version cannot "
					"restore", task->pid, task->comm);
		}
	}
	return 0;
}
