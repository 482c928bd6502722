// SPDX-License-Identifier: GPL-2.0-or-later
/* Consistency of memory without a name, and what no machine can restore of it. */
#include <string.h>

#include "base/pages.h"
#include "proc/image-check.h"

static int check_shm(const struct ckpt_shm *s, struct ckpt_err *err)
{
	if (s->kind > CKPT_SHM_SYSV || s->space > CKPT_SPACE_MAX)
		return BAD_IMAGE("shared memory is of no known kind");
	if (s->size > INT64_MAX || (!s->size && s->kind == CKPT_SHM_SYSV))
		return BAD_IMAGE("shared memory has an impossible size");
	if (s->kind == CKPT_SHM_MEMFD && (!s->name || strlen(s->name) > CKPT_SHM_NAME_MAX))
		return BAD_IMAGE("a memfd has no sound name");
	if (s->seals & ~CKPT_SHM_SEALS)
		return BAD_IMAGE("a memfd has unknown seals");
	if (s->mode > (s->kind == CKPT_SHM_SYSV ? 0777 : 07777))
		return BAD_IMAGE("shared memory has an impossible mode");
	if (s->kind == CKPT_SHM_SYSV && s->id < 0)
		return BAD_IMAGE("a System V segment has an impossible id");
	return 0;
}

/* Two that are apart have nothing in common. */
static int check_apart(const struct ckpt_image *image, const struct ckpt_shm *s,
		       struct ckpt_err *err)
{
	for (const struct ckpt_shm *o = image->shms; o < s; o++) {
		if (s->space && o->space == s->space)
			return BAD_IMAGE("two pieces of shared memory have one content");
		if (s->kind == CKPT_SHM_SYSV && o->kind == CKPT_SHM_SYSV && o->id == s->id)
			return BAD_IMAGE("System V segment %d is there twice", s->id);
	}
	return 0;
}

static bool is_sysv(const struct ckpt_image *image, uint32_t file)
{
	const struct ckpt_file *f = &image->files[file];

	return f->kind == CKPT_FILE_SHM && image->shms[f->object].kind == CKPT_SHM_SYSV;
}

/* A segment is attached; nothing else is done with it. */
static int check_uses(const struct ckpt_image *image, struct ckpt_err *err)
{
	for (size_t i = 0; i < image->n_mms; i++) {
		const struct ckpt_mm *mm = &image->mms[i];
		const struct ckpt_file *exe = &image->files[mm->exe];

		if (exe->kind == CKPT_FILE_SHM &&
		    image->shms[exe->object].kind != CKPT_SHM_MEMFD)
			return BAD_IMAGE("an executable is no file");
		for (size_t j = 0; j < mm->n_areas; j++) {
			if (mm->areas[j].kind != CKPT_AREA_KIND_FILE_SHARED &&
			    ckpt_area_is_sysv(image, &mm->areas[j]))
				return BAD_IMAGE("area at 0x%lx is a private System V segment",
						 mm->areas[j].start);
		}
	}
	for (size_t i = 0; i < image->n_fdtables; i++) {
		const struct ckpt_fdtable *t = &image->fdtables[i];

		for (size_t j = 0; j < t->n_fds; j++) {
			if (is_sysv(image, t->fds[j].file))
				return BAD_IMAGE("descriptor %d is of a System V segment",
						 t->fds[j].fd);
		}
	}
	return 0;
}

int ckpt_shms_check(const struct ckpt_image *image, struct ckpt_err *err)
{
	for (size_t i = 0; i < image->n_shms; i++) {
		if (check_shm(&image->shms[i], err) || check_apart(image, &image->shms[i], err))
			return -1;
	}
	return check_uses(image, err);
}

/*
 * How many areas from @a on are one whole attachment of a segment; 0: they are not.
 * mprotect makes several of one, munmap leaves a part, which shmat cannot make.
 */
static size_t attached(const struct ckpt_image *image, const struct ckpt_area *a,
		       const struct ckpt_area *end)
{
	const struct ckpt_shm *s = ckpt_area_shm(image, a);
	uint64_t len = (s->size + CKPT_PAGE_LEN - 1) & ~(uint64_t)(CKPT_PAGE_LEN - 1), at = 0;
	size_t n = 0;

	for (; at < len; at += a->end - a->start, a++, n++) {
		if (a >= end || ckpt_area_shm(image, a) != s || a->pgoff != at ||
		    (at && a->start != a[-1].end))
			return 0;
	}
	return at == len ? n : 0;
}

static int check_attached(const struct ckpt_image *image, const struct ckpt_task *t,
			  struct ckpt_survey *survey, struct ckpt_err *err)
{
	const struct ckpt_mm *mm = t->mm < image->n_mms ? &image->mms[t->mm] : NULL;
	size_t n;

	for (size_t i = 0; mm && i < mm->n_areas; i += n) {
		n = 1;
		if (!ckpt_area_is_sysv(image, &mm->areas[i]))
			continue;
		n = attached(image, &mm->areas[i], mm->areas + mm->n_areas);
		if (n)
			continue;
		ckpt_fail(err, CKPT_REFUSED, 0,
			"pid %d (%s) has a part of System V segment %d at 0x%lx, not all of it, "
			"which this version cannot restore", t->pid, t->comm,
			ckpt_area_shm(image, &mm->areas[i])->id, mm->areas[i].start);
		if (ckpt_survey_pass(survey, -1, err))
			return -1;
		n = 1;
	}
	return 0;
}

int ckpt_shms_restorable(const struct ckpt_image *image, struct ckpt_survey *survey,
			 struct ckpt_err *err)
{
	for (size_t i = 0; i < image->n_tasks; i++) {
		if (image->tasks[i].state != CKPT_TASK_ZOMBIE &&
		    check_attached(image, &image->tasks[i], survey, err))
			return -1;
	}
	return 0;
}
