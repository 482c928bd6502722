// SPDX-License-Identifier: GPL-2.0-or-later
/* A smaps text and its areas: parsed at once, when there is time for it. */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "proc/procfs.h"
#include "proc/read.h"

void ckpt_smaps_done(struct ckpt_smaps *smaps)
{
	free(smaps->text);
	free(smaps->areas);
	*smaps = (struct ckpt_smaps){ 0 };
}

static int parse(struct ckpt_smaps *smaps)
{
	for (const char *at = smaps->text;;) {
		struct ckpt_smaps_area *areas = ckpt_grow(smaps->areas, &smaps->n, sizeof(*areas));
		struct ckpt_smaps_area *a;
		int n;

		if (!areas)
			return -ENOMEM;
		smaps->areas = areas;
		a = &areas[smaps->n - 1];
		n = ckpt_parse_smaps_area(&at, &a->line, &a->flags, &a->text, &a->len);
		if (n > 0)
			continue;
		smaps->n--;
		return n ? -EIO : 0;
	}
}

int ckpt_smaps_read(const struct ckpt_held_proc *p, struct ckpt_smaps *ret)
{
	cleanup_buf struct ckpt_buf text = CKPT_BUF_INIT;
	int r = ckpt_procfs_read(p->dir, "smaps", &text);

	*ret = (struct ckpt_smaps){ 0 };
	if (r)
		return r;
	ret->text = (char *)take_ptr(text.data);
	r = parse(ret);
	if (r)
		ckpt_smaps_done(ret);
	return r;
}
