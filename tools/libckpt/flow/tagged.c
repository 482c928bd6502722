// SPDX-License-Identifier: GPL-2.0-or-later
/* Run state of groups. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/ckpt.h>

#include "base/cgroup.h"
#include "base/cleanup.h"
#include "base/path.h"
#include "flow/tagged.h"

static void put_json(json_object **j)
{
	json_object_put(*j);
}

#define cleanup_json cleanup_with(put_json)

void ckpt_tagged_done(struct ckpt_tagged *g)
{
	for (size_t i = 0; i < g->n_roots; i++)
		free(g->roots[i]);
	free(g->roots);
	free(g->name);
	free(g->cgroup);
	*g = (struct ckpt_tagged){ 0 };
}

int ckpt_tagged_check_name(const char *name, struct ckpt_err *err)
{
	size_t len = strlen(name);

	if (!len || len > CKPT_NAME_MAX || !strcmp(name, ".") || !strcmp(name, "..") ||
	    strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") !=
		len)
		return ckpt_fail(err, CKPT_USAGE, 0,
				 "'%s' is no group name; use 1 to %d of A-Z a-z 0-9 . _ -", name,
				 CKPT_NAME_MAX);
	return 0;
}

int ckpt_tagged_init(struct ckpt_tagged *g, const char *name, const char *cgroup,
		    struct ckpt_err *err)
{
	*g = (struct ckpt_tagged){ 0 };
	if (ckpt_tagged_check_name(name, err))
		return -1;
	g->name = strdup(name);
	g->cgroup = cgroup ? strdup(cgroup) : NULL;
	if (!g->name || (cgroup && !g->cgroup)) {
		ckpt_tagged_done(g);
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for group '%s'", name);
	}
	return 0;
}

static bool path_inside(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	return !strncmp(path, dir, len) && (!path[len] || path[len] == '/' || dir[len - 1] == '/');
}

const char *ckpt_tagged_overlap(const struct ckpt_tagged *g, const char *path, bool upwards)
{
	for (size_t i = 0; i < g->n_roots; i++)
		if (path_inside(path, g->roots[i]) ||
		    (upwards && path_inside(g->roots[i], path)))
			return g->roots[i];
	return NULL;
}

static int refuse_overlap(const struct ckpt_tagged *g, const char *path, const char *real,
			  bool upwards, struct ckpt_err *err)
{
	const char *other = ckpt_tagged_overlap(g, real, upwards);

	return other ? ckpt_fail(err, CKPT_USAGE, 0, "roots '%s' and '%s' overlap", path, other) :
		       0;
}

static int append_root(struct ckpt_tagged *g, char *path, struct ckpt_err *err)
{
	char **roots = realloc(g->roots, (g->n_roots + 1) * sizeof(*roots));

	if (!roots)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for root '%s'", path);
	g->roots = roots;
	roots[g->n_roots++] = path;
	return 0;
}

int ckpt_tagged_add_root(struct ckpt_tagged *g, const char *path, struct ckpt_err *err)
{
	cleanup_free char *real = realpath(path, NULL);
	struct stat st;

	if (!real || stat(real, &st))
		return ckpt_fail(err, CKPT_USAGE, errno, "cannot use '%s' as a root", path);
	if (!S_ISDIR(st.st_mode))
		return ckpt_fail(err, CKPT_USAGE, 0,
				 "cannot use '%s' as a root: it is no directory", path);
	if (!strcmp(real, "/"))
		return ckpt_fail(err, CKPT_USAGE, 0,
				 "cannot use '/' as a root: name the workspace");
	if (refuse_overlap(g, real, real, true, err) || append_root(g, real, err))
		return -1;
	real = NULL;
	return 0;
}

int ckpt_tagged_refuse_new(const struct ckpt_tagged *g, const char *path, struct ckpt_err *err)
{
	bool there;
	cleanup_free char *real = ckpt_path_resolve(path, &there);

	if (!real)
		return ckpt_fail(err, CKPT_USAGE, errno, "cannot use '%s' as a root", path);
	/* one that is not there yet has no root in it */
	return refuse_overlap(g, path, real, there, err);
}

static char *state_path(const char *name, const char *suffix)
{
	char *path;

	return asprintf(&path, "%s/%s.json%s", CKPT_RUN_DIR, name, suffix) < 0 ? NULL : path;
}

char *ckpt_tagged_tracker(const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s.tracker", CKPT_RUN_DIR, name) < 0 ? NULL : path;
}

