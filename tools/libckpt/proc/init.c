// SPDX-License-Identifier: GPL-2.0-or-later
/* Init, seen from its maker. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/init-main.h"

static int reap(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, __WALL) < 0 && errno == EINTR)
		;
	return status;
}

static int hear(int control, struct ckpt_init_message *ret, struct ckpt_err *err)
{
	ssize_t n;

	do
		n = recv(control, ret, sizeof(*ret), 0);
	while (n < 0 && errno == EINTR);
	if (n != sizeof(*ret))
		return ckpt_fail(err, CKPT_FAILED, n < 0 ? errno : 0,
				 "the init of the tree is gone");
	if (ret->kind == CKPT_INIT_FAILED)
		return ckpt_fail(err, CKPT_FAILED, ret->value, "the init of the tree %.*s",
				 (int)sizeof(ret->text), ret->text);
	return 0;
}

/* The middle process names its pid before init may say ready; either may fail first. */
static int hear_birth(struct ckpt_init *init, struct ckpt_err *err)
{
	struct ckpt_init_message m;
	bool ready = false;

	while (!init->pid || !ready) {
		if (hear(init->control, &m, err))
			return -1;
		if (m.kind == CKPT_INIT_BORN)
			init->pid = m.value;
		else if (m.kind == CKPT_INIT_READY)
			ready = true;
	}
	return 0;
}

static int check_exec(int fd, const char *command, struct ckpt_err *err)
{
	int failed;
	ssize_t n;

	do
		n = read(fd, &failed, sizeof(failed));
	while (n < 0 && errno == EINTR);
	if (n > 0)
		return ckpt_fail(err, CKPT_FAILED, failed, "cannot execute %s", command);
	return 0;
}

/* The command is init's only child that was there when the exec was seen. */
static int find_root(struct ckpt_init *init, struct ckpt_err *err)
{
	cleanup_fclose FILE *f = NULL;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", init->pid, init->pid);
	f = fopen(path, "re");
	if (!f)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot open %s", path);
	if (fscanf(f, "%d", &init->root) != 1)
		init->root = 0;	/* it has ended already */
	return 0;
}

static int spawn(const struct ckpt_init_params *params, struct ckpt_init *init, int peer,
		 int exec_fd, struct ckpt_err *err)
{
	pid_t middle = fork();
	int failed;

	if (middle < 0)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot fork the init of the tree");
	if (!middle) {
		close(init->control);
		ckpt_init_middle(params, peer, exec_fd, init->cgroup_fd);
	}
	close(peer);
	if (exec_fd >= 0)
		close(exec_fd);
	failed = hear_birth(init, err);
	reap(middle);
	return failed;
}

int ckpt_init_spawn(const struct ckpt_init_params *params, struct ckpt_init *ret,
		    struct ckpt_err *err)
{
	struct ckpt_init init = CKPT_INIT_NONE;
	cleanup_close int exec_read = -1;
	int pair[2], exec_pipe[2] = { -1, -1 };

	init.cgroup_fd = open(params->cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (init.cgroup_fd < 0)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot open cgroup %s", params->cgroup);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) ||
	    (params->argv && pipe2(exec_pipe, O_CLOEXEC))) {
		ckpt_init_close(&init);
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot make a control socket");
	}
	init.control = pair[0];
	exec_read = exec_pipe[0];
	if (spawn(params, &init, pair[1], exec_pipe[1], err) ||
	    (params->argv && (check_exec(exec_read, params->argv[0], err) ||
			      find_root(&init, err)))) {
		ckpt_init_kill(&init);
		return -1;
	}
	*ret = init;
	return 0;
}

int ckpt_init_release(struct ckpt_init *init, pid_t root, struct ckpt_err *err)
{
	struct ckpt_init_message m = { .kind = CKPT_INIT_RELEASE, .value = root };

	if (send(init->control, &m, sizeof(m), MSG_NOSIGNAL) != sizeof(m))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot release the restored tree");
	if (hear(init->control, &m, err))
		return ckpt_fail_at(err, "cannot release the restored tree");
	return m.kind == CKPT_INIT_RELEASED ? 0 :
	       ckpt_fail(err, CKPT_FAILED, 0, "the init of the tree sent message %d", m.kind);
}

int ckpt_init_wait(struct ckpt_init *init, int *ret_status, struct ckpt_err *err)
{
	struct ckpt_init_message m;

	if (hear(init->control, &m, err))
		return -1;
	if (m.kind != CKPT_INIT_STATUS)
		return ckpt_fail(err, CKPT_FAILED, 0, "the init of the tree sent message %d",
				 m.kind);
	*ret_status = m.value;
	return 0;
}

void ckpt_init_close(struct ckpt_init *init)
{
	if (init->control >= 0)
		close(init->control);
	if (init->cgroup_fd >= 0)
		close(init->cgroup_fd);
	*init = (struct ckpt_init)CKPT_INIT_NONE;
}

static void write_cgroup(const struct ckpt_init *init, const char *file, const char *value)
{
	int fd = init->cgroup_fd < 0 ? -1 :
		 openat(init->cgroup_fd, file, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	/* without cgroup.kill the tree ends with its tracer or its init */
	(void)!write(fd, value, 1);
	close(fd);
}

void ckpt_init_kill_tree(const struct ckpt_init *init)
{
	write_cgroup(init, "cgroup.kill", "1");
}

void ckpt_init_kill(struct ckpt_init *init)
{
	ckpt_init_kill_tree(init);
	write_cgroup(init, "cgroup.freeze", "0");
	if (init->pid > 0) {
		kill(init->pid, SIGKILL);
		reap(init->pid);
	}
	ckpt_init_close(init);
}
