// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Processes and threads, each with an attribute that others have not
 *
 * Prints "ready" once all is set up, waits until there is a file "go" in its directory, lets each
 * of them look whether it has it still and does what it is for, and prints what is wrong, or "all
 * well".
 */
#include <fcntl.h>
#include <linux/membarrier.h>
#include <linux/securebits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ok.h"

#ifndef MEMBARRIER_CMD_GET_REGISTRATIONS
#define MEMBARRIER_CMD_GET_REGISTRATIONS (1 << 9)
#endif

#define BITS (SECBIT_NOROOT | SECBIT_KEEP_CAPS | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED)
#define BARRIERS (MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED | \
		  MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED)

static void set_bits(void) { OK(!prctl(PR_SET_SECUREBITS, BITS)); }
static void check_bits(void) { OK(prctl(PR_GET_SECUREBITS) == BITS); }

static void set_dumpable(void) { OK(!prctl(PR_SET_DUMPABLE, 0)); }
static void check_dumpable(void) { OK(prctl(PR_GET_DUMPABLE) == 0); }

static void set_personality(void) { OK(personality(ADDR_NO_RANDOMIZE | UNAME26) >= 0); }
static void check_personality(void)
{
	OK(personality(0xffffffff) == (ADDR_NO_RANDOMIZE | UNAME26));
}

static void set_oom(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY);

	OK(write(fd, "321", 3) == 3);
	close(fd);
}

static void check_oom(void)
{
	int fd = open("/proc/self/oom_score_adj", O_RDONLY);
	char text[8] = "";

	OK(read(fd, text, sizeof(text) - 1) == 4 && !strcmp(text, "321\n"));
	close(fd);
}

static void set_subreaper(void) { OK(!prctl(PR_SET_CHILD_SUBREAPER, 1)); }

/* Who loses its parent comes to it. */
static void check_subreaper(void)
{
	pid_t pid, self = getpid();
	int status = -1;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		pid_t parent = getpid();

		if (fork())
			_exit(0);
		while (getppid() == parent)
			usleep(1000);
		_exit(getppid() == self ? 7 : 8);
	}
	OK(waitpid(pid, NULL, 0) == pid);
	OK(wait(&status) > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

static int registrations(void)
{
	return syscall(SYS_membarrier, MEMBARRIER_CMD_GET_REGISTRATIONS, 0, 0);
}

static void set_barriers(void)
{
	OK(!syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0));
	OK(!syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0));
}

/* Before Linux 6.3 nobody can tell which: it has them all. */
static void check_barriers(void)
{
	OK(registrations() < 0 || registrations() == BARRIERS);
	OK(!syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0));
}

static void set_root(void)
{
	OK(!mkdir("root", 0755) && !mkdir("root/inner", 0700));
	OK(!chroot("root") && !chdir("/inner"));
}

static void check_root(void)
{
	struct stat root, up;
	char cwd[64];

	OK(getcwd(cwd, sizeof(cwd)) && !strcmp(cwd, "/inner"));
	OK(!access("/inner", F_OK) && access("/etc", F_OK));
	OK(!stat("/", &root) && !stat("/..", &up) && root.st_ino == up.st_ino);
}

/* Threads; each looks when the barrier falls for the second time. */
static pthread_barrier_t step;
static uint8_t stacks[2][65536];

static void meet(void)
{
	pthread_barrier_wait(&step);
	pthread_barrier_wait(&step);
}

static void *with_stack(void *arg)
{
	const stack_t stack = { .ss_sp = arg, .ss_size = sizeof(stacks[0]) };
	stack_t now;

	OK(!sigaltstack(&stack, NULL));
	meet();
	OK(!sigaltstack(NULL, &now) && now.ss_sp == arg && now.ss_size == stack.ss_size &&
	   !now.ss_flags);
	return NULL;
}

static void *with_niceness(void *arg)
{
	pid_t tid = syscall(SYS_gettid);

	OK(!setpriority(PRIO_PROCESS, tid, 7));
	meet();
	errno = 0;
	OK(getpriority(PRIO_PROCESS, tid) == 7 && !errno);
	return arg;
}

static void *with_cpu(void *arg)
{
	pid_t tid = syscall(SYS_gettid);
	cpu_set_t all, one;
	int last = 0;

	OK(!sched_getaffinity(0, sizeof(all), &all));
	for (int i = 0; i < CPU_SETSIZE; i++)
		last = CPU_ISSET(i, &all) ? i : last;
	CPU_ZERO(&one);
	CPU_SET(last, &one);
	OK(!sched_setaffinity(tid, sizeof(one), &one));
	meet();
	OK(!sched_getaffinity(tid, sizeof(all), &all) && CPU_EQUAL(&all, &one));
	return arg;
}

static const struct policy {
	int policy, priority, nice;
} policies[] = {
	{ SCHED_FIFO, 5, 0 },
	{ SCHED_RR, 3, 2 },
	{ SCHED_BATCH, 0, 4 },
	{ SCHED_IDLE, 0, 0 },
	{ SCHED_OTHER | SCHED_RESET_ON_FORK, 0, 0 },
	{ SCHED_FIFO | SCHED_RESET_ON_FORK, 9, 0 },
};

