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

static int add_part(struct ckpt_vdso *v, uint64_t start, uint64_t end, struct ckpt_err *err)
{
	if (v->n == CKPT_VDSO_PARTS)
		return ckpt_fail(err, CKPT_REFUSED, 0, "the vdso has more parts than are known");
	if (!v->n)
		v->base = start;
	v->part[v->n].offset = start - v->base;
	v->part[v->n++].len = end - start;
	v->len = end - v->base;
	return 0;
}

int ckpt_vdso_survey(pid_t pid, struct ckpt_vdso *ret, struct ckpt_err *err)
{
	cleanup_fclose FILE *f = NULL;
	cleanup_free char *line = NULL;
	struct ckpt_vdso v = { 0 };
	struct ckpt_maps_line m;
	char path[64];
	const char *at;
	size_t cap = 0;
	uint64_t insn;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	f = fopen(path, "re");
	if (!f)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot open %s", path);
	while (getline(&line, &cap, f) > 0) {
		at = line;
		if (ckpt_parse_maps_line(&at, &m) != 1 || m.path_len < 6)
			continue;
		if ((!strncmp(m.path, "[vdso]", 6) || !strncmp(m.path, "[vvar", 5)) &&
		    add_part(&v, m.start, m.end, err))
			return -1;
	}
	if (ckpt_remote_vdso_syscall(pid, &insn, err))
		return -1;
	v.syscall_at = insn - v.base;
	*ret = v;
	return 0;
}

/* The parts as an image has them; n is 0 when it has none. */
static int survey_mm(const struct ckpt_mm *mm, struct ckpt_vdso *ret, struct ckpt_err *err)
{
	struct ckpt_vdso v = { 0 };
	size_t i;

	for (i = 0; i < mm->n_areas; i++) {
		const struct ckpt_area *a = &mm->areas[i];

		if ((a->kind == CKPT_AREA_KIND_VDSO || a->kind == CKPT_AREA_KIND_VVAR) &&
		    add_part(&v, a->start, a->end, err))
			return -1;
	}
	*ret = v;
	return 0;
}

static int hash_own(uint8_t hash[SHA256_DIGEST_LENGTH], struct ckpt_err *err)
{
	cleanup_free uint8_t *code = NULL;
	struct ckpt_vdso v;
	size_t last;

	if (ckpt_vdso_survey(getpid(), &v, err))
		return -1;
	/* The code is the highest part. */
	last = v.n - 1;
	code = malloc(v.part[last].len);
	if (!code)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory to hash the vdso");
	memcpy(code, (void *)(v.base + v.part[last].offset), v.part[last].len);
	SHA256(code, v.part[last].len, hash);
	return 0;
}

int ckpt_vdso_check(const struct ckpt_image *image, struct ckpt_err *err)
{
	uint8_t hash[SHA256_DIGEST_LENGTH];
	struct ckpt_vdso own, v;
	size_t i;

	if (hash_own(hash, err) || ckpt_vdso_survey(getpid(), &own, err))
		return -1;
	if (memcmp(hash, image->vdso_hash, sizeof(hash)))
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "the vdso of this kernel is not that of Linux %s, where the "
				 "checkpoint was taken; boot that kernel", image->kernel);
	for (i = 0; i < image->n_mms; i++) {
		if (survey_mm(&image->mms[i], &v, err))
			return -1;
		if (v.n != own.n || memcmp(v.part, own.part, v.n * sizeof(v.part[0])))
			return ckpt_fail(err, CKPT_REFUSED, 0,
					 "the vdso of an address space is not whole; restart the "
					 "program and take a new checkpoint");
	}
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

int ckpt_vdso_park(struct ckpt_restore *r, const struct ckpt_site *s, uint64_t *ret_at,
		   struct ckpt_err *err)
{
	uint64_t park = r->region + CKPT_SCRATCH_LEN;

	if (move(r, *s, r->vdso.base, park, err))
		return -1;
	*ret_at = park + r->vdso.syscall_at;
	return 0;
}

int ckpt_vdso_place(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err)
{
	struct ckpt_vdso v;

	if (survey_mm(&r->image->mms[t->task->mm], &v, err) ||
	    move(r, ckpt_build_site(r, t, 0), r->region + CKPT_SCRATCH_LEN, v.base, err))
		return -1;
	t->at = v.base + r->vdso.syscall_at;
	return 0;
}
