// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Flags of areas: from a smaps text, along with a maps text that may be younger
 *
 * A heap grows all the time.  An area that is not in smaps as it is now, but lies over some that
 * are, has their flags: areas with other flags do not become one, and what was split has them
 * still.  Where it was unmapped and mapped anew instead, that shows after the release, as
 * in seen-read.c; of such an area all flags are compared then.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "proc/procfs.h"
#include "proc/read.h"

static bool next(struct ckpt_flags_at *f)
{
	f->have = ckpt_parse_smaps_area(&f->at, &f->line, &f->flags, &f->text, &f->len) == 1;
	return f->have;
}

/* Private memory without a file: what its flags are does not depend on where it ends. */
static bool is_plain(const struct ckpt_maps_line *line)
{
	return !line->shared && !line->ino && (!line->path_len || line->path[0] == '[');
}

static bool same_name(const struct ckpt_maps_line *a, const struct ckpt_maps_line *b)
{
	return a->path_len == b->path_len && !memcmp(a->path, b->path, a->path_len);
}

/* Whether memory is accounted for depends on whether it may be written. */
static bool same_flags(const struct ckpt_vm_flags *a, const struct ckpt_vm_flags *b)
{
	return !((a->area ^ b->area) & ~CKPT_AREA_F_ACCOUNT) && a->other == b->other;
}

static int note(struct ckpt_seen *seen, const struct ckpt_maps_line *line)
{
	struct ckpt_seen_range *r = ckpt_grow(seen->guessed, &seen->n_guessed, sizeof(*r));

	if (!r)
		return -1;
	seen->guessed = r;
	r[seen->n_guessed - 1] = (struct ckpt_seen_range){ line->start, line->end };
	return 0;
}

/* @f: at the first area that may overlap @line; others may overlap the next one as well. */
static int guess(const struct ckpt_hold *hold, struct ckpt_flags_at f, struct ckpt_seen *seen,
		 const struct ckpt_maps_line *line, struct ckpt_vm_flags *ret)
{
	bool known = false;

	if (!is_plain(line))
		return -1;
	for (; f.have && f.line.start < line->end; next(&f)) {
		struct ckpt_vm_flags flags = f.flags;

		ckpt_area_forgive(hold, &f.line, &flags);
		if (!is_plain(&f.line) || !same_name(&f.line, line) ||
		    (known && !same_flags(&flags, ret)))
			return -1;
		*ret = flags;
		known = true;
	}
	if (!known || note(seen, line))
		return -1;
	if (line->prot & PROT_WRITE && !(ret->area & CKPT_AREA_F_NORESERVE))
		ret->area |= CKPT_AREA_F_ACCOUNT;
	return 0;
}

int ckpt_flags_of(const struct ckpt_hold *hold, struct ckpt_flags_at *f, struct ckpt_seen *seen,
		  const struct ckpt_maps_line *line, const char *text, struct ckpt_vm_flags *ret)
{
	size_t len = line->path + line->path_len - text;

	if (!f->have)
		next(f);
	while (f->have && f->line.end <= line->start)
		next(f);
	if (f->have && f->len == len && !memcmp(f->text, text, len)) {
		*ret = f->flags;
		ckpt_area_forgive(hold, line, ret);
		return 0;
	}
	return seen ? guess(hold, *f, seen, line, ret) : -1;
}

bool ckpt_flags_guessed(const struct ckpt_seen *seen, const struct ckpt_maps_line *line)
{
	for (size_t i = 0; i < seen->n_guessed; i++) {
		if (seen->guessed[i].start < line->end && line->start < seen->guessed[i].end)
			return true;
	}
	return false;
}
