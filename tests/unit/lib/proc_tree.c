// SPDX-License-Identifier: GPL-2.0-or-later
/* Self-checking tree. */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/proc_tree.h"

#define MS 1000000l

static struct proc_tree_report *report;

#define wrong(...) \
	do { \
		if (!report->wrong[0]) \
			snprintf(report->wrong, sizeof(report->wrong), __VA_ARGS__); \
	} while (0)

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

/*
 * A million steps with every general register but three, sixteen vector
 * registers and a flag holding known values.  Return: 0 when all are intact.
 */
static uint64_t spin_once(uint64_t seed)
{
	uint64_t bad;

	__asm__ volatile(
		"movq %[seed], %%r8\n\tleaq 1(%%r8), %%r9\n\tleaq 2(%%r8), %%r10\n\t"
		"leaq 3(%%r8), %%r11\n\tleaq 4(%%r8), %%r12\n\tleaq 5(%%r8), %%r13\n\t"
		"leaq 6(%%r8), %%r14\n\tleaq 7(%%r8), %%r15\n\t"
		"leaq 8(%%r8), %%rsi\n\tleaq 9(%%r8), %%rdi\n\t"
		"movq %%r8, %%xmm0\n\tmovq %%r9, %%xmm1\n\tmovq %%r10, %%xmm7\n\t"
		"movq %%r15, %%xmm15\n\tpunpcklqdq %%xmm1, %%xmm0\n\t"
		"movl $1000000, %%ecx\n\tstc\n\t"
		"1:\tdecl %%ecx\n\tjnz 1b\n\t"	/* dec leaves the carry alone */
		"movl $0, %k[bad]\n\tadcq $-1, %[bad]\n\t"
		"movq %%xmm0, %%rcx\n\tsubq %%r8, %%rcx\n\torq %%rcx, %[bad]\n\t"
		"psrldq $8, %%xmm0\n\tmovq %%xmm0, %%rcx\n\t"
		"subq %%r9, %%rcx\n\torq %%rcx, %[bad]\n\t"
		"movq %%xmm7, %%rcx\n\tsubq %%r10, %%rcx\n\torq %%rcx, %[bad]\n\t"
		"movq %%xmm15, %%rcx\n\tsubq %%r15, %%rcx\n\torq %%rcx, %[bad]\n\t"
		"subq $1, %%r9\n\tsubq %%r8, %%r9\n\torq %%r9, %[bad]\n\t"
		"subq $2, %%r10\n\tsubq %%r8, %%r10\n\torq %%r10, %[bad]\n\t"
		"subq $3, %%r11\n\tsubq %%r8, %%r11\n\torq %%r11, %[bad]\n\t"
		"subq $4, %%r12\n\tsubq %%r8, %%r12\n\torq %%r12, %[bad]\n\t"
		"subq $5, %%r13\n\tsubq %%r8, %%r13\n\torq %%r13, %[bad]\n\t"
		"subq $6, %%r14\n\tsubq %%r8, %%r14\n\torq %%r14, %[bad]\n\t"
		"subq $7, %%r15\n\tsubq %%r8, %%r15\n\torq %%r15, %[bad]\n\t"
		"subq $8, %%rsi\n\tsubq %%r8, %%rsi\n\torq %%rsi, %[bad]\n\t"
		"subq $9, %%rdi\n\tsubq %%r8, %%rdi\n\torq %%rdi, %[bad]\n\t"
		"subq %[seed], %%r8\n\torq %%r8, %[bad]\n\t"
		: [bad] "=&b"(bad)
		: [seed] "a"(seed)
		: "rcx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
		  "xmm0", "xmm1", "xmm7", "xmm15", "cc");
	return bad;
}

static void *spin(void *arg)
{
	(void)arg;
	for (uint64_t seed = 0x123456789abcdef;; seed = seed * 6364136223846793005ull + 1) {
		if (spin_once(seed))
			wrong("a register changed");
		report->rounds[TREE_SPIN]++;
		usleep(500);
	}
	return NULL;
}

