// SPDX-License-Identifier: GPL-2.0-or-later
/* Limits of a group's cgroup. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "base/cleanup.h"
#include "flow/limits.h"

/*
 * Files of a cgroup that the user sets, and what a line of a new one has, both as patterns
 * (fnmatch); "": no line.
 */
static const struct {
	const char *file, *otherwise;
} limits[] = {
	{ "cgroup.max.depth", "max" }, { "cgroup.max.descendants", "max" },
	{ "memory.min", "0" }, { "memory.low", "0" }, { "memory.high", "max" },
	{ "memory.max", "max" }, { "memory.oom.group", "0" }, { "memory.swap.high", "max" },
	{ "memory.swap.max", "max" }, { "memory.zswap.max", "max" },
	{ "memory.zswap.writeback", "1" }, { "pids.max", "max" },
	{ "cpu.weight", "100" }, { "cpu.max", "max 100000" }, { "cpu.max.burst", "0" },
	{ "cpu.idle", "0" }, { "cpu.uclamp.min", "0.00" }, { "cpu.uclamp.max", "max" },
	{ "cpuset.cpus", "" }, { "cpuset.mems", "" },
	{ "io.weight", "default 100" }, { "io.bfq.weight", "default 100" }, { "io.max", "" },
	{ "io.latency", "" }, { "io.prio.class", "no-change" }, { "hugetlb.*.max", "max" },
	{ "misc.max", "* max" }, { "rdma.max", "* hca_handle=max hca_object=max" },
	{ "dmem.min", "* 0" }, { "dmem.low", "* 0" }, { "dmem.max", "* max" },
};

/* A weight that no one may write: what cpu.weight reads as where cpu.idle is 1. */
static bool is_idle(const char *file, const char *value)
{
	return !strcmp(file, "cpu.weight") && !strcmp(value, "0");
}

static int read_file(const char *dir, const char *file, const char *otherwise,
		     struct ckpt_buf *ret, struct ckpt_err *err)
{
	cleanup_free char *path = NULL, *line = NULL;
	cleanup_fclose FILE *f = NULL;
	size_t cap = 0;
	ssize_t n;

	if (asprintf(&path, "%s/%s", dir, file) < 0)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a path");
	f = fopen(path, "re");
	if (!f)	/* its controller is not enabled */
		return errno == ENOENT ? 0 :
		       ckpt_fail(err, CKPT_FAILED, errno, "cannot read %s", path);
	while ((n = getline(&line, &cap, f)) > 0) {
		while (n && strchr(" \n", line[n - 1]))	/* rdma.max ends a line with a space */
			line[--n] = 0;
		if (!n || !fnmatch(otherwise, line, 0) || is_idle(file, line))
			continue;
		ckpt_buf_put(ret, file, strlen(file));
		ckpt_buf_put(ret, " ", 1);
		ckpt_buf_put(ret, line, strlen(line));
		ckpt_buf_put(ret, "\n", 1);
	}
	return ferror(f) ? ckpt_fail(err, CKPT_FAILED, errno, "cannot read %s", path) : 0;
}

/* The files of one line of the table: of hugetlb there are two for each size of page. */
static int read_files(const char *dir, size_t i, struct ckpt_buf *ret, struct ckpt_err *err)
{
	struct dirent **list;
	int n, failed = 0;

	if (!strchr(limits[i].file, '*'))
		return read_file(dir, limits[i].file, limits[i].otherwise, ret, err);
	n = scandir(dir, &list, NULL, alphasort);
	if (n < 0)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot list %s", dir);
	for (int k = 0; k < n; k++) {
		if (!failed && !fnmatch(limits[i].file, list[k]->d_name, 0))
			failed = read_file(dir, list[k]->d_name, limits[i].otherwise, ret, err);
		free(list[k]);
	}
	free(list);
	return failed;
}

int ckpt_limits_read(const char *cgroup, struct ckpt_buf *ret, struct ckpt_err *err)
{
	cleanup_free char *dir = NULL;

	if (ckpt_cgroup_dir(cgroup, &dir, err))
		return -1;
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		if (read_files(dir, i, ret, err))
			return -1;
	}
	return ret->failed ? ckpt_fail(err, CKPT_FAILED, 0, "no memory for the limits") : 0;
}

