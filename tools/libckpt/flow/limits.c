// SPDX-License-Identifier: GPL-2.0-or-later
/* Limits of a group's cgroup. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "base/cleanup.h"
#include "flow/limits.h"

/* Files of a cgroup that the user sets, and what a new one has; "": no line. */
static const struct {
	const char *file, *otherwise;
} limits[] = {
	{ "cgroup.max.depth", "max" }, { "cgroup.max.descendants", "max" },
	{ "memory.min", "0" }, { "memory.low", "0" }, { "memory.high", "max" },
	{ "memory.max", "max" }, { "memory.oom.group", "0" }, { "memory.swap.high", "max" },
	{ "memory.swap.max", "max" }, { "memory.zswap.max", "max" }, { "pids.max", "max" },
	{ "cpu.weight", "100" }, { "cpu.max", "max 100000" }, { "cpu.max.burst", "0" },
	{ "cpu.idle", "0" }, { "cpuset.cpus", "" }, { "cpuset.mems", "" },
	{ "io.weight", "default 100" }, { "io.bfq.weight", "default 100" }, { "io.max", "" },
	{ "io.latency", "" },
};

static int read_file(const char *dir, size_t i, struct ckpt_buf *ret, struct ckpt_err *err)
{
	cleanup_free char *path = NULL, *line = NULL;
	cleanup_fclose FILE *f = NULL;
	size_t cap = 0;
	ssize_t n;

	if (asprintf(&path, "%s/%s", dir, limits[i].file) < 0)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a path");
	f = fopen(path, "re");
	if (!f)	/* its controller is not enabled */
		return errno == ENOENT ? 0 :
		       ckpt_fail(err, CKPT_FAILED, errno, "cannot read %s", path);
	while ((n = getline(&line, &cap, f)) > 0) {
		line[strcspn(line, "\n")] = 0;
		if (!*line || !strcmp(line, limits[i].otherwise))
			continue;
		ckpt_buf_put(ret, limits[i].file, strlen(limits[i].file));
		ckpt_buf_put(ret, " ", 1);
		ckpt_buf_put(ret, line, strlen(line));
		ckpt_buf_put(ret, "\n", 1);
	}
	return 0;
}

int ckpt_limits_read(const char *cgroup, struct ckpt_buf *ret, struct ckpt_err *err)
{
	cleanup_free char *dir = NULL;

	if (ckpt_cgroup_dir(cgroup, &dir, err))
		return -1;
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		if (read_file(dir, i, ret, err))
			return -1;
	}
	return ret->failed ? ckpt_fail(err, CKPT_FAILED, 0, "no memory for the limits") : 0;
}

/* Only files of the table: a checkpoint is no way to write elsewhere. */
static bool is_limit(const char *file)
{
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		if (!strcmp(file, limits[i].file))
			return true;
	}
	return false;
}

/* Is the controller that @file belongs to enabled for the children of @dir's parent? */
static int check_one(const char *dir, const char *file, const char *value, struct ckpt_err *err)
{
	size_t len = strcspn(file, ".");
	cleanup_fclose FILE *f = NULL;
	cleanup_free char *path = NULL;
	char word[64];

	(void)value;
	if (!strncmp(file, "cgroup.", 7))
		return 0;
	if (asprintf(&path, "%.*s/cgroup.subtree_control", (int)(strrchr(dir, '/') - dir), dir) < 0)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a path");
	f = fopen(path, "re");
	while (f && fscanf(f, "%63s", word) == 1) {
		if (strlen(word) == len && !strncmp(word, file, len))
			return 0;
	}
	return ckpt_fail(err, CKPT_REFUSED, 0,
			 "the checkpoint has %s of its cgroup set; enable %.*s in %s", file,
			 (int)len, file, path);
}

static int write_one(const char *dir, const char *file, const char *value, struct ckpt_err *err)
{
	cleanup_free char *path = NULL;
	cleanup_close int fd = -1;

	if (asprintf(&path, "%s/%s", dir, file) < 0)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a path");
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot write '%s' to %s", value, path);
	return 0;
}

typedef int (*limit_fn)(const char *dir, const char *file, const char *value,
			struct ckpt_err *err);

static int each(const char *cgroup, const char *text, size_t len, limit_fn fn,
		struct ckpt_err *err)
{
	cleanup_free char *copy = strndup(text, len), *dir = NULL;
	char *at = copy, *line, *value;

	if (!copy)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for the limits");
	if (ckpt_cgroup_dir(cgroup, &dir, err))
		return -1;
	while ((line = strsep(&at, "\n"))) {
		if (!*line)
			continue;
		value = strchr(line, ' ');
		if (value)
			*value++ = 0;
		if (!value || !is_limit(line))
			return ckpt_fail(err, CKPT_DAMAGED, 0,
					 "'%s' is no limit of a cgroup", line);
		if (fn(dir, line, value, err))
			return -1;
	}
	return 0;
}

int ckpt_limits_check(const char *cgroup, const char *text, size_t len, struct ckpt_err *err)
{
	return each(cgroup, text, len, check_one, err);
}

int ckpt_limits_write(const char *cgroup, const char *text, size_t len, struct ckpt_err *err)
{
	return each(cgroup, text, len, write_one, err);
}
