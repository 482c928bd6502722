// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Vdso: kernel code and clock data mapped into every process
 *
 * It cannot be written; the one of a fresh process is moved to where the image
 * had it.  Its code finds the data areas by distance, so all parts move together.
 */
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/build.h"
#include "proc/parse.h"
#include "proc/remote.h"

#define LOWEST 0x10000ull	/* default vm.mmap_min_addr */
#define HIGHEST 0x7ffffffff000ull
#define GROWTH (1ull << 30)	/* what heaps and stacks may grow by */

bool ckpt_vdso_hash_is(const void *code, size_t len, const uint8_t hash[SHA256_DIGEST_LENGTH])
{
	uint8_t found[SHA256_DIGEST_LENGTH];

	SHA256(code, len, found);
	return !memcmp(found, hash, sizeof(found));
}

static int not_whole(struct ckpt_err *err)
{
	return ckpt_fail(err, CKPT_REFUSED, 0,
			 "the vdso of an address space is not whole; restart the program and take "
			 "a new checkpoint");
}

int ckpt_vdso_check(const struct ckpt_restore_params *params, struct ckpt_err *err)
{
	const struct ckpt_image *image = params->image;
	struct ckpt_vdso_swap swap;
	struct ckpt_vdso own, v;
	size_t i;

	if (ckpt_vdso_swap_open(image, &swap, err) || ckpt_vdso_survey(getpid(), &own, err))
		return -1;
	if (swap.needed)
		return ckpt_vdso_swap_check(params, &swap, own.len, err);
	for (i = 0; i < image->n_mms; i++) {
		if (ckpt_vdso_survey_mm(&image->mms[i], &v, err))
			return -1;
		if (!ckpt_vdso_same_parts(&v, &own))
			return not_whole(err);
	}
	return 0;
}

int ckpt_vdso_code_at(const struct ckpt_mm *mm, const struct ckpt_vdso_swap *swap, uint64_t *ret,
		      struct ckpt_err *err)
{
	const struct ckpt_area *code = NULL;

	for (const struct ckpt_area *a = mm->areas; a < mm->areas + mm->n_areas; a++) {
		if (a->kind != CKPT_AREA_KIND_VDSO)
			continue;
		if (code || a->end - a->start != swap->was.len)
			return not_whole(err);
		code = a;
	}
	if (!code)
		return not_whole(err);
	*ret = code->start;
	return 0;
}

/* Move @at behind what is in the way of @len bytes there. */
static uint64_t pass(uint64_t at, uint64_t len, uint64_t start, uint64_t end)
{
	return start < at + len && end > at ? end : at;
}

static uint64_t pass_all(const struct ckpt_mm *mm, const struct ckpt_restore *r, uint64_t at,
			 uint64_t len)
{
	const uint64_t start_brk = mm->layout[4], brk = mm->layout[5];

	/* the heap grows up, a stack down */
	if (start_brk <= brk && brk < HIGHEST)
		at = pass(at, len, start_brk, brk + GROWTH);
	for (size_t i = 0; i < mm->n_areas; i++) {
		const struct ckpt_area *a = &mm->areas[i];
		uint64_t start = a->start;

		if (a->flags & CKPT_AREA_F_GROWSDOWN)
			start -= start < GROWTH ? start : GROWTH;
		at = pass(at, len, start, a->end);
	}
	if (r)
		at = pass(at, len, r->region, r->region + CKPT_SCRATCH_LEN + r->vdso.len);
	return at;
}

/* The lowest from @at on. Return: 0, none. */
static uint64_t find_room(const struct ckpt_mm *mm, const struct ckpt_restore *r, uint64_t at,
			  uint64_t len)
{
	uint64_t before;

	do {
		before = at;
		at = pass_all(mm, r, at, len);
	} while (at != before && at + len < HIGHEST);
	return at + len < HIGHEST ? at : 0;
}

/* Above it and near, so that a short jump leads there. */
int ckpt_vdso_room(const struct ckpt_mm *mm, uint64_t base, const struct ckpt_restore *r,
		   uint64_t len, uint64_t *ret, struct ckpt_err *err)
{
	uint64_t at = find_room(mm, r, base, len);

	if (!at)
		at = find_room(mm, r, LOWEST, len);
	if (!at)
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "an address space leaves no room of %lu bytes for the vdso of "
				 "this kernel; boot that where the checkpoint was taken", len);
	*ret = at;
	return 0;
}

/* Move all parts from @from to @to in the site's address space. */
static int move(const struct ckpt_restore *r, struct ckpt_site s, uint64_t from, uint64_t to,
		struct ckpt_err *err)
{
	const struct ckpt_vdso *v = &r->vdso;
	uint64_t start;
	size_t i;

	for (i = 0; i < v->n; i++) {
		start = from + v->part[i].offset;
		if (ckpt_site_call(&s, err, "move the vdso", SYS_mremap,
				   ARGS(start, v->part[i].len, v->part[i].len,
					MREMAP_MAYMOVE | MREMAP_FIXED,
					to + v->part[i].offset)) < 0)
			return -1;
		if (s.at >= start && s.at < start + v->part[i].len)
			s.at = s.at - from + to;
	}
	return 0;
}