/* Only files of the table: a checkpoint is no way to write elsewhere. */
static bool is_limit(const char *file)
{
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		if (!fnmatch(limits[i].file, file, FNM_PATHNAME))
			return true;
	}
	return false;
}

/* A limit that what builds a tree may run into, while the tree itself does not. */
static bool is_late(const char *file)
{
	return !strcmp(file, "pids.max") || !strncmp(file, "cgroup.", 7);
}

static bool has_word(const char *dir, const char *file, const char *word, size_t len)
{
	cleanup_fclose FILE *f = NULL;
	cleanup_free char *path = NULL;
	char at[64];

	if (asprintf(&path, "%s/%s", dir, file) < 0)
		return false;
	f = fopen(path, "re");
	while (f && fscanf(f, "%63s", at) == 1) {
		if (strlen(at) == len && !strncmp(at, word, len))
			return true;
	}
	return false;
}

static int write_file(const char *dir, const char *file, const char *value)
{
	cleanup_free char *path = NULL;
	cleanup_close int fd = -1;

	if (asprintf(&path, "%s/%s", dir, file) < 0)
		return -ENOMEM;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd < 0 || write(fd, value, strlen(value)) < 0 ? -errno : 0;
}

/**
 * struct trial - limits tried in a cgroup that is removed again
 * @parent: directory in which the cgroup of the group will be
 * @top: length of the part of @parent that is the mount point
 * @dry: change nothing: see whether the controllers are there
 * @waiting: dry, and a controller is not enabled yet, so that nothing can be tried
 */
struct trial {
	char *parent;
	size_t top;
	bool dry, waiting;
};

/* Enable the controller of @file from the mount point down to the parent. */
static int enable_one(void *arg, const char *file, const char *value, struct ckpt_err *err)
{
	struct trial *t = arg;
	size_t len = strcspn(file, "."), all = strlen(t->parent);
	char word[66];

	(void)value;
	if (!strncmp(file, "cgroup.", 7))
		return 0;
	snprintf(word, sizeof(word), "+%.*s", (int)len, file);
	for (size_t n = t->top; n <= all; n += 1 + strcspn(t->parent + n + 1, "/")) {
		cleanup_free char *dir = strndup(t->parent, n);
		int e = dir ? 0 : -ENOMEM;

		if (dir && has_word(dir, "cgroup.subtree_control", file, len)) {
			if (n == all)
				return 0;
			continue;
		}
		if (dir && t->dry && (has_word(dir, "cgroup.controllers", file, len) ||
				      (n > t->top && access(dir, F_OK)))) {
			t->waiting = true;
			return 0;
		}
		if (!e)
			e = t->dry ? -ENOENT : write_file(dir, "cgroup.subtree_control", word);
		if (e)
			return ckpt_fail(err, CKPT_REFUSED, -e,
				"the checkpoint has %s of its cgroup set; enable %s in "
				"%s/cgroup.subtree_control", file, word + 1, dir);
		if (n == all)
			return 0;
	}
	return 0;
}

static int try_one(void *arg, const char *file, const char *value, struct ckpt_err *err)
{
	int e = write_file(arg, file, value);

	return !e ? 0 : ckpt_fail(err, CKPT_REFUSED, -e,
		"the checkpoint has %s of its cgroup set to '%s', which this machine does not "
		"take; make that possible and restore again", file, value);
}

static int write_early(void *arg, const char *file, const char *value, struct ckpt_err *err)
{
	int e = is_late(file) ? 0 : write_file(arg, file, value);

	return e ? ckpt_fail(err, CKPT_FAILED, -e, "cannot write '%s' to %s of %s", value, file,
			     (char *)arg) : 0;
}

static int write_late(void *arg, const char *file, const char *value, struct ckpt_err *err)
{
	int e = is_late(file) ? write_file(arg, file, value) : 0;

	return e ? ckpt_fail(err, CKPT_FAILED, -e, "cannot write '%s' to %s of %s", value, file,
			     (char *)arg) : 0;
}