/* A call that shall end by its timeout of @ms and by nothing else. */
static void timed(int member, const char *name, int ms, int64_t start, int ok)
{
	int64_t past = now() - start;

	if (!ok && errno == EINTR && (member == TREE_SIGTIMEDWAIT || member == TREE_SEMTIMEDOP))
		report->eintr++;
	else if (!ok)
		wrong("%s ended with errno %d", name, errno);
	else if (past < ms * MS)
		wrong("%s took %lld us of %d ms", name, (long long)past / 1000, ms);
	report->rounds[member]++;
}

static void *sleep_nano(void *arg)
{
	(void)arg;
	for (;;) {
		struct timespec t = { .tv_nsec = 20 * MS };
		int64_t start = now();

		timed(TREE_NANOSLEEP, "nanosleep", 20, start, !nanosleep(&t, NULL));
	}
	return NULL;
}

static void *sleep_poll(void *arg)
{
	(void)arg;
	for (;;) {
		int64_t start = now();

		timed(TREE_POLL, "poll", 20, start, poll(NULL, 0, 20) == 0);
	}
	return NULL;
}

static void *sleep_futex(void *arg)
{
	static uint32_t word;

	(void)arg;
	for (;;) {
		struct timespec t = { .tv_nsec = 15 * MS };
		int64_t start = now();
		long r = syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &t, NULL, 0);

		timed(TREE_FUTEX, "futex", 15, start, r < 0 && errno == ETIMEDOUT);
	}
	return NULL;
}

static void *sleep_sigtimedwait(void *arg)
{
	(void)arg;
	for (;;) {
		struct timespec t = { .tv_nsec = 15 * MS };
		int64_t start = now();
		sigset_t set;

		sigemptyset(&set);
		sigaddset(&set, SIGUSR2);
		timed(TREE_SIGTIMEDWAIT, "sigtimedwait", 15, start,
		      sigtimedwait(&set, NULL, &t) < 0 && errno == EAGAIN);
	}
	return NULL;
}

static void *sleep_sem(void *arg)
{
	int id = report->sem;

	(void)arg;
	for (;;) {
		struct timespec t = { .tv_nsec = 15 * MS };
		struct sembuf op = { .sem_op = -1 };
		int64_t start = now();

		timed(TREE_SEMTIMEDOP, "semtimedop", 15, start,
		      semtimedop(id, &op, 1, &t) < 0 && errno == EAGAIN);
	}
	return NULL;
}

static volatile int alarms;

static void on_alarm(int sig)
{
	(void)sig;
	alarms++;
}

/* One shot after the other: a lost one would leave us asleep for ever. */
static void *suspend(void *arg)
{
	sigset_t none, some;

	(void)arg;
	sigfillset(&none);
	sigdelset(&none, SIGALRM);
	sigemptyset(&some);
	sigaddset(&some, SIGALRM);
	for (;;) {
		struct itimerval once = { .it_value.tv_usec = 3000 };
		int before = alarms;

		setitimer(ITIMER_REAL, &once, NULL);
		while (alarms == before)
			sigsuspend(&none);
		if (alarms != before + 1)
			wrong("a timer went off %d times", alarms - before);
		report->rounds[TREE_SIGSUSPEND]++;
	}
	return NULL;
}

static int ends[2];

static void *reader(void *arg)
{
	uint8_t expect = 0;

	(void)arg;
	for (;; expect++) {
		uint8_t got;
		ssize_t n = read(ends[0], &got, 1);

		if (n != 1)
			wrong("read gave %zd, errno %d", n, errno);
		else if (got != expect)
			wrong("the pipe gave %u instead of %u", got, expect);
		report->rounds[TREE_READ]++;
	}
	return NULL;
}

