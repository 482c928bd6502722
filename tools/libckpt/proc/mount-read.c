// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Mounts: a tree in a mount namespace of its own comes back in a copy of ours
 * with a new /proc.  A mount that we do not have would be lost: that matters where
 * something of the tree lies on it.  One that nobody uses may as well be what the
 * host has unmounted since.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "proc/procfs.h"
#include "proc/read.h"

/* What a line of mountinfo says of a mount; the texts are not owned. */
struct mount {
	const char *id, *dev, *root, *point, *type;
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
		if (i == 0)
			ret->id = word;
		else if (i == 2)
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

static int add_lost(struct ckpt_spaces *spaces, const struct mount *m, struct ckpt_err *err)
{
	struct ckpt_lost_mount *lost = ckpt_grow(spaces->lost, &spaces->n_lost, sizeof(*lost));

	if (!lost)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of mounts");
	spaces->lost = lost;
	lost += spaces->n_lost - 1;
	lost->id = strtoull(m->id, NULL, 10);
	if (asprintf(&lost->what, "%s (%s)", m->point, m->type) >= 0)
		return 0;
	lost->what = NULL;
	return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of mounts");
}

static int compare(struct ckpt_spaces *spaces, const struct mounts *theirs, struct mounts *ours,
		   struct ckpt_err *err)
{
	bool proc = false;

	for (size_t i = 0; i < theirs->n; i++) {
		const struct mount *m = &theirs->m[i];

		if (take(ours, m))
			continue;
		if (!proc && !strcmp(m->type, "proc") && !strcmp(m->point, "/proc"))
			proc = true;
		else if (add_lost(spaces, m, err))
			return -1;
	}
	return 0;
}

int ckpt_mounts_compare(struct ckpt_spaces *spaces, struct ckpt_held_proc *p,
			struct ckpt_err *err)
{
	cleanup_buf struct ckpt_buf a = CKPT_BUF_INIT;
	cleanup_buf struct ckpt_buf b = CKPT_BUF_INIT;
	cleanup_with(mounts_done) struct mounts theirs = { 0 };
	cleanup_with(mounts_done) struct mounts ours = { 0 };
	int e = ckpt_procfs_read(p->dir, "mountinfo", &a);

	if (!e)
		e = ckpt_procfs_read(spaces->self, "mountinfo", &b);
	if (e)
		return ckpt_fail(err, CKPT_FAILED, -e, "cannot read the mounts of pid %d", p->pid);
	if (cut_text((char *)a.data, &theirs, err) || cut_text((char *)b.data, &ours, err))
		return -1;
	return compare(spaces, &theirs, &ours, err);
}

/* Does @name below /proc/PID lie on a lost mount?  What is gone does not. */
static int check_used(const struct ckpt_spaces *spaces, struct ckpt_held_proc *p,
		      const char *name, struct ckpt_err *err)
{
	cleanup_close int fd = openat(p->dir, name, O_PATH | O_CLOEXEC);
	struct statx st;

	if (fd < 0 && (errno == ENOENT || errno == ESRCH))
		return 0;
	if (fd < 0 || statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &st))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot look at %s of pid %d (%s)", name,
				 p->pid, p->comm);
	for (size_t i = 0; i < spaces->n_lost; i++) {
		if (spaces->lost[i].id == st.stx_mnt_id)
			return ckpt_fail(err, CKPT_REFUSED, 0,
				"pid %d (%s) has its %s on a mount at %s, in a namespace of its "
				"own, that ckpt-tool does not have, which this version cannot "
				"restore", p->pid, p->comm, name, spaces->lost[i].what);
	}
	return 0;
}

static int check_folder(const struct ckpt_spaces *spaces, struct ckpt_held_proc *p,
			const char *folder, struct ckpt_err *err)
{
	int dir = openat(p->dir, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_closedir DIR *d = dir < 0 ? NULL : fdopendir(dir);
	struct dirent *e;

	if (!d)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot list %s of pid %d", folder,
				 p->pid);
	while ((e = readdir(d))) {
		char name[280];

		snprintf(name, sizeof(name), "%s/%s", folder, e->d_name);
		if (e->d_name[0] != '.' && check_used(spaces, p, name, err))
			return -1;
	}
	return 0;
}

int ckpt_mounts_check(const struct ckpt_spaces *spaces, struct ckpt_held_proc *p,
		      struct ckpt_err *err)
{
	if (!spaces->n_lost)
		return 0;
	return check_used(spaces, p, "cwd", err) || check_used(spaces, p, "root", err) ||
	       check_used(spaces, p, "exe", err) || check_folder(spaces, p, "fd", err) ||
	       check_folder(spaces, p, "map_files", err) ? -1 : 0;
}