typedef int (*limit_fn)(void *arg, const char *file, const char *value, struct ckpt_err *err);

static int each(const char *text, size_t len, limit_fn fn, void *arg, struct ckpt_err *err)
{
	cleanup_free char *copy = strndup(text, len);
	char *at = copy, *line, *value;

	if (!copy)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for the limits");
	while ((line = strsep(&at, "\n"))) {
		if (!*line)
			continue;
		value = strchr(line, ' ');
		if (value)
			*value++ = 0;
		if (!value || !is_limit(line))
			return ckpt_fail(err, CKPT_DAMAGED, 0,
					 "'%s' is no limit of a cgroup", line);
		if (fn(arg, line, value, err))
			return -1;
	}
	return 0;
}

struct search {
	const char *file;
	char *value;
};

static int find_one(void *arg, const char *file, const char *value, struct ckpt_err *err)
{
	struct search *s = arg;

	if (s->value || strcmp(file, s->file))
		return 0;
	s->value = strdup(value);
	return s->value ? 0 : ckpt_fail(err, CKPT_FAILED, 0, "no memory for the limits");
}

int ckpt_limits_find(const char *text, size_t len, const char *file, char **ret,
		     struct ckpt_err *err)
{
	struct search s = { .file = file };

	if (each(text, len, find_one, &s, err)) {
		free(s.value);
		return -1;
	}
	*ret = s.value;
	return 0;
}

/* All of them in a new cgroup beside that of the group, which is removed again. */
static int try_all(const char *dir, const char *text, size_t len, struct ckpt_err *err)
{
	cleanup_free char *scratch = NULL;
	int failed;

	/* '+': no group is called so, and a restore that was killed may have left it */
	if (asprintf(&scratch, "%s+limits", dir) < 0)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a path");
	if (rmdir(scratch) && errno != ENOENT)
		return ckpt_fail(err, CKPT_REFUSED, errno,
				 "cannot try the limits of the checkpoint's cgroup; remove %s",
				 scratch);
	if (mkdir(scratch, 0755))
		return ckpt_fail(err, CKPT_REFUSED, errno,
				 "cannot try the limits of the checkpoint's cgroup; make it "
				 "possible to make %s", scratch);
	failed = each(text, len, try_one, scratch, err);
	if (rmdir(scratch) && !failed)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot remove cgroup %s", scratch);
	return failed;
}

int ckpt_limits_check(const char *cgroup, const char *text, size_t len, bool dry,
		      struct ckpt_err *err)
{
	cleanup_free char *dir = NULL, *parent = NULL, *above = NULL;
	struct trial t = { .dry = dry };

	if (ckpt_cgroup_dir(cgroup, &dir, err))
		return -1;
	t.top = strlen(dir) - strlen(cgroup);
	parent = strndup(dir, strrchr(dir, '/') - dir);
	if (!parent)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a path");
	t.parent = parent;
	above = strdup(parent[t.top] ? parent + t.top : "/");
	if (!above)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a path");
	if (!dry && ckpt_cgroup_make(above, err))
		return -1;
	if (each(text, len, enable_one, &t, err))
		return -1;
	/* a dry run tries in what is there already */
	if (dry && (t.waiting || access(parent, F_OK)))
		return 0;
	return try_all(dir, text, len, err);
}

static int write_all(const char *cgroup, const char *text, size_t len, limit_fn fn,
		     struct ckpt_err *err)
{
	cleanup_free char *dir = NULL;

	return ckpt_cgroup_dir(cgroup, &dir, err) || each(text, len, fn, dir, err) ? -1 : 0;
}

int ckpt_limits_write(const char *cgroup, const char *text, size_t len, struct ckpt_err *err)
{
	return write_all(cgroup, text, len, write_early, err);
}

int ckpt_limits_write_late(const char *cgroup, const char *text, size_t len, struct ckpt_err *err)
{
	return write_all(cgroup, text, len, write_late, err);
}
