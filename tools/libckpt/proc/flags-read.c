// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Flags of areas: from a smaps text, along with a maps text that may be younger
 *
 * A heap grows all the time.  An area that is not in smaps as it is now, but lies over some that
 * are, has their flags: areas with other flags do not become one, and what was split has them
 * still.  Where it was unmapped and mapped anew instead, that shows after the release, as
 * in seen-read.c; of such an area all flags are compared then.  Of one where nothing was nothing is
 * guessed: the stack of a posix_spawn(), say, is gone when that could be compared.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "proc/procfs.h"
#include "proc/read.h"

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

/* @i: of the first area that may overlap @line; others may overlap the next one as well. */
static int guess(const struct ckpt_hold *hold, const struct ckpt_smaps *smaps, size_t i,
		 struct ckpt_seen *seen, const struct ckpt_maps_line *line,
		 struct ckpt_vm_flags *ret)
{
	bool known = false;

	if (!is_plain(line))
		return -1;
	for (; i < smaps->n && smaps->areas[i].line.start < line->end; i++) {
		const struct ckpt_smaps_area *a = &smaps->areas[i];
		struct ckpt_vm_flags flags = a->flags;

		ckpt_area_forgive(hold, &a->line, &flags);
		if (!is_plain(&a->line) || !same_name(&a->line, line) ||
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

/* Mostly the next area of smaps has the very line that @text begins with: nothing to parse. */
static const struct ckpt_smaps_area *same_line(struct ckpt_flags_at *f, const char *text)
{
	const struct ckpt_smaps *smaps = f->smaps;

	for (size_t i = f->at; i < smaps->n && i < f->at + 2; i++) {
		const struct ckpt_smaps_area *a = &smaps->areas[i];

		if (!strncmp(text, a->text, a->len) && text[a->len] == '\n') {
			f->at = i;
			return a;
		}
	}
	return NULL;
}

int ckpt_flags_next(const struct ckpt_hold *hold, struct ckpt_flags_at *f, struct ckpt_seen *seen,
		    const char **at, struct ckpt_maps_line *ret, struct ckpt_vm_flags *ret_flags)
{
	const struct ckpt_smaps_area *a = same_line(f, *at);
	const char *text = *at;
	int n;

	if (!a) {
		n = ckpt_parse_maps_line(at, ret);
		if (n <= 0)
			return n;
		while (f->at < f->smaps->n && f->smaps->areas[f->at].line.end <= ret->start)
			f->at++;
		a = same_line(f, text);
	} else {
		*at += a->len + 1;
		*ret = a->line;
	}
	if (!a)
		return seen && !guess(hold, f->smaps, f->at, seen, ret, ret_flags) ? 1 : -2;
	*ret_flags = a->flags;
	ckpt_area_forgive(hold, &a->line, ret_flags);
	return 1;
}

bool ckpt_flags_guessed(const struct ckpt_seen *seen, const struct ckpt_maps_line *line)
{
	for (size_t i = 0; i < seen->n_guessed; i++) {
		if (seen->guessed[i].start < line->end && line->start < seen->guessed[i].end)
			return true;
	}
	return false;
}
