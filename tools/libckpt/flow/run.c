// SPDX-License-Identifier: GPL-2.0-or-later
/* Run a command in a group. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "base/cleanup.h"
#include "flow/lock.h"
#include "flow/private.h"
#include "flow/run.h"
#include "flow/tag.h"
#include "proc/init.h"

/* linux/prctl.h of newer kernels */
#ifndef PR_SET_MEMORY_MERGE
#define PR_SET_MEMORY_MERGE 67
#endif

extern char **environ;

#define CGROUP_LEN 128

static void cgroup_of(const char *name, char ret[CGROUP_LEN])
{
	snprintf(ret, CGROUP_LEN, "%s/%s", CKPT_CGROUP_TOP, name);
}

/* @private_dir: NULL when it is not made yet */
static int make_group(const struct ckpt_run_params *p, const char *private_dir,
		      struct ckpt_tagged *group, struct ckpt_err *err)
{
	char cgroup[CGROUP_LEN];

	cgroup_of(p->name, cgroup);
	if (ckpt_tagged_init(group, p->name, cgroup, err) ||
	    (private_dir && ckpt_tagged_add_root(group, private_dir, err)))
		return -1;
	for (size_t i = 0; i < p->n_roots; i++)
		if (ckpt_tagged_add_root(group, p->roots[i], err))
			return -1;
	return 0;
}

/* @tmpdir: holds "TMPDIR=..." while the environment is used. */
static char **environment(char *tmpdir)
{
	size_t n = 0, out = 0;
	char **env;

	while (environ[n])
		n++;
	env = calloc(n + 2, sizeof(*env));
	for (size_t i = 0; env && i < n; i++)
		if (strncmp(environ[i], "TMPDIR=", 7))
			env[out++] = environ[i];
	if (env)
		env[out] = tmpdir;
	return env;
}

/*
 * A huge page carries one dirty bit for 2 MiB: of a heap of huge pages nearly
 * all is copied in every round, some of it in the freeze.  Merged pages (KSM)
 * have no usable bit at all.  Both are inherited by what is started here.
 */
