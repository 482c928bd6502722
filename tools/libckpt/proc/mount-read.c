// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Mounts: a tree in a mount namespace of its own comes back in a copy of ours
 * with a new /proc.  A mount that we do not have would be lost.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "proc/procfs.h"
#include "proc/read.h"

/* What a line of mountinfo says of a mount; the texts are not owned. */
struct mount {
	const char *dev, *root, *point, *type;
	bool taken;
};

struct mounts {
	struct mount *m;
	size_t n;
};

static void mounts_done(struct mounts *mounts)
{
	free(mounts->m);
}

/* Cut one line: id parent dev root point options [tags] - type source options. */
static bool cut_line(char *line, struct mount *ret)
{
	char *dash = strstr(line, " - ");
	char *save, *word = strtok_r(line, " ", &save);

	*ret = (struct mount){ 0 };
	for (int i = 0; dash && word && i < 5; i++, word = strtok_r(NULL, " ", &save)) {
		if (i == 2)
			ret->dev = word;
		else if (i == 3)
			ret->root = word;
		else if (i == 4)
			ret->point = word;
	}
	if (!dash || !ret->point)
		return false;
	ret->type = strtok_r(dash + 3, " ", &save);
	return ret->type;
}

/* @text is cut into pieces. */
static int cut_text(char *text, struct mounts *ret, struct ckpt_err *err)
{
	char *save;

	for (char *line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		struct mount *m = ckpt_grow(ret->m, &ret->n, sizeof(*m));

		if (!m)
			return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of mounts");
		ret->m = m;
		if (!cut_line(line, &m[ret->n - 1]))
			return ckpt_fail(err, CKPT_FAILED, 0, "cannot understand mountinfo");
	}
	return 0;
}

static bool same(const struct mount *a, const struct mount *b)
{
	return !strcmp(a->dev, b->dev) && !strcmp(a->root, b->root) &&
	       !strcmp(a->point, b->point) && !strcmp(a->type, b->type);
}

static bool take(struct mounts *from, const struct mount *m)
{
	for (size_t i = 0; i < from->n; i++) {
		if (!from->m[i].taken && same(&from->m[i], m))
			return from->m[i].taken = true;
	}
	return false;
}

static int compare(struct ckpt_held_proc *p, const struct mounts *theirs, struct mounts *ours,
		   struct ckpt_err *err)
{
	bool proc = false;

	for (size_t i = 0; i < theirs->n; i++) {
		const struct mount *m = &theirs->m[i];

		if (take(ours, m))
			continue;
		if (!proc && !strcmp(m->type, "proc") && !strcmp(m->point, "/proc")) {
			proc = true;
			continue;
		}
		return ckpt_fail(err, CKPT_REFUSED, 0,
			"pid %d (%s) has a mount at %s (%s), in a namespace of its own, that "
			"ckpt-tool does not have, which this version cannot restore", p->pid,
			p->comm, m->point, m->type);
	}
	return 0;
}

int ckpt_mounts_check(struct ckpt_held_proc *p, int self, struct ckpt_err *err)
{
	cleanup_buf struct ckpt_buf a = CKPT_BUF_INIT;
	cleanup_buf struct ckpt_buf b = CKPT_BUF_INIT;
	cleanup_with(mounts_done) struct mounts theirs = { 0 };
	cleanup_with(mounts_done) struct mounts ours = { 0 };
	int e = ckpt_procfs_read(p->dir, "mountinfo", &a);

	if (!e)
		e = ckpt_procfs_read(self, "mountinfo", &b);
	if (e)
		return ckpt_fail(err, CKPT_FAILED, -e, "cannot read the mounts of pid %d", p->pid);
	if (cut_text((char *)a.data, &theirs, err) || cut_text((char *)b.data, &ours, err))
		return -1;
	return compare(p, &theirs, &ours, err);
}
