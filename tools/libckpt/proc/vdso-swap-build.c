// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Another vdso: can a tree go on with that of this kernel?
 *
 * The functions of the old one lead to those of the new one, so code of the old one must never
 * be entered but where a function begins.  Nobody may be inside of it: no thread, and nothing that
 * a signal handler has interrupted, which the kernel has put on a stack.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/build.h"
#include "proc/image-check.h"

#define WORDS (CKPT_PAGE_LEN / 8)
/* Of a saved context: what stands before the code segment, and what that is in 64-bit code. */
enum { SAVED_SP, SAVED_IP, SAVED_FLAGS, SAVED_CS, SAVED };
#define USER_CS 0x33
#define FLAGS_FIXED 2u
#define FLAGS_END (1u << 22)
/* Its own, and one for each signal: they nest no deeper. */
#define STACKS_MAX (CKPT_NSIG + 1)

int ckpt_vdso_swap_open(const struct ckpt_image *image, struct ckpt_vdso_swap *ret,
			struct ckpt_err *err)
{
	struct ckpt_vdso_swap swap = { 0 };
	struct ckpt_vdso own;
	const char *wrong;
	uint8_t *code;
	size_t len;

	if (ckpt_vdso_survey(getpid(), &own, err))
		return -1;
	/* The code is the highest part. */
	code = (uint8_t *)own.base + own.part[own.n - 1].offset;
	len = own.part[own.n - 1].len;
	if (ckpt_vdso_hash_is(code, len, image->vdso_hash)) {
		*ret = swap;
		return 0;
	}
	if (!image->vdso_len)
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "the vdso of this kernel is not that of Linux %s, where the "
				 "checkpoint was taken; boot that kernel", image->kernel);
	wrong = ckpt_vdso_parse(image->vdso, image->vdso_len, &swap.was);
	if (wrong)
		return BAD_IMAGE("the vdso %s", wrong);
	wrong = ckpt_vdso_parse(code, len, &swap.is);
	if (wrong)
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "the vdso of this kernel %s, and is not that of Linux %s, where "
				 "the checkpoint was taken; boot that kernel", wrong,
				 image->kernel);
	swap.needed = true;
	*ret = swap;
	return 0;
}

/**
 * struct look - the stacks of a process are being looked at
 * @base: where its vdso lies
 * @from: of each area, from where on it has been looked at
 * @stacks: how many were looked at for @thread
 */
struct look {
	const struct ckpt_restore_params *params;
	const struct ckpt_vdso_code *was;
	const struct ckpt_task *task;
	const struct ckpt_mm *mm;
	const struct ckpt_thread *thread;
	uint64_t base;
	uint64_t *from;
	size_t stacks;
};

static int inside(const struct look *l, const char *how, struct ckpt_err *err)
{
	return ckpt_fail(err, CKPT_REFUSED, 0,
			 "pid %d (%s) was %s the vdso of Linux %s in thread %d, and this kernel "
			 "has another; boot that kernel, or take another checkpoint there",
			 l->task->pid, l->task->comm, how, l->params->image->kernel,
			 l->thread->tid);
}

static const struct ckpt_area *area_of(const struct look *l, uint64_t at)
{
	for (size_t i = 0; i < l->mm->n_areas; i++) {
		if (at >= l->mm->areas[i].start && at < l->mm->areas[i].end)
			return &l->mm->areas[i];
	}
	return NULL;
}

static bool is_context(const uint64_t saved[SAVED])
{
	return (saved[SAVED_CS] & 0xffff) == USER_CS && saved[SAVED_FLAGS] & FLAGS_FIXED &&
	       saved[SAVED_FLAGS] < FLAGS_END;
}

/*
 * What a call has left behind is nothing to go by: a live one has called what was interrupted,
 * and that is found.  But where a signal came is told by what the kernel has put around it,
 * whatever the byte is that would be the call.
 */
static bool interrupted(const struct look *l, const uint64_t saved[SAVED])
{
	const uint64_t word = saved[SAVED - 1] - l->base;

	return (ckpt_vdso_inside(l->was, word) && !ckpt_vdso_returns(l->was, word)) ||
	       (ckpt_vdso_inside(l->was, saved[SAVED_IP] - l->base) && is_context(saved));
}

static int look_at_stack(struct look *l, uint64_t sp, struct ckpt_err *err);


/* The words of a page from @at on, below @end. */
static int look_at_words(struct look *l, const uint64_t words[WORDS], uint64_t at, uint64_t end,
			 uint64_t saved[SAVED], struct ckpt_err *err)
{
	for (; at < end; at += 8) {
		memmove(saved, saved + 1, (SAVED - 1) * sizeof(*saved));
		saved[SAVED - 1] = words[at % CKPT_PAGE_LEN / 8];
		if (interrupted(l, saved))
			return inside(l, "interrupted by a signal in", err);
		if (is_context(saved) && look_at_stack(l, saved[SAVED_SP], err))
			return -1;
	}
	return 0;
}