int ckpt_vdso_park(struct ckpt_restore *r, const struct ckpt_site *s, uint64_t from,
		   uint64_t *ret_at, struct ckpt_err *err)
{
	uint64_t park = r->region + CKPT_SCRATCH_LEN;

	if (move(r, *s, from, park, err))
		return -1;
	*ret_at = park + r->vdso.syscall_at;
	return 0;
}

/*
 * An area of the old vdso as memory of the process: what it has in its code, which ends with
 * @code, and nothing in the place of its data.  Nobody runs the code that would look there, but if
 * somebody did, it would stop at once and not take what lies there then for a clock.
 */
static int put_area(const struct ckpt_site *s, const struct ckpt_area *a, const uint8_t *code,
		    struct ckpt_err *err)
{
	const uint64_t prot = a->kind == CKPT_AREA_KIND_VDSO ? a->prot : PROT_NONE;

	if (ckpt_site_call(s, err, "map the vdso of the checkpoint", SYS_mmap,
			   ARGS(a->start, a->end - a->start, prot,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0)) < 0)
		return -1;
	if (a->kind == CKPT_AREA_KIND_VDSO &&
	    ckpt_remote_write(s->tid, a->start, code, a->end - a->start, err))
		return ckpt_fail_at(err, "process %d: cannot fill its vdso", s->name);
	return 0;
}

/* What the old vdso is to be in a task where this kernel's has been given a place. */
static int patched(const struct ckpt_restore *r, const struct ckpt_build_task *t,
		   uint64_t *ret_base, uint8_t code[CKPT_VDSO_MAX], struct ckpt_err *err)
{
	const struct ckpt_vdso_swap *swap = &r->vdso_swap;

	if (ckpt_vdso_code_at(&r->image->mms[t->task->mm], swap, ret_base, err))
		return -1;
	return ckpt_vdso_patch(&swap->was, *ret_base, &swap->is,
			       t->vdso + r->vdso.len - swap->is.len, r->image->kernel, code, err);
}

static int put_old(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err)
{
	const struct ckpt_mm *mm = &r->image->mms[t->task->mm];
	const struct ckpt_site s = ckpt_build_site(r, t, 0);
	uint8_t code[CKPT_VDSO_MAX];
	uint64_t base;

	if (patched(r, t, &base, code, err))
		return -1;
	for (const struct ckpt_area *a = mm->areas; a < mm->areas + mm->n_areas; a++) {
		if ((a->kind == CKPT_AREA_KIND_VDSO || a->kind == CKPT_AREA_KIND_VVAR) &&
		    put_area(&s, a, code, err))
			return -1;
	}
	return 0;
}

int ckpt_vdso_place(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err)
{
	const struct ckpt_mm *mm = &r->image->mms[t->task->mm];
	struct ckpt_vdso v;

	if (ckpt_vdso_survey_mm(mm, &v, err))
		return -1;
	if (r->vdso_swap.needed &&
	    (ckpt_vdso_code_at(mm, &r->vdso_swap, &v.base, err) ||
	     ckpt_vdso_room(mm, v.base, r, r->vdso.len, &v.base, err)))
		return -1;
	if (move(r, ckpt_build_site(r, t, 0), r->region + CKPT_SCRATCH_LEN, v.base, err))
		return -1;
	t->vdso = v.base;
	t->at = v.base + r->vdso.syscall_at;
	return r->vdso_swap.needed ? put_old(r, t, err) : 0;
}

bool ckpt_vdso_is_new(const struct ckpt_restore *r, const struct ckpt_build_task *t,
		      uint64_t start)
{
	return r->vdso_swap.needed && start - t->vdso < r->vdso.len;
}

int ckpt_vdso_verify(const struct ckpt_restore *r, const struct ckpt_build_task *t,
		     struct ckpt_err *err)
{
	uint8_t wanted[CKPT_VDSO_MAX], found[CKPT_VDSO_MAX];
	const size_t len = r->vdso_swap.was.len;
	struct ckpt_vdso now;
	uint64_t base;

	if (!r->vdso_swap.needed)
		return 0;
	if (ckpt_vdso_survey(t->host, &now, err) || patched(r, t, &base, wanted, err) ||
	    ckpt_remote_read(t->host, base, found, len, err))
		return ckpt_fail_at(err, "process %d: cannot compare its vdso", t->task->pid);
	if (now.base != t->vdso || !ckpt_vdso_same_parts(&now, &r->vdso))
		return NOT_AS_CAPTURED("process %d: the vdso of this kernel is not where it was "
				       "put", t->task->pid);
	if (memcmp(wanted, found, len))
		return NOT_AS_CAPTURED("process %d: its vdso is not that of the checkpoint",
				       t->task->pid);
	return 0;
}
