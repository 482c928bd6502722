// SPDX-License-Identifier: GPL-2.0-or-later
/* Apart from the caller. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/apart.h"
#include "base/cgroup.h"
#include "base/procstat.h"

#define MANY 64

/* It may get a descriptor of every process of a group, or several. */
static void raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

void ckpt_apart_descriptors(int *const *kept, size_t n)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int high[8];

	raise_limit();
	if (null < 0 || n > sizeof(high) / sizeof(high[0]))
		_exit(1);
	/* out of the way of the numbers they are to have */
	for (size_t i = 0; i < n; i++) {
		high[i] = fcntl(*kept[i], F_DUPFD_CLOEXEC, MANY);
		if (high[i] < 0)
			_exit(1);
	}
	for (int fd = 0; fd < 3; fd++)
		dup2(null, fd);
	for (size_t i = 0; i < n; i++)
		*kept[i] = dup2(high[i], 3 + i);
	if (syscall(SYS_close_range, (unsigned int)(3 + n), ~0u, 0)) {
		for (int fd = 3 + n; fd < 4096; fd++)
			close(fd);
	}
}

/* Another name in ps, and nothing left that a pkill of the tool would match. */
static void rename_self(const char *name)
{
	uint64_t arg[2];
	size_t len;

	prctl(PR_SET_NAME, name);
	if (ckpt_procstat(0, CKPT_STAT_ARG_START, arg, 2))
		return;
	len = arg[1] - arg[0];
	if (len <= strlen(name))
		return;
	memset((void *)(uintptr_t)arg[0], 0, len);
	memcpy((void *)(uintptr_t)arg[0], name, strlen(name));
}

/*
 * The end of the caller's cgroup (a service that is stopped, cgroup.kill) must
 * not be ours; nor a freeze or a limit of it.  The root takes everybody; where
 * what is mounted is not the root but the cgroup of a container that has
 * controllers on, there is a cgroup for keepers.
 */
static void leave_cgroup(void)
{
	struct ckpt_err ignored = CKPT_ERR_INIT;

	if (ckpt_cgroup_enter("/", 0, &ignored) && !ckpt_cgroup_make(CKPT_KEEPER_CGROUP, &ignored))
		ckpt_cgroup_enter(CKPT_KEEPER_CGROUP, 0, &ignored);
}

/* Where it cannot be said, it is not so. */
static void say(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, text, strlen(text)) < 0)
		errno = 0;
	close(fd);
}

/*
 * A group stands still while it works: it waits for nobody.  Between sessions the kernel shares
 * by their groups (CONFIG_SCHED_AUTOGROUP), and nice counts within one; this one is its own.
 */
static void come_first(void)
{
	prctl(PR_SET_TIMERSLACK, 1);
	setpriority(PRIO_PROCESS, 0, -20);
	say("/proc/self/autogroup", "-20");
}

void ckpt_apart(const char *name)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	setsid();
	leave_cgroup();
	rename_self(name);
	come_first();
	say("/proc/self/oom_score_adj", "-1000");
	if (chdir("/"))
		errno = 0;
}