/* Where the pages of an area are; those of files that are mapped shared are not looked at. */
static bool space_of(const struct look *l, const struct ckpt_area *a, uint32_t *ret_space,
		     uint64_t *ret_shift)
{
	const struct ckpt_shm *shm = ckpt_area_shm(l->params->image, a);

	*ret_shift = shm ? (a->pgoff >> CKPT_PAGE_SHIFT) - (a->start >> CKPT_PAGE_SHIFT) : 0;
	*ret_space = shm ? shm->space : l->mm->space;
	return shm || a->kind == CKPT_AREA_KIND_ANON || a->kind == CKPT_AREA_KIND_FILE_PRIVATE;
}

static uint64_t lower(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* All that is stored of an area between two addresses. */
static int look_at_range(struct look *l, const struct ckpt_area *a, uint64_t at, uint64_t end,
			 struct ckpt_err *err)
{
	const struct ckpt_source *source = l->params->source;
	uint64_t words[WORDS], saved[SAVED] = { 0 }, shift, page, count;
	enum ckpt_page_kind kind;
	uint32_t space;
	int more;

	if (!space_of(l, a, &space, &shift))
		return 0;
	while (at < end) {
		page = (at >> CKPT_PAGE_SHIFT) + shift;
		more = source->next(source->self, space, &page, &count, &kind, err);
		if (more <= 0)
			return more;
		page -= shift;
		if (page << CKPT_PAGE_SHIFT >= end)
			return 0;
		if (page > at >> CKPT_PAGE_SHIFT) {
			at = page << CKPT_PAGE_SHIFT;
			memset(saved, 0, sizeof(saved));
		}
		if (source->get(source->self, space, page + shift, words, &kind, err) ||
		    look_at_words(l, words, at, lower((page + 1) << CKPT_PAGE_SHIFT, end), saved,
				  err))
			return -1;
		at = (page + 1) << CKPT_PAGE_SHIFT;
	}
	return 0;
}

/*
 * What is in use of a stack lies above @sp; below, and only there, is what is left of the past.
 * A signal that came on another stack has left that one where it was: it is looked at as well,
 * whether or not the thread has its stack for signals yet, which SS_AUTODISARM takes from it.
 */
static int look_at_stack(struct look *l, uint64_t sp, struct ckpt_err *err)
{
	const struct ckpt_area *a = area_of(l, sp);
	uint64_t start, end;

	if (!a)
		return 0;
	start = sp & ~7ull;
	end = l->from[a - l->mm->areas];
	if (start >= end)
		return 0;
	if (l->stacks++ == STACKS_MAX)
		return inside(l, "interrupted by so many signals that one may have come in", err);
	l->from[a - l->mm->areas] = start;
	return look_at_range(l, a, start, end, err);
}

static int look_at_thread(struct look *l, struct ckpt_err *err)
{
	const struct user_regs_struct *regs = &l->thread->regs;

	if (ckpt_vdso_inside(l->was, regs->rip - l->base))
		return inside(l, "in", err);
	l->stacks = 0;
	return l->params->source ? look_at_stack(l, regs->rsp, err) : 0;
}

static int look_at_task(struct look *l, struct ckpt_err *err)
{
	cleanup_free uint64_t *from = calloc(l->mm->n_areas, sizeof(*from));
	int failed = 0;

	if (!from)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory to look at stacks");
	for (size_t i = 0; i < l->mm->n_areas; i++)
		from[i] = l->mm->areas[i].end;
	l->from = from;
	for (size_t i = 0; i < l->task->n_threads && !failed; i++) {
		l->thread = &l->task->threads[i];
		failed = look_at_thread(l, err);
	}
	return failed;
}

/* The place and the code that it will have; where it will be is chosen once more then. */
static int try_patch(const struct ckpt_restore_params *params, const struct ckpt_vdso_swap *swap,
		     const struct ckpt_mm *mm, uint64_t base, uint64_t len, struct ckpt_err *err)
{
	uint8_t code[CKPT_VDSO_MAX];
	uint64_t at;

	if (ckpt_vdso_room(mm, base, NULL, len, &at, err))
		return -1;
	return ckpt_vdso_patch(&swap->was, base, &swap->is, at + len - swap->is.len,
			       params->image->kernel, code, err);
}

int ckpt_vdso_swap_check(const struct ckpt_restore_params *params,
			 const struct ckpt_vdso_swap *swap, uint64_t len, struct ckpt_err *err)
{
	const struct ckpt_image *image = params->image;

	for (size_t i = 0; i < image->n_tasks; i++) {
		struct look l = { .params = params, .was = &swap->was, .task = &image->tasks[i] };

		if (l.task->state == CKPT_TASK_ZOMBIE)
			continue;
		l.mm = &image->mms[l.task->mm];
		if (ckpt_vdso_code_at(l.mm, swap, &l.base, err) || look_at_task(&l, err) ||
		    try_patch(params, swap, l.mm, l.base, len, err))
			return -1;
	}
	return 0;
}
