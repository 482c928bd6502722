// SPDX-License-Identifier: GPL-2.0-or-later
/* Labels of tasks. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/label.h"
#include "proc/procfs.h"
#include "proc/read.h"

/* Its own; then what it asked for: for its next exec, and for what it makes. */
static const struct {
	const char *name, *what;
} kinds[CKPT_LABELS] = {
	{ "attr/current", "the security label" },
	{ "attr/exec", "for its next exec the security label" },
	{ "attr/fscreate", "for new files the security label" },
	{ "attr/keycreate", "for new keys the security label" },
	{ "attr/sockcreate", "for new sockets the security label" },
};

/* A kernel without security modules, or a module without labels of this kind. */
static bool has_none(int error)
{
	return error == ENOENT || error == EINVAL || error == EOPNOTSUPP;
}

static bool is_none(const char *text)
{
	return !*text || !strcmp(text, "unconfined");
}

void ckpt_labels_done(struct ckpt_labels *l)
{
	for (size_t i = 0; i < CKPT_LABELS; i++)
		free(l->text[i]);
	*l = (struct ckpt_labels){ 0 };
}

/* Return: 1, 0 where there is no such label, or a negative errno. */
static int read_label(int dir, const char *name, char **ret)
{
	cleanup_close int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	char text[4096];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n < 0)
		return has_none(errno) ? 0 : -errno;
	text[n] = 0;
	text[strcspn(text, "\n")] = 0;
	if (is_none(text))
		return 1;
	*ret = strdup(text);
	return *ret ? 1 : -ENOMEM;
}

int ckpt_labels_read(int dir, struct ckpt_labels *ret)
{
	struct ckpt_labels l = { 0 };

	for (size_t i = 0; i < CKPT_LABELS; i++) {
		int r = read_label(dir, kinds[i].name, &l.text[i]);

		if (r < 0) {
			ckpt_labels_done(&l);
			return r;
		}
		l.module |= !i && r;
	}
	*ret = l;
	return 0;
}

static bool same(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static const char *name_of(const char *label)
{
	return label ? label : "none";
}

int ckpt_labels_compare(pid_t pid, const char *comm, pid_t tid, const struct ckpt_labels *its,
			const struct ckpt_labels *own, struct ckpt_err *err)
{
	for (size_t i = 0; i < CKPT_LABELS; i++) {
		if (!same(its->text[i], own->text[i]))
			return ckpt_fail(err, CKPT_REFUSED, 0,
				"pid %d (%s) has %s %s (thread %d), ckpt-tool has %s, which a "
				"restored one would have; start ckpt-tool with the same", pid,
				comm, kinds[i].what, name_of(its->text[i]), tid,
				name_of(own->text[i]));
	}
	return 0;
}

static int check_thread(const struct ckpt_held_proc *p, pid_t tid, const struct ckpt_labels *own,
			struct ckpt_err *err)
{
	cleanup_with(ckpt_labels_done) struct ckpt_labels its = { 0 };
	struct ckpt_err e = CKPT_ERR_INIT;
	cleanup_close int dir = -1;
	char name[32];
	int r;

	snprintf(name, sizeof(name), "task/%d", tid);
	dir = openat(p->dir, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	r = dir < 0 ? -errno : ckpt_labels_read(dir, &its);
	if (ckpt_procfs_gone(r))
		return 0;
	if (r)
		return ckpt_fail(err, CKPT_FAILED, -r,
				 "cannot read the security labels of pid %d (%s)", p->pid, p->comm);
	/* of one that has ended by now there are none */
	if (!ckpt_labels_compare(p->pid, p->comm, tid, &its, own, &e) ||
	    faccessat(dir, "stat", F_OK, 0))
		return 0;
	*err = e;
	return -1;
}

int ckpt_labels_check(const struct ckpt_held_proc *p, const struct ckpt_labels *own,
		      struct ckpt_err *err)
{
	for (size_t j = 0; own->module && j < p->n_threads; j++) {
		if (check_thread(p, p->threads[j].tid, own, err))
			return -1;
	}
	return 0;
}

int ckpt_labels_own(struct ckpt_labels *ret, struct ckpt_err *err)
{
	cleanup_close int self = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int e = self < 0 ? -errno : ckpt_labels_read(self, ret);

	return e ? ckpt_fail(err, CKPT_FAILED, -e, "cannot read our own security labels") : 0;
}

int ckpt_labels_verify(const struct ckpt_hold *hold, struct ckpt_err *err)
{
	cleanup_with(ckpt_labels_done) struct ckpt_labels own = { 0 };

	if (ckpt_labels_own(&own, err))
		return -1;
	for (size_t i = 0; i < hold->n_procs; i++) {
		if (!hold->procs[i].zombie && ckpt_labels_check(&hold->procs[i], &own, err))
			return -1;
	}
	return 0;
}

int ckpt_labels_fit(const struct ckpt_image *image, const struct ckpt_labels *own,
		    struct ckpt_err *err)
{
	/* an older image without one does not say that it had none */
	if (same(image->label, own->text[0]) || (!image->label && !image->label_known))
		return 0;
	return ckpt_fail(err, CKPT_REFUSED, 0,
			 "the tree had the security label %s, ckpt-tool has %s; start ckpt-tool "
			 "with that of the tree", name_of(image->label), name_of(own->text[0]));
}