static int prefer_small_pages(struct ckpt_err *err)
{
	if (prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot disable huge pages");
	/* Since Linux 6.4. */
	if (prctl(PR_SET_MEMORY_MERGE, 0, 0, 0, 0) && errno != EINVAL)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot disable the merging of pages");
	return 0;
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static int spawn(const struct ckpt_run_params *p, const char *cgroup, const char *private_dir,
		 int private_fd, struct ckpt_init *init, struct ckpt_err *err)
{
	cleanup_free char *dir = NULL, *tmpdir = NULL;
	cleanup_close int in = -1, out = -1;
	cleanup_free char **env = NULL;
	struct ckpt_init_params params = {
		.private_pidns = true, .clocks = true, .argv = p->argv,
		.monotonic_ns = clock_ns(CLOCK_MONOTONIC), .boottime_ns = clock_ns(CLOCK_BOOTTIME),
	};

	if (asprintf(&tmpdir, "TMPDIR=%s/tmp", private_dir) < 0)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for the environment");
	params.envp = env = environment(tmpdir);
	if (!env)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for the environment");
	in = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (in < 0)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot open /dev/null");
	out = ckpt_private_log(private_fd, private_dir, err);
	if (out < 0)
		return -1;
	if (ckpt_cgroup_dir(cgroup, &dir, err) || prefer_small_pages(err))
		return -1;
	params.cgroup = dir;
	params.stdio[0] = in;
	params.stdio[1] = params.stdio[2] = out;
	return ckpt_init_spawn(&params, init, err);
}

/* Started, and known by its first process as well. */
static int spawn_known(const struct ckpt_run_params *p, struct ckpt_tagged *group,
		       const char *private_dir, int private_fd, struct ckpt_init *init,
		       struct ckpt_err *err)
{
	if (spawn(p, group->cgroup, private_dir, private_fd, init, err))
		return -1;
	group->root_pid = init->root;
	if (!ckpt_tagged_save(group, err))
		return 0;
	ckpt_init_kill(init);
	return -1;
}

/* From the cgroup on, everything is undone when a later step fails. */
static int start(const struct ckpt_run_params *p, struct ckpt_tagged *group,
		 const char *private_dir, int private_fd, struct ckpt_init *init,
		 struct ckpt_err *err)
{
	struct ckpt_err ignored = CKPT_ERR_INIT;

	if (ckpt_cgroup_renew(group->cgroup, err))
		return -1;
	if (!ckpt_tag_locked(group, err)) {
		if (!spawn_known(p, group, private_dir, private_fd, init, err))
			return 0;
		ckpt_untag_locked(group->name, &ignored);
	}
	ckpt_cgroup_remove(group->cgroup, &ignored);
	return -1;
}

static int is_alive(const char *name, bool *ret, struct ckpt_err *err)
{
	cleanup_with(ckpt_tagged_done) struct ckpt_tagged old = { 0 };

	*ret = false;
	if (!ckpt_tagged_exists(name))
		return 0;
	return ckpt_tagged_load(name, &old, err) || ckpt_tagged_alive(&old, ret, err) ? -1 : 0;
}

static int refuse_alive(const char *name, struct ckpt_err *err)
{
	char cgroup[CGROUP_LEN];
	bool alive;

	if (ckpt_tagged_check_name(name, err) || is_alive(name, &alive, err))
		return -1;
	if (alive)
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "group '%s' is taken and alive; use another name", name);
	/* a tree that was untagged lives on there */
	cgroup_of(name, cgroup);
	if (ckpt_cgroup_populated(cgroup, &alive, err))
		return -1;
	return alive ? ckpt_fail(err, CKPT_REFUSED, 0,
				 "cgroup %s has living tasks of no group; end them or use another "
				 "name", cgroup) : 0;
}

/* A directory has the right to be searched for one to be executed. */
static int check_executable(const char *path)
{
	struct stat st;

	if (stat(path, &st) || access(path, X_OK))
		return -1;
	if (S_ISREG(st.st_mode))
		return 0;
	errno = EACCES;
	return -1;
}

/* As execvpe looks for it: an empty element of PATH is the current directory. */
static int find_command(const char *name, struct ckpt_err *err)
{
	const char *path = getenv("PATH") ?: "/bin:/usr/bin";
	int os = ENOENT;

	if (strchr(name, '/'))
		return check_executable(name) ?
		       ckpt_fail(err, CKPT_FAILED, errno, "cannot execute '%s'", name) : 0;
	while (*name) {
		int len = strcspn(path, ":");
		cleanup_free char *at = NULL;

		if (asprintf(&at, "%.*s%s%s", len, path, len ? "/" : "", name) < 0)
			return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a path");
		if (!check_executable(at))
			return 0;
		/* the reason, if no other is found */
		if (errno == EACCES)
			os = EACCES;
		if (!path[len])
			break;
		path += len + 1;
	}
	return ckpt_fail(err, CKPT_FAILED, os, "cannot execute '%s'", name);
}

/* Before it is made: nothing of it may be left in a root of the user. */
static int check_private(const struct ckpt_run_params *p, const struct ckpt_tagged *group,
			 struct ckpt_err *err)
{
	const char *top = p->private_dir ? p->private_dir : CKPT_PRIVATE_DIR, *there;
	cleanup_free char *dir = NULL, *copy = strdup(top);
	struct stat st;

	if (!copy || asprintf(&dir, "%s/%s", top, p->name) < 0)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a path");
	if (ckpt_tagged_refuse_new(group, dir, err))
		return -1;
	there = !access(dir, F_OK) ? dir : !access(top, F_OK) ? top : dirname(copy);
	if (stat(there, &st) || access(there, W_OK | X_OK))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot make %s", dir);
	return S_ISDIR(st.st_mode) ? 0 :
	       ckpt_fail(err, CKPT_FAILED, ENOTDIR, "cannot make %s", dir);
}

int ckpt_run_check(const struct ckpt_run_params *params, struct ckpt_err *err)
{
	cleanup_with(ckpt_tagged_done) struct ckpt_tagged group = { 0 };

	return refuse_alive(params->name, err) || make_group(params, NULL, &group, err) ||
	       check_private(params, &group, err) || find_command(params->argv[0], err) ? -1 : 0;
}

int ckpt_run(const struct ckpt_run_params *params, int *ret_status, struct ckpt_err *err)
{
	cleanup_with(ckpt_tagged_done) struct ckpt_tagged group = { 0 };
	struct ckpt_init init = CKPT_INIT_NONE;
	cleanup_free char *private_dir = NULL;
	cleanup_close int lock = -1, private_fd = -1;
	int failed;

	/* until it has started: who comes then finds it alive */
	if (ckpt_lock_name(params->name, &lock, err) ||
	    ckpt_run_check(params, err) ||
	    ckpt_private_make(params->private_dir ?: CKPT_PRIVATE_DIR, params->name,
			      &private_dir, &private_fd, err) ||
	    make_group(params, private_dir, &group, err) ||
	    start(params, &group, private_dir, private_fd, &init, err))
		return -1;
	close(take_fd(lock));
	failed = ckpt_init_wait(&init, ret_status, err);
	ckpt_init_close(&init);
	return failed;
}
