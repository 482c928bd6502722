// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The vdso of a tree: kept once, for it is the kernel's own, and ours too
 *
 * A process may have changed its own: a debugger does, and who fakes the time.  A restore gives it
 * one of the kernel's again, which would answer otherwise.
 */
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "proc/read.h"
#include "proc/remote.h"

/* For a survey a refusal is no end. */
#define PASS(failed) ckpt_survey_pass(r->hold->survey, failed, err)

/* All of it, and as it is protected in a new process. */
static int check_parts(const struct ckpt_reader *r, const struct ckpt_held_proc *p,
		       const struct ckpt_mm *mm, struct ckpt_err *err)
{
	struct ckpt_err too_many = CKPT_ERR_INIT;
	struct ckpt_vdso v;
	bool same = !ckpt_vdso_survey_mm(mm, &v, &too_many) &&
		    ckpt_vdso_same_parts(&v, &r->hold->vdso);

	for (const struct ckpt_area *a = mm->areas; a < mm->areas + mm->n_areas; a++) {
		same &= (a->kind != CKPT_AREA_KIND_VDSO || a->prot == (PROT_READ | PROT_EXEC)) &&
			(a->kind != CKPT_AREA_KIND_VVAR || a->prot == PROT_READ);
	}
	return same ? 0 : ckpt_fail(err, CKPT_REFUSED, 0,
				    "pid %d (%s) has unmapped, moved or protected a part of its "
				    "vdso, which this version cannot restore", p->pid, p->comm);
}

static int check_code(const struct ckpt_reader *r, const struct ckpt_held_proc *p,
		      const uint8_t *code, size_t len, struct ckpt_err *err)
{
	const struct ckpt_vdso *own = &r->hold->vdso;
	const uint64_t at = own->base + own->part[own->n - 1].offset;

	/* one that is not whole was refused before */
	if (len != own->part[own->n - 1].len || !memcmp(code, (void *)(uintptr_t)at, len))
		return 0;
	return ckpt_fail(err, CKPT_REFUSED, 0,
			 "pid %d (%s) has another vdso than ckpt-tool: one of them has changed its "
			 "own, which this version cannot restore", p->pid, p->comm);
}

static int keep(struct ckpt_reader *r, const uint8_t *code, size_t len, struct ckpt_err *err)
{
	struct ckpt_image *image = r->image;
	unsigned int n = sizeof(image->vdso_hash);

	if (r->vdso_hashed)
		return 0;
	if (!EVP_Digest(code, len, image->vdso_hash, &n, EVP_sha256(), NULL))
		return ckpt_fail(err, CKPT_FAILED, 0, "cannot hash the vdso");
	r->vdso_hashed = true;
	if (len > CKPT_VDSO_MAX)
		return 0;
	image->vdso = malloc(len);
	if (!image->vdso)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a vdso");
	memcpy(image->vdso, code, len);
	image->vdso_len = len;
	return 0;
}

int ckpt_read_vdso(struct ckpt_reader *r, const struct ckpt_held_proc *p, const struct ckpt_mm *mm,
		   uint64_t *ret_at, struct ckpt_err *err)
{
	static const uint8_t insn[] = { 0x0f, 0x05 };

	if (PASS(check_parts(r, p, mm, err)))
		return -1;
	for (size_t i = 0; i < mm->n_areas; i++) {
		const struct ckpt_area *a = &mm->areas[i];
		size_t len = a->end - a->start;
		cleanup_free uint8_t *code = NULL;
		const uint8_t *hit;

		if (a->kind != CKPT_AREA_KIND_VDSO)
			continue;
		code = malloc(len);
		if (!code)
			return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a vdso");
		if (ckpt_remote_read(p->pid, a->start, code, len, err) ||
		    PASS(check_code(r, p, code, len, err)) || keep(r, code, len, err))
			return -1;
		hit = memmem(code, len, insn, sizeof(insn));
		if (hit) {
			*ret_at = a->start + (hit - code);
			return 0;
		}
	}
	return ckpt_fail(err, CKPT_REFUSED, 0,
			 "pid %d (%s) has no vdso to make remote calls from", p->pid, p->comm);
}
