// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Namespaces that the tree has of its own beside pid, time and mount: init makes them and lives
 * in them, so that all are born there, but that of cgroups, into which each goes.  Before that the
 * same is tried by a process that ends.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/build.h"
#include "proc/ipc.h"
#include "proc/net.h"
#include "proc/read.h"
#include "proc/uts.h"

static int open_proc(pid_t pid, struct ckpt_err *err)
{
	char path[32];
	int dir;

	snprintf(path, sizeof(path), "/proc/%d", pid);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir < 0 ? ckpt_fail(err, CKPT_FAILED, errno, "cannot open %s", path) : dir;
}

int ckpt_build_inside(const struct ckpt_restore *r, const char *name, ckpt_inside_fn fn, void *arg,
		      struct ckpt_err *err)
{
	cleanup_close int dir = open_proc(r->init.pid, err);

	return dir < 0 ? -1 : ckpt_inside(dir, name, fn, arg, err);
}

/* Settings at the end once more, as later. */
static int try_net(const struct ckpt_image *image, struct ckpt_err *err)
{
	if (ckpt_net_set(image->net, err))
		return -1;
	ckpt_net_settings_widen(image);
	return ckpt_machine_network(image, err) || ckpt_net_settings_set(image->net, err) ? -1 : 0;
}

/* What init and we do later. */
static int try_all(const struct ckpt_image *image, struct ckpt_err *err)
{
	if (image->n_uts && (unshare(CLONE_NEWUTS) || ckpt_uts_set(image->uts)))
		return ckpt_fail(err, CKPT_REFUSED, errno, "the tree has a uts namespace of its "
				 "own, which ckpt-tool cannot make here");
	if (image->n_ipc && unshare(CLONE_NEWIPC))
		return ckpt_fail(err, CKPT_REFUSED, errno, "the tree has an ipc namespace of its "
				 "own, which ckpt-tool cannot make here");
	if (image->n_net && unshare(CLONE_NEWNET))
		return ckpt_fail(err, CKPT_REFUSED, errno, "the tree has a network namespace of "
				 "its own, which ckpt-tool cannot make here");
	if ((image->n_ipc && (ckpt_ipc_fill(image->ipc, err) || ckpt_ipc_set(image->ipc, err))) ||
	    (image->n_net && try_net(image, err)))
		return -1;
	return image->own_cgroupns && unshare(CLONE_NEWCGROUP) ?
	       ckpt_fail(err, CKPT_REFUSED, errno, "the tree has a cgroup namespace of its own, "
			 "which ckpt-tool cannot make here") : 0;
}

/* By a process that ends then; what it says is in @said, which is shared with it. */
static int try_apart(const struct ckpt_image *image, struct ckpt_err *said, struct ckpt_err *err)
{
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(try_all(image, said) ? 1 : 0);
	while (pid > 0 && waitpid(pid, &status, 0) != pid) {
		if (errno != EINTR)
			pid = -1;
	}
	if (pid < 0)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot try to make namespaces");
	if (status && said->status)
		*err = *said;
	else if (status)
		ckpt_fail(err, CKPT_FAILED, 0, "the trial of namespaces has ended with 0x%x",
			  status);
	return status ? -1 : 0;
}

int ckpt_namespaces_machine(const struct ckpt_image *image, struct ckpt_err *err)
{
	struct ckpt_err *said;
	int failed;

	if (!image->n_uts && !image->n_ipc && !image->n_net && !image->own_cgroupns)
		return 0;
	said = mmap(NULL, sizeof(*said), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		    0);
	if (said == MAP_FAILED)
		return ckpt_fail(err, CKPT_FAILED, errno, "no memory for a page");
	failed = try_apart(image, said, err);
	munmap(said, sizeof(*said));
	return failed;
}

static int set_ipc(void *arg, struct ckpt_err *err)
{
	const struct ckpt_image *image = arg;

	return ckpt_ipc_set(image->ipc, err);
}

static int fill_ipc(void *arg, struct ckpt_err *err)
{
	const struct ckpt_image *image = arg;

	return ckpt_ipc_fill(image->ipc, err);
}

int ckpt_build_ipc(struct ckpt_restore *r, struct ckpt_err *err)
{
	return r->image->n_ipc ?
	       ckpt_build_inside(r, "ipc", fill_ipc, (void *)r->image, err) : 0;
}

int ckpt_build_ipc_settings(struct ckpt_restore *r, struct ckpt_err *err)
{
	return r->image->n_ipc ?
	       ckpt_build_inside(r, "ipc", set_ipc, (void *)r->image, err) : 0;
}

static int set_net(void *arg, struct ckpt_err *err)
{
	const struct ckpt_image *image = arg;

	if (ckpt_net_set(image->net, err))
		return -1;
	ckpt_net_settings_widen(image);
	return 0;
}

static int set_net_settings(void *arg, struct ckpt_err *err)
{
	const struct ckpt_image *image = arg;

	return ckpt_net_settings_set(image->net, err);
}

int ckpt_build_net(struct ckpt_restore *r, struct ckpt_err *err)
{
	return r->image->n_net ?
	       ckpt_build_inside(r, "net", set_net, (void *)r->image, err) : 0;
}

int ckpt_build_net_settings(struct ckpt_restore *r, struct ckpt_err *err)
{
	return r->image->n_net ?
	       ckpt_build_inside(r, "net", set_net_settings, (void *)r->image, err) : 0;
}

