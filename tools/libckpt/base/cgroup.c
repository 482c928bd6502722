// SPDX-License-Identifier: GPL-2.0-or-later
/* Cgroup v2 directories. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "base/cleanup.h"

/* Mount point of the v2 hierarchy, allocated; NULL when there is none. */
static char *mount_point(void)
{
	cleanup_fclose FILE *f = fopen("/proc/self/mountinfo", "re");
	cleanup_free char *line = NULL;
	size_t cap = 0;

	while (f && getline(&line, &cap, f) > 0) {
		char *type = strstr(line, " - cgroup2 ");
		char *point = NULL;

		/* 36 35 98:0 / /mnt rw ... - cgroup2 ... (proc(5)) */
		if (type && sscanf(line, "%*d %*d %*s %*s %ms", &point) == 1)
			return point;
	}
	return NULL;
}

int ckpt_cgroup_dir(const char *cgroup, char **ret_dir, struct ckpt_err *err)
{
	cleanup_free char *mount = mount_point();
	char *dir;

	if (!mount)
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "no cgroup v2 hierarchy is mounted; mount one (type cgroup2)");
	if (cgroup[0] != '/')
		return ckpt_fail(err, CKPT_USAGE, 0, "'%s' is not a cgroup path from the root",
				 cgroup);
	if (asprintf(&dir, "%s%s", mount, cgroup) < 0)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a path");
	*ret_dir = dir;
	return 0;
}

int ckpt_cgroup_of(pid_t pid, char **ret_cgroup, struct ckpt_err *err)
{
	cleanup_fclose FILE *f = NULL;
	cleanup_free char *line = NULL;
	char path[64];
	size_t cap = 0;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	f = fopen(path, "re");
	if (!f)
		return ckpt_fail(err, CKPT_USAGE, 0, "there is no process with pid %d", pid);
	while (getline(&line, &cap, f) > 0) {
		if (strncmp(line, "0::", 3))
			continue;
		line[strcspn(line, "\n")] = 0;
		*ret_cgroup = strdup(line + 3);
		if (!*ret_cgroup)
			return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a path");
		return 0;
	}
	return ckpt_fail(err, CKPT_REFUSED, 0, "pid %d is in no cgroup of the v2 hierarchy", pid);
}

int ckpt_cgroup_make(const char *cgroup, struct ckpt_err *err)
{
	cleanup_free char *dir = NULL;

	if (ckpt_cgroup_dir(cgroup, &dir, err))
		return -1;
	for (char *p = dir + 1; ; p++) {
		char saved = *p;

		if (saved && saved != '/')
			continue;
		*p = 0;
		if (mkdir(dir, 0755) && errno != EEXIST)
			return ckpt_fail(err, CKPT_FAILED, errno, "cannot make cgroup %s", dir);
		*p = saved;
		if (!saved)
			return 0;
	}
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	return type == FTW_DP ? rmdir(path) : 0;
}

int ckpt_cgroup_remove(const char *cgroup, struct ckpt_err *err)
{
	cleanup_free char *dir = NULL;

	if (ckpt_cgroup_dir(cgroup, &dir, err))
		return -1;
	if (nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS) && errno != ENOENT)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot remove cgroup %s", cgroup);
	return 0;
}

int ckpt_cgroup_above(const char *cgroup, char **ret_dir, struct ckpt_err *err)
{
	cleanup_free char *dir = NULL;
	size_t top;

	if (ckpt_cgroup_dir(cgroup, &dir, err))
		return -1;
	top = strlen(dir) - strlen(cgroup);
	do
		*strrchr(dir, '/') = 0;
	while (strlen(dir) > top && access(dir, F_OK));
	*ret_dir = take_ptr(dir);
	return 0;
}

int ckpt_cgroup_renew(const char *cgroup, struct ckpt_err *err)
{
	struct ckpt_err ignored = CKPT_ERR_INIT;

	ckpt_cgroup_remove(cgroup, &ignored);
	return ckpt_cgroup_make(cgroup, err);
}

static int write_value(const char *cgroup, const char *file, const char *value,
		       struct ckpt_err *err)
{
	cleanup_close int fd = -1;
	cleanup_free char *dir = NULL, *path = NULL;

	if (ckpt_cgroup_dir(cgroup, &dir, err))
		return -1;
	if (asprintf(&path, "%s/%s", dir, file) < 0)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a path");
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot write '%s' to %s", value, path);
	return 0;
}

int ckpt_cgroup_enter(const char *cgroup, pid_t pid, struct ckpt_err *err)
{
	char value[16];

	snprintf(value, sizeof(value), "%d", pid);
	return write_value(cgroup, "cgroup.procs", value, err);
}

