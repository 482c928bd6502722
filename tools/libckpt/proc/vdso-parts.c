// SPDX-License-Identifier: GPL-2.0-or-later
/* Vdso parts: where the kernel has put its code and the data areas beside it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "proc/parse.h"
#include "proc/remote.h"
#include "proc/vdso.h"

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

int ckpt_vdso_survey_mm(const struct ckpt_mm *mm, struct ckpt_vdso *ret, struct ckpt_err *err)
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

bool ckpt_vdso_same_parts(const struct ckpt_vdso *a, const struct ckpt_vdso *b)
{
	return a->n == b->n && !memcmp(a->part, b->part, a->n * sizeof(a->part[0]));
}