#define N_POLICIES (sizeof(policies) / sizeof(policies[0]))

static void *with_policy(void *arg)
{
	const struct policy *p = arg;
	const struct sched_param wanted = { .sched_priority = p->priority };
	pid_t tid = syscall(SYS_gettid);
	struct sched_param now;

	OK(!setpriority(PRIO_PROCESS, tid, p->nice));
	OK(!sched_setscheduler(tid, p->policy, &wanted));
	meet();
	OK(sched_getscheduler(tid) == p->policy);
	OK(!sched_getparam(tid, &now) && now.sched_priority == p->priority);
	errno = 0;
	OK(getpriority(PRIO_PROCESS, tid) == p->nice && !errno);
	return NULL;
}

/* The call alone, without the C library that makes it in all threads. */
static void *with_ids(void *arg)
{
	const gid_t groups[] = { 7, 9 };
	uid_t u[3];
	gid_t g[3];

	OK(!syscall(SYS_setgroups, 2, groups));
	OK(!syscall(SYS_setresgid, 101, 102, 103) && !syscall(SYS_setresuid, 1001, 1002, 1003));
	meet();
	OK(!getresuid(&u[0], &u[1], &u[2]) && u[0] == 1001 && u[1] == 1002 && u[2] == 1003);
	OK(!getresgid(&g[0], &g[1], &g[2]) && g[0] == 101 && g[1] == 102 && g[2] == 103);
	OK(getgroups(0, NULL) == 2 && syscall(SYS_setuid, 0) == -1);
	return arg;
}

static pthread_t threads[5 + N_POLICIES];
static size_t n_threads;

static void start(void *(*fn)(void *), void *arg)
{
	MUST(-pthread_create(&threads[n_threads++], NULL, fn, arg));
}

static void set_threads(void)
{
	pthread_barrier_init(&step, NULL, sizeof(threads) / sizeof(threads[0]) + 1);
	start(with_stack, stacks[0]);
	start(with_stack, stacks[1]);
	start(with_niceness, NULL);
	start(with_cpu, NULL);
	start(with_ids, NULL);
	for (size_t i = 0; i < N_POLICIES; i++)
		start(with_policy, (void *)&policies[i]);
	pthread_barrier_wait(&step);
}

static void check_threads(void)
{
	stack_t now;

	pthread_barrier_wait(&step);
	for (size_t i = 0; i < n_threads; i++)
		pthread_join(threads[i], NULL);
	OK(!sigaltstack(NULL, &now) && now.ss_flags == SS_DISABLE);
	OK(sched_getscheduler(0) == SCHED_OTHER && getuid() == 0);
}

static const struct {
	void (*set)(void);
	void (*check)(void);
	int exit_signal;
} children[] = {
	{ set_bits, check_bits, SIGCHLD },
	{ set_dumpable, check_dumpable, SIGCHLD },
	{ set_personality, check_personality, SIGCHLD },
	{ set_oom, check_oom, SIGCHLD },
	{ set_subreaper, check_subreaper, SIGCHLD },
	{ set_barriers, check_barriers, SIGCHLD },
	{ set_root, check_root, SIGCHLD },
	{ set_threads, check_threads, SIGUSR1 },
};

#define N_CHILDREN (sizeof(children) / sizeof(children[0]))

static volatile sig_atomic_t usr1s;

static void count(int sig)
{
	(void)sig;
	usr1s++;
}

static pid_t beget(size_t i, int go[2], int set[2])
{
	pid_t pid;
	char byte;

	fflush(stdout);
	pid = syscall(SYS_clone, children[i].exit_signal, 0, 0, 0, 0);
	if (pid)
		return MUST(pid);
	close(go[1]);
	children[i].set();
	if (write(set[1], "", 1) != 1)
		_exit(1);
	close(set[0]);
	close(set[1]);
	OK(read(go[0], &byte, 1) == 0);
	children[i].check();
	fflush(stdout);
	_exit(wrong != 0);
}

int main(void)
{
	pid_t pids[N_CHILDREN];
	int go[2], set[2], status;
	char byte;

	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGUSR1, count);
	MUST(pipe(go));
	MUST(pipe(set));
	for (size_t i = 0; i < N_CHILDREN; i++) {
		pids[i] = beget(i, go, set);
		OK(read(set[0], &byte, 1) == 1);
	}
	close(set[0]);
	close(set[1]);
	close(go[0]);
	puts("all is set up");
	puts("ready");
	while (access("go", F_OK))
		usleep(20000);
	close(go[1]);
	for (size_t i = 0; i < N_CHILDREN; i++)
		OK(waitpid(pids[i], &status, __WALL) == pids[i] && !status);
	OK(usr1s == 1);
	puts(wrong ? "not well" : "all well");
	return wrong != 0;
}