/* Whether cgroup.events of @dir has @line; false when it is not there. */
static int has_event(const char *dir, const char *line, bool *ret, struct ckpt_err *err)
{
	cleanup_fclose FILE *f = NULL;
	cleanup_free char *path = NULL;
	char text[64];

	if (asprintf(&path, "%s/cgroup.events", dir) < 0)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a path");
	*ret = false;
	f = fopen(path, "re");
	if (!f)
		return errno == ENOENT ? 0 :
		       ckpt_fail(err, CKPT_FAILED, errno, "cannot read %s", path);
	while (fgets(text, sizeof(text), f))
		if (!strcmp(text, line))
			*ret = true;
	return 0;
}

int ckpt_cgroup_populated(const char *cgroup, bool *ret, struct ckpt_err *err)
{
	cleanup_free char *dir = NULL;

	return ckpt_cgroup_dir(cgroup, &dir, err) ||
	       has_event(dir, "populated 1\n", ret, err) ? -1 : 0;
}

int ckpt_cgroup_frozen_above(const char *cgroup, bool *ret, struct ckpt_err *err)
{
	cleanup_free char *dir = NULL;

	if (ckpt_cgroup_dir(cgroup, &dir, err))
		return -1;
	*ret = false;
	/* the root of the hierarchy has no such file */
	for (char *slash; !*ret && (slash = strrchr(dir, '/')) && slash > dir;) {
		*slash = 0;
		if (has_event(dir, "frozen 1\n", ret, err))
			return -1;
	}
	return 0;
}

static __thread struct {
	int32_t *pids;
	size_t n;
	int failed;
} found;

static int add_pids(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	cleanup_fclose FILE *f = NULL;
	int pid;

	(void)st;
	if (type != FTW_F || strcmp(path + ftw->base, "cgroup.procs"))
		return 0;
	f = fopen(path, "re");
	/* one that is gone has none, nor one of threads */
	if (!f && (errno == EMFILE || errno == ENFILE || errno == ENOMEM)) {
		found.failed = 1;
		return 1;
	}
	while (f && fscanf(f, "%d", &pid) == 1) {
		int32_t *pids = realloc(found.pids, (found.n + 1) * sizeof(*pids));

		if (!pids) {
			found.failed = 1;
			return 1;
		}
		found.pids = pids;
		pids[found.n++] = pid;
	}
	return 0;
}

/* @name: what @dir is called in a message */
static int list_pids(const char *dir, const char *name, int32_t **ret_pids, size_t *ret_n,
		     struct ckpt_err *err)
{
	found.pids = NULL;
	found.n = 0;
	found.failed = 0;
	if (nftw(dir, add_pids, 16, FTW_PHYS) < 0 || found.failed) {
		free(found.pids);
		return ckpt_fail(err, CKPT_USAGE, errno, "'%s' is no cgroup", name);
	}
	*ret_pids = found.pids;
	*ret_n = found.n;
	return 0;
}

int ckpt_cgroup_dir_pids(const char *dir, int32_t **ret_pids, size_t *ret_n, struct ckpt_err *err)
{
	return list_pids(dir, dir, ret_pids, ret_n, err);
}

int ckpt_cgroup_pids(const char *cgroup, int32_t **ret_pids, size_t *ret_n, struct ckpt_err *err)
{
	cleanup_free char *dir = NULL;

	return ckpt_cgroup_dir(cgroup, &dir, err) ||
	       list_pids(dir, cgroup, ret_pids, ret_n, err) ? -1 : 0;
}

int ckpt_cgroup_kill(const char *cgroup, int timeout_ms, struct ckpt_err *err)
{
	const struct timespec tick = { .tv_nsec = 5000000 };
	bool populated;

	if (write_value(cgroup, "cgroup.kill", "1", err))
		return -1;
	for (int ms = 0; ms <= timeout_ms; ms += 5) {
		if (ckpt_cgroup_populated(cgroup, &populated, err))
			return -1;
		if (!populated)
			return 0;
		nanosleep(&tick, NULL);
	}
	return ckpt_fail(err, CKPT_FAILED, 0, "cgroup %s still has tasks %d ms after the kill",
			 cgroup, timeout_ms);
}

bool ckpt_cgroup_inside(const char *cgroup, const char *group)
{
	size_t len = strlen(group);

	while (len && group[len - 1] == '/')
		len--;
	return !strncmp(cgroup, group, len) && (!cgroup[len] || cgroup[len] == '/');
}
