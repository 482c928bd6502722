// SPDX-License-Identifier: GPL-2.0-or-later
/* Consistency of the io_urings of an image. */
#include <sys/mman.h>

#include "base/pages.h"
#include "proc/image-check.h"
#include "proc/uring.h"

bool ckpt_uring_held(const struct ckpt_image *image, const struct ckpt_task *t, uint32_t file)
{
	const struct ckpt_fdtable *table;

	if (t->state == CKPT_TASK_ZOMBIE)
		return false;
	table = &image->fdtables[t->fdtable];
	for (size_t i = 0; i < table->n_fds; i++) {
		if (table->fds[i].file == file)
			return true;
	}
	return false;
}

static bool power_between(uint32_t n, uint32_t least, uint32_t most)
{
	return n >= least && n <= most && !(n & (n - 1));
}

static int check_ring(const struct ckpt_uring *u, struct ckpt_err *err)
{
	if (!power_between(u->sq_entries, CKPT_URING_SQ_LEAST, CKPT_URING_SQ_MOST) ||
	    !power_between(u->cq_entries, CKPT_URING_CQ_LEAST, CKPT_URING_CQ_MOST) ||
	    u->cq_entries < u->sq_entries || u->ring_len != ckpt_uring_ring_len(u) ||
	    u->sqes_len != ckpt_uring_sqes_len(u))
		return BAD_IMAGE("an io_uring is of an impossible size");
	if (ckpt_uring_word(u, CKPT_URING_SQ_HEAD) != ckpt_uring_word(u, CKPT_URING_CQ_TAIL) ||
	    ckpt_uring_word(u, CKPT_URING_SQ_HEAD) > CKPT_URING_MADE_MOST ||
	    ckpt_uring_word(u, CKPT_URING_SQ_TAIL) - ckpt_uring_word(u, CKPT_URING_SQ_HEAD) >
	    u->sq_entries ||
	    ckpt_uring_word(u, CKPT_URING_CQ_TAIL) - ckpt_uring_word(u, CKPT_URING_CQ_HEAD) >=
	    u->cq_entries)
		return BAD_IMAGE("an io_uring has impossible counters");
	if (ckpt_uring_word(u, CKPT_URING_SQ_MASK) != u->sq_entries - 1 ||
	    ckpt_uring_word(u, CKPT_URING_CQ_MASK) != u->cq_entries - 1 ||
	    ckpt_uring_word(u, CKPT_URING_SQ_ENTRIES) != u->sq_entries ||
	    ckpt_uring_word(u, CKPT_URING_CQ_ENTRIES) != u->cq_entries)
		return BAD_IMAGE("an io_uring contradicts itself");
	if (ckpt_uring_word(u, CKPT_URING_SQ_FLAGS) || ckpt_uring_word(u, CKPT_URING_SQ_DROPPED) ||
	    ckpt_uring_word(u, CKPT_URING_CQ_OVERFLOW))
		return BAD_IMAGE("an io_uring has work under way");
	return 0;
}

static int check_area(const struct ckpt_image *image, const struct ckpt_task *t,
		      const struct ckpt_area *a, struct ckpt_err *err)
{
	const struct ckpt_uring *u;
	size_t most;

	if (a->file >= image->n_files || image->files[a->file].kind != CKPT_FILE_URING ||
	    !ckpt_uring_held(image, t, a->file))
		return BAD_IMAGE("area at 0x%lx is of no io_uring of its process", a->start);
	u = &image->urings[image->files[a->file].object];
	most = a->pgoff == CKPT_URING_SQES ? u->sqes_len : u->ring_len;
	/* requests are mapped all or not at all */
	if ((a->pgoff != CKPT_URING_RING && a->pgoff != CKPT_URING_CQ_RING &&
	     a->pgoff != CKPT_URING_SQES) || a->end - a->start > most ||
	    (a->pgoff == CKPT_URING_SQES && a->end - a->start != most) ||
	    a->prot & ~(PROT_READ | PROT_WRITE))
		return BAD_IMAGE("area at 0x%lx is no whole part of an io_uring", a->start);
	return 0;
}

/* Areas of the address space of @t. */
static int check_areas(const struct ckpt_image *image, const struct ckpt_task *t,
		       struct ckpt_err *err)
{
	const struct ckpt_mm *mm = &image->mms[t->mm];

	for (size_t i = 0; i < mm->n_areas; i++) {
		if (mm->areas[i].kind == CKPT_AREA_KIND_URING &&
		    check_area(image, t, &mm->areas[i], err))
			return -1;
	}
	return 0;
}

/* A ring is one descriptor's, and of one process. */
static int check_holders(const struct ckpt_image *image, struct ckpt_err *err)
{
	for (uint32_t i = 0; i < image->n_files; i++) {
		size_t holders = 0;

		if (image->files[i].kind != CKPT_FILE_URING)
			continue;
		for (size_t j = 0; j < image->n_tasks; j++)
			holders += ckpt_uring_held(image, &image->tasks[j], i);
		for (uint32_t j = 0; j < i; j++)
			holders += image->files[j].kind == CKPT_FILE_URING &&
				   image->files[j].object == image->files[i].object;
		if (holders != 1)
			return BAD_IMAGE("an io_uring is shared, or nobody's");
	}
	return 0;
}

int ckpt_urings_check(const struct ckpt_image *image, struct ckpt_err *err)
{
	for (size_t i = 0; i < image->n_urings; i++) {
		if (check_ring(&image->urings[i], err))
			return -1;
	}
	for (size_t i = 0; i < image->n_epolls; i++) {
		for (size_t j = 0; j < image->epolls[i].n_targets; j++) {
			if (image->files[image->epolls[i].targets[j].file].kind == CKPT_FILE_URING)
				return BAD_IMAGE("an epoll watches an io_uring");
		}
	}
	for (size_t i = 0; i < image->n_tasks; i++) {
		if (image->tasks[i].state != CKPT_TASK_ZOMBIE &&
		    check_areas(image, &image->tasks[i], err))
			return -1;
	}
	return check_holders(image, err);
}