int ckpt_build_in_net(struct ckpt_restore *r, ckpt_inside_fn fn, struct ckpt_err *err)
{
	return r->image->n_net ? ckpt_build_inside(r, "net", fn, r, err) : fn(r, err);
}

static int verify_uts(void *arg, struct ckpt_err *err)
{
	const struct ckpt_image *image = arg;
	struct ckpt_uts now;

	if (ckpt_uts_get(&now, err))
		return -1;
	return memcmp(&now, image->uts, sizeof(now)) ?
	       NOT_AS_CAPTURED("the host or domain name is another one") : 0;
}

/* Does every task live in that of process @first, and is it not ours? */
static int verify_members(struct ckpt_restore *r, const char *name, pid_t first,
			  struct ckpt_err *err)
{
	struct stat ours, init, st;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/ns/%s", name);
	if (stat(path, &ours))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot look at %s", path);
	snprintf(path, sizeof(path), "/proc/%d/ns/%s", first, name);
	if (stat(path, &init) || init.st_ino == ours.st_ino)
		return NOT_AS_CAPTURED("the tree has no %s namespace of its own", name);
	for (size_t i = 0; i < r->image->n_tasks; i++) {
		if (r->tasks[i].task->state == CKPT_TASK_ZOMBIE)
			continue;
		snprintf(path, sizeof(path), "/proc/%d/ns/%s", r->tasks[i].host, name);
		if (stat(path, &st) || st.st_ino != init.st_ino)
			return NOT_AS_CAPTURED("process %d is in another %s namespace",
					       r->tasks[i].task->pid, name);
	}
	return 0;
}

static void ipc_done(struct ckpt_ipc *ipc)
{
	for (size_t i = 0; i < ipc->n_settings; i++) {
		free(ipc->settings[i].name);
		free(ipc->settings[i].value);
	}
	free(ipc->settings);
}

/* Each of the image is as it was; another kernel may have more of them. */
static int verify_ipc(void *arg, struct ckpt_err *err)
{
	cleanup_with(ipc_done) struct ckpt_ipc now = { 0 };
	const struct ckpt_image *image = arg;
	const struct ckpt_ipc_setting *s = image->ipc->settings;

	if (ckpt_ipc_get(&now, err))
		return -1;
	for (size_t i = 0; i < now.n_settings && s < image->ipc->settings +
						      image->ipc->n_settings; i++) {
		if (strcmp(now.settings[i].name, s->name))
			continue;
		if (strcmp(now.settings[i].value, s->value))
			return NOT_AS_CAPTURED("%s of its ipc namespace is %s", s->name,
					       now.settings[i].value);
		s++;
	}
	return s == image->ipc->settings + image->ipc->n_settings ?
	       ckpt_ipc_compare(image->ipc, err) :
	       NOT_AS_CAPTURED("its ipc namespace has no %s", s->name);
}

static int verify_net(void *arg, struct ckpt_err *err)
{
	const struct ckpt_image *image = arg;

	return ckpt_net_verify(image->net, err);
}

/* Is the cgroup that each task is in the root of the namespace? */
static int verify_cgroup(void *arg, struct ckpt_err *err)
{
	const struct ckpt_restore *r = arg;

	for (size_t i = 0; i < r->image->n_tasks; i++) {
		cleanup_close int dir = -1;
		bool root;

		if (r->tasks[i].task->state == CKPT_TASK_ZOMBIE)
			continue;
		dir = open_proc(r->tasks[i].host, err);
		if (dir < 0 || ckpt_cgroup_is_root(dir, &root, err))
			return -1;
		if (!root)
			return NOT_AS_CAPTURED("its cgroup namespace has another root than its "
					       "cgroup");
	}
	return 0;
}

/* Init is in ours. */
static int verify_cgroups(struct ckpt_restore *r, struct ckpt_err *err)
{
	pid_t first = ckpt_restore_root(r);
	cleanup_close int dir = open_proc(first, err);

	return dir < 0 || verify_members(r, "cgroup", first, err) ||
	       ckpt_inside(dir, "cgroup", verify_cgroup, r, err) ? -1 : 0;
}

int ckpt_build_cgroup_space(struct ckpt_restore *r, struct ckpt_build_task *t,
			    struct ckpt_err *err)
{
	const struct ckpt_site s = ckpt_build_site(r, t, 0);

	return r->image->own_cgroupns &&
	       ckpt_site_call(&s, err, "enter its cgroup namespace", SYS_setns,
			      ARGS(CKPT_INIT_SPACE_FD, CLONE_NEWCGROUP)) < 0 ? -1 : 0;
}

int ckpt_verify_namespaces(struct ckpt_restore *r, struct ckpt_err *err)
{
	if (r->image->n_uts &&
	    (verify_members(r, "uts", r->init.pid, err) ||
	     ckpt_build_inside(r, "uts", verify_uts, (void *)r->image, err)))
		return -1;
	if (r->image->n_ipc &&
	    (verify_members(r, "ipc", r->init.pid, err) ||
	     ckpt_build_inside(r, "ipc", verify_ipc, (void *)r->image, err) ||
	     ckpt_verify_undos(r, err)))
		return -1;
	if (r->image->n_net &&
	    (verify_members(r, "net", r->init.pid, err) ||
	     ckpt_build_inside(r, "net", verify_net, (void *)r->image, err)))
		return -1;
	return r->image->own_cgroupns ? verify_cgroups(r, err) : 0;
}
