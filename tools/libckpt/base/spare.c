// SPDX-License-Identifier: GPL-2.0-or-later
/* Spare: memory that this process may still have. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/spare.h"

#define V1_CONTROLLER "memory"

/* Files of a cgroup that has limits: v2, and v1. */
static const struct {
	const char *used, *limits[2];
} files[] = {
	{ "memory.current", { "memory.max", "memory.high" } },
	{ "memory.usage_in_bytes", { "memory.limit_in_bytes", NULL } },
};

static FILE *open_at(const char *root, const char *path, const char *name)
{
	cleanup_free char *all = NULL;

	return asprintf(&all, "%s%s%s", root, path, name) < 0 ? NULL : fopen(all, "re");
}

static uint64_t available(const char *root)
{
	cleanup_fclose FILE *f = open_at(root, "/proc/", "meminfo");
	uint64_t kib = 0;
	char line[128];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "MemAvailable: %" SCNu64, &kib) == 1)
			break;
	return kib << 10;
}

/* A number in a file; UINT64_MAX where there is none, or "max". */
static uint64_t number(const char *root, const char *dir, const char *name)
{
	cleanup_fclose FILE *f = open_at(root, dir, name);
	uint64_t n;

	return f && fscanf(f, "%" SCNu64, &n) == 1 ? n : UINT64_MAX;
}

/* @dir: of a cgroup, with a slash behind it. */
static uint64_t left_in(const char *root, const char *dir, bool v1, uint64_t least)
{
	uint64_t used = number(root, dir, files[v1].used), limit;

	for (size_t i = 0; i < 2 && files[v1].limits[i] && used != UINT64_MAX; i++) {
		limit = number(root, dir, files[v1].limits[i]);
		if (limit == UINT64_MAX)
			continue;
		limit = limit > used ? limit - used : 0;
		least = limit < least ? limit : least;
	}
	return least;
}

/* The cgroup @path and those above it, seen at the mount point @point of which @top is the root. */
static uint64_t left_above(const char *root, const char *point, const char *top, const char *path,
			   bool v1, uint64_t least)
{
	size_t len = strcmp(top, "/") ? strlen(top) : 0, from;
	cleanup_free char *dir = NULL;

	if (strncmp(path, top, len) ||
	    asprintf(&dir, "%s%s/", point, strcmp(path + len, "/") ? path + len : "") < 0)
		return least;
	from = strlen(point);
	while (strlen(dir) > from) {
		least = left_in(root, dir, v1, least);
		dir[strlen(dir) - 1] = 0;
		dir[strrchr(dir, '/') + 1 - dir] = 0;
	}
	return least;
}

/* Where the hierarchy is mounted. Return: whether it is; both to be freed. */
static bool mounted(const char *root, bool v1, char **ret_point, char **ret_top)
{
	cleanup_fclose FILE *f = open_at(root, "/proc/", "self/mountinfo");
	cleanup_free char *line = NULL;
	size_t cap = 0;

	while (f && getline(&line, &cap, f) > 0) {
		const char *type = strstr(line, v1 ? " - cgroup " : " - cgroup2 ");
		const char *options = type ? strrchr(type, ' ') : NULL;

		if (type && (!v1 || strstr(options, V1_CONTROLLER)) &&
		    sscanf(line, "%*d %*d %*s %ms %ms", ret_top, ret_point) == 2)
			return true;
	}
	return false;
}

uint64_t ckpt_spare_memory_at(const char *root)
{
	cleanup_fclose FILE *f = open_at(root, "/proc/", "self/cgroup");
	uint64_t least = available(root);
	cleanup_free char *line = NULL;
	size_t cap = 0;

	while (f && getline(&line, &cap, f) > 0) {
		cleanup_free char *point = NULL, *top = NULL;
		char *controllers = strchr(line, ':');
		char *path = controllers ? strchr(controllers + 1, ':') : NULL;
		bool v1;

		if (!path)
			continue;
		line[strcspn(line, "\n")] = 0;
		*path++ = 0;
		v1 = controllers[1];
		if ((!v1 || strstr(controllers, V1_CONTROLLER)) && mounted(root, v1, &point, &top))
			least = left_above(root, point, top, path, v1, least);
	}
	return least;
}

uint64_t ckpt_spare_memory(void)
{
	return ckpt_spare_memory_at("");
}
