// SPDX-License-Identifier: GPL-2.0-or-later
/* Init: the process itself. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "proc/image.h"
#include "proc/init-main.h"
#include "proc/uts.h"

/* Descriptors of init beside 0 to 2; everything above is closed. */
#define CONTROL 3
#define CGROUP CKPT_INIT_CGROUP_FD
#define EXEC 5
#define SPACE CKPT_INIT_SPACE_FD	/* of a tree without a command */
#define NEXT 6

static void say(int control, int kind, int value, const char *text)
{
	struct ckpt_init_message m = { .kind = kind, .value = value };

	snprintf(m.text, sizeof(m.text), "%s", text);
	send(control, &m, sizeof(m), MSG_NOSIGNAL);
}

static void __attribute__((noreturn)) give_up(int control, const char *what)
{
	say(control, CKPT_INIT_FAILED, errno, what);
	_exit(125);
}

static int write_file(int dir, const char *path, const char *text)
{
	int fd = openat(dir, path, O_WRONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = write(fd, text, strlen(text));
	close(fd);
	return n < 0 ? -1 : 0;
}

static int64_t offset_of(clockid_t clock, uint64_t wanted_ns)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)wanted_ns - (now.tv_sec * 1000000000ll + now.tv_nsec);
}

static int set_clocks(const struct ckpt_init_params *params)
{
	int64_t mono = offset_of(CLOCK_MONOTONIC, params->monotonic_ns);
	int64_t boot = offset_of(CLOCK_BOOTTIME, params->boottime_ns);
	int64_t ns = 1000000000;
	char text[128];
	int fd, n, wrote;

	if (unshare(CLONE_NEWTIME))
		return -1;
	/* The nanoseconds are positive: round the seconds towards minus infinity. */
	n = snprintf(text, sizeof(text), "monotonic %ld %ld\nboottime %ld %ld\n",
		     (mono - (mono % ns + ns) % ns) / ns, (mono % ns + ns) % ns,
		     (boot - (boot % ns + ns) % ns) / ns, (boot % ns + ns) % ns);
	fd = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	wrote = write(fd, text, n);
	close(fd);
	return wrote == n ? 0 : -1;
}

/* Bring the descriptors to their places, whatever their numbers are now. */
static int arrange_fds(const struct ckpt_init_params *params, int control, int exec_fd,
		       int cgroup_fd)
{
	const int from[NEXT] = { params->stdio[0], params->stdio[1], params->stdio[2],
				 control, cgroup_fd, exec_fd };
	int high[NEXT], i;

	for (i = 0; i < NEXT; i++) {
		high[i] = from[i] < 0 ? -1 : fcntl(from[i], F_DUPFD_CLOEXEC, NEXT);
		if (from[i] >= 0 && high[i] < 0)
			return -1;
	}
	for (i = 0; i < NEXT; i++) {
		if (high[i] < 0)
			close(i);
		else if (dup3(high[i], i, i < CONTROL ? 0 : O_CLOEXEC) < 0)
			return -1;
	}
	return syscall(SYS_close_range, NEXT, ~0u, 0);
}

/*
 * By the system call: the C library hides the two signals it keeps for itself,
 * and a caller that ever made a thread has a handler for one of them.
 */
static void reset_signals(void)
{
	const struct ckpt_sigaction dfl = { 0 };
	sigset_t none;
	int sig;

	for (sig = 1; sig <= CKPT_NSIG; sig++)
		syscall(SYS_rt_sigaction, sig, &dfl, NULL, sizeof(dfl.mask));
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/*
 * The root of a new one is the cgroup of who makes it: somebody who is there for a moment, and has
 * our descriptors.  Return: 0, -1.
 */
static int make_cgroup_space(void)
{
	struct clone_args args = {
		.flags = CLONE_INTO_CGROUP | CLONE_FILES,
		.exit_signal = SIGCHLD,
		.cgroup = CGROUP,
	};
	pid_t pid = syscall(SYS_clone3, &args, sizeof(args));
	int status, fd;

	if (!pid) {
		fd = unshare(CLONE_NEWCGROUP) ? -1 :
		     open("/proc/self/ns/cgroup", O_RDONLY | O_CLOEXEC);
		_exit(fd < 0 || (fd != SPACE && dup3(fd, SPACE, O_CLOEXEC) < 0) ? 1 :
		      fd != SPACE && close(fd));
	}
	return pid < 0 || waitpid(pid, &status, 0) != pid || status ? -1 : 0;
}

static void settle(const struct ckpt_init_params *params)
{
	prctl(PR_SET_NAME, "ckpt-init");
	setsid();
	umask(0);
	reset_signals();
	if (params->uts && ckpt_uts_set(params->uts))
		give_up(CONTROL, "cannot set the host name of the tree");
	if (!params->private_pidns) {
		if (params->cgroupns && make_cgroup_space())
			give_up(CONTROL, "cannot make its cgroup namespace");
		prctl(PR_SET_CHILD_SUBREAPER, 1);
		return;
	}
	if (mount("none", "/", NULL, MS_REC | MS_SLAVE, NULL))
		give_up(CONTROL, "cannot make its mounts its own");
	if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL))
		give_up(CONTROL, "cannot mount its /proc");
	if (params->cgroupns && make_cgroup_space())
		give_up(CONTROL, "cannot make its cgroup namespace");
}