static void *writer(void *arg)
{
	uint8_t next = 0;

	(void)arg;
	for (;; next++) {
		if (write(ends[1], &next, 1) != 1)
			wrong("write failed, errno %d", errno);
		report->rounds[TREE_WRITE]++;
		if (!(next & 3))
			usleep(4000);
	}
	return NULL;
}

static void child(void)
{
	for (;;) {
		if (spin_once(report->rounds[TREE_CHILD]))
			wrong("a register of the child changed");
		report->rounds[TREE_CHILD]++;
		usleep(2000);
	}
}

static void spawner(void)
{
	for (;;) {
		char *argv[] = { "true", NULL };
		char *envp[] = { NULL };
		int status;
		pid_t pid;

		if (posix_spawn(&pid, "/bin/true", NULL, NULL, argv, envp))
			wrong("posix_spawn failed, errno %d", errno);
		else if (waitpid(pid, &status, 0) != pid || status)
			wrong("waitpid of a spawned child: status %x, errno %d", status, errno);
		report->rounds[TREE_SPAWN]++;
		usleep(1000);
	}
}

static void start_children(bool spawn)
{
	pid_t pid = fork();

	if (!pid)
		_exit(7);
	report->zombie = pid;
	pid = fork();
	if (!pid) {
		raise(SIGSTOP);
		for (;;)
			pause();
	}
	report->stopped = pid;
	if (!fork())
		child();
	if (spawn && !fork())
		spawner();
}

static void tree(const char *path, bool spawn)
{
	static void *(*const members[])(void *) = {
		spin, sleep_nano, sleep_poll, sleep_futex, sleep_sigtimedwait, sleep_sem, suspend,
		reader, writer,
	};
	int fd = open(path, O_RDWR | O_CLOEXEC);
	sigset_t set;
	pthread_t t;

	report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (report == MAP_FAILED || pipe(ends))
		_exit(1);
	start_children(spawn);
	signal(SIGALRM, on_alarm);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGALRM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		if (pthread_create(&t, NULL, members[i], NULL))
			wrong("no thread");
	}
	for (;;)
		pause();
}

void proc_tree_maybe_main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "tree"))
		tree(argv[2], argv[3][0] == '1');
}

pid_t proc_tree_start(const char *path, const char *cgroup, bool spawn,
		      struct proc_tree_report **ret)
{
	char procs[300];
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	pid_t pid;

	if (fd < 0 || ftruncate(fd, 4096))
		return -1;
	/* made and removed by the test: it outlives no killed tree */
	*ret = mmap(NULL, sizeof(**ret), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (*ret == MAP_FAILED)
		return -1;
	(*ret)->sem = semget(IPC_PRIVATE, 1, 0600);
	pid = fork();
	if (pid)
		return pid;
	setsid();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(procs, sizeof(procs), "%s/cgroup.procs", cgroup);
	fd = open(procs, O_WRONLY);
	if (fd < 0 || write(fd, "0", 1) != 1)
		_exit(1);
	fd = open("/dev/null", O_RDWR);
	for (int i = 0; i < 3; i++)
		dup2(fd, i);
	syscall(SYS_close_range, 3, ~0u, 0);
	execl("/proc/self/exe", "proc-tree", "tree", path, spawn ? "1" : "0", NULL);
	_exit(1);
}

int proc_tree_go_on(const struct proc_tree_report *r, bool spawn, uint64_t rounds)
{
	uint64_t goal[TREE_MEMBERS];

	for (int i = 0; i < TREE_MEMBERS; i++)
		goal[i] = r->rounds[i] + rounds;
	for (int64_t until = now() + 20000 * MS; now() < until;) {
		bool all = true;

		for (int i = 0; i < TREE_MEMBERS; i++)
			all &= r->rounds[i] >= goal[i] || (i == TREE_SPAWN && !spawn);
		if (all)
			return 0;
		usleep(2000);
	}
	return -1;
}