int ckpt_tagged_save(const struct ckpt_tagged *g, struct ckpt_err *err)
{
	cleanup_free char *path = state_path(g->name, ""), *tmp = state_path(g->name, ".new");
	cleanup_json json_object *j = json_object_new_object();
	json_object *roots = json_object_new_array();

	if (!path || !tmp || !j || !roots)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for group '%s'", g->name);
	json_object_object_add(j, "name", json_object_new_string(g->name));
	if (g->cgroup)
		json_object_object_add(j, "cgroup", json_object_new_string(g->cgroup));
	for (size_t i = 0; i < g->n_roots; i++)
		json_object_array_add(roots, json_object_new_string(g->roots[i]));
	json_object_object_add(j, "roots", roots);
	json_object_object_add(j, "root_pid", json_object_new_int(g->root_pid));
	if (mkdir(CKPT_RUN_DIR, 0700) && errno != EEXIST)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot make %s", CKPT_RUN_DIR);
	if (json_object_to_file(tmp, j) || rename(tmp, path))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot write %s", path);
	return 0;
}

static int read_state(json_object *j, struct ckpt_tagged *g, struct ckpt_err *err)
{
	json_object *v;

	if (json_object_object_get_ex(j, "root_pid", &v))
		g->root_pid = json_object_get_int(v);
	if (!json_object_object_get_ex(j, "roots", &v) || !json_object_is_type(v, json_type_array))
		return ckpt_fail(err, CKPT_FAILED, 0, "run state of '%s' has no roots", g->name);
	for (size_t i = 0; i < json_object_array_length(v); i++) {
		json_object *root = json_object_array_get_idx(v, i);
		char *path;

		if (!json_object_is_type(root, json_type_string))
			return ckpt_fail(err, CKPT_FAILED, 0,
					 "run state of '%s' has a root that is no path", g->name);
		path = strdup(json_object_get_string(root));
		if (!path || append_root(g, path, err)) {
			free(path);
			return -1;
		}
	}
	return 0;
}

int ckpt_tagged_load(const char *name, struct ckpt_tagged *ret, struct ckpt_err *err)
{
	cleanup_json json_object *j = NULL;
	struct ckpt_tagged g;
	cleanup_free char *path = NULL;
	json_object *v;

	if (ckpt_tagged_check_name(name, err))
		return -1;
	path = state_path(name, "");
	if (!path || access(path, R_OK))
		return ckpt_fail(err, CKPT_USAGE, 0,
				 "there is no group '%s'; start one with ckpt-tool run or tag",
				 name);
	j = json_object_from_file(path);
	if (!j)
		return ckpt_fail(err, CKPT_FAILED, 0, "cannot read %s: it is no document", path);
	if (ckpt_tagged_init(&g, name, json_object_object_get_ex(j, "cgroup", &v) ?
					      json_object_get_string(v) : NULL, err))
		return -1;
	if (read_state(j, &g, err)) {
		ckpt_tagged_done(&g);
		return -1;
	}
	*ret = g;
	return 0;
}

bool ckpt_tagged_exists(const char *name)
{
	cleanup_free char *path = state_path(name, "");

	return path && !access(path, F_OK);
}

int ckpt_tagged_forget(const char *name, struct ckpt_err *err)
{
	cleanup_free char *path = state_path(name, "");

	if (!path || (unlink(path) && errno != ENOENT))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot forget group '%s'", name);
	return 0;
}

int ckpt_tagged_drop_output(const char *name, struct ckpt_err *err)
{
	char path[sizeof(CKPT_RUN_DIR) + 80];

	snprintf(path, sizeof(path), "%s/%s.out", CKPT_RUN_DIR, name);
	if (unlink(path) && errno != ENOENT)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot remove %s", path);
	return 0;
}

static int is_state(const struct dirent *d)
{
	size_t len = strlen(d->d_name);

	return len > 5 && !strcmp(d->d_name + len - 5, ".json");
}

int ckpt_tagged_names(char ***ret_names, size_t *ret_n, struct ckpt_err *err)
{
	struct dirent **list = NULL;
	int n = scandir(CKPT_RUN_DIR, &list, is_state, alphasort);
	char **names;

	if (n < 0 && errno != ENOENT)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot list %s", CKPT_RUN_DIR);
	n = n < 0 ? 0 : n;
	names = calloc(n + 1, sizeof(*names));
	for (int i = 0; i < n; i++) {
		if (names)
			names[i] = strndup(list[i]->d_name, strlen(list[i]->d_name) - 5);
		free(list[i]);
	}
	free(list);
	if (!names)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for the groups");
	*ret_names = names;
	*ret_n = n;
	return 0;
}

void ckpt_tagged_names_free(char **names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(names[i]);
	free(names);
}

int ckpt_tagged_alive(const struct ckpt_tagged *g, bool *ret, struct ckpt_err *err)
{
	char path[64];

	if (g->cgroup)
		return ckpt_cgroup_populated(g->cgroup, ret, err);
	snprintf(path, sizeof(path), "/proc/%d", g->root_pid);
	*ret = g->root_pid && !access(path, F_OK);
	return 0;
}