static void __attribute__((noreturn)) exec_command(const struct ckpt_init_params *params,
						   mode_t mask)
{
	int failed;

	umask(mask);
	setsid();
	if (!params->cwd || !chdir(params->cwd))
		execvpe(params->argv[0], params->argv, params->envp);
	failed = errno;
	(void)!write(EXEC, &failed, sizeof(failed));
	_exit(failed == ENOENT ? 127 : 126);
}

static pid_t start_command(const struct ckpt_init_params *params, mode_t mask)
{
	struct clone_args args = {
		.flags = CLONE_INTO_CGROUP,
		.exit_signal = SIGCHLD,
		.cgroup = CGROUP,
	};
	pid_t pid = syscall(SYS_clone3, &args, sizeof(args));

	if (!pid)
		exec_command(params, mask);
	if (pid < 0)
		give_up(CONTROL, "cannot start the command in its cgroup");
	close(EXEC);
	return pid;
}

/* Return: the root task, named by the message that lets the tree go. */
static pid_t wait_release(void)
{
	struct ckpt_init_message m;
	ssize_t n;

	do
		n = recv(CONTROL, &m, sizeof(m), 0);
	while (n < 0 && errno == EINTR);
	if (n == sizeof(m) && m.kind == CKPT_INIT_RELEASE) {
		if (!write_file(CGROUP, "cgroup.freeze", "0")) {
			say(CONTROL, CKPT_INIT_RELEASED, 0, "");
			return m.value;
		}
		say(CONTROL, CKPT_INIT_FAILED, errno, "cannot thaw its cgroup");
	}
	/* frozen as they are */
	write_file(CGROUP, "cgroup.kill", "1");
	_exit(125);
}

static int shell_status(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void __attribute__((noreturn)) reap(pid_t root)
{
	int status, value = 0;
	pid_t pid;

	for (;;) {
		pid = waitpid(-1, &status, __WALL);
		if (pid == root) {
			value = shell_status(status);
			say(CONTROL, CKPT_INIT_STATUS, value, "");
		}
		if (pid < 0 && errno == ECHILD)
			_exit(value);
	}
}

static void __attribute__((noreturn)) init_main(const struct ckpt_init_params *params, int control,
						int exec_fd, int cgroup_fd, mode_t mask)
{
	pid_t root;
	int null;

	if (arrange_fds(params, control, exec_fd, cgroup_fd))
		give_up(control, "cannot arrange its descriptors");
	settle(params);
	root = params->argv ? start_command(params, mask) : 0;
	say(CONTROL, CKPT_INIT_READY, 0, "");
	if (!root)
		root = wait_release();
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	dup2(null, 0);
	dup2(null, 1);
	dup2(null, 2);
	close(null);
	close(CGROUP);
	if (params->cgroupns)
		close(SPACE);
	reap(root);
}

void ckpt_init_middle(const struct ckpt_init_params *params, int control, int exec_fd,
		      int cgroup_fd)
{
	struct clone_args args = {
		.flags = CLONE_PARENT | (params->uts ? CLONE_NEWUTS : 0) |
			 (params->ipc ? CLONE_NEWIPC : 0) | (params->net ? CLONE_NEWNET : 0) |
			 (params->private_pidns ? CLONE_NEWPID | CLONE_NEWNS : 0),
	};
	mode_t mask = umask(0);
	pid_t pid;

	if (params->clocks && set_clocks(params))
		give_up(control, "cannot set the clocks of its time namespace");
	pid = syscall(SYS_clone3, &args, sizeof(args));
	if (!pid)
		init_main(params, control, exec_fd, cgroup_fd, mask);
	if (pid < 0)
		give_up(control, "cannot enter its namespaces");
	say(control, CKPT_INIT_BORN, pid, "");
	_exit(0);
}
