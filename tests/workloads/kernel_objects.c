// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A program that owns one of every kernel object and checks that it still does
 *
 * Prints "ready" once all is set up, then waits for SIGTERM, checks and prints
 * what is wrong, or "all well".  Exit status: 0 when all is well.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ok.h"

#define PAGE 4096

/* ids and relatives */
static pid_t pid, ppid, pgid, sid, worker, ended, killed, left_group, orphan, other_user;
static int to_worker[2], from_worker[2];

static void work(void)
{
	char byte;

	setpgid(0, 0);
	prctl(PR_SET_NAME, "the-worker");
	signal(SIGTERM, SIG_IGN);
	if (read(to_worker[0], &byte, 1) != 1 || write(from_worker[1], &byte, 1) != 1)
		_exit(9);
	_exit(4);
}

static pid_t child(void (*fn)(void))
{
	pid_t p;

	fflush(stdout);
	p = fork();
	if (!p) {
		fn();
		_exit(0);
	}
	return p;
}

static void wait_for_ever(void)
{
	for (;;)
		pause();
}

static void exit_seven(void)
{
	_exit(7);
}

/* The leader of the group is dead and reaped, one member is left. */
static void leave_group(void)
{
	pid_t leader = getpid(), member;

	setpgid(0, 0);
	member = fork();
	if (!member)
		wait_for_ever();
	if (write(from_worker[1], &member, sizeof(member)) != sizeof(member))
		_exit(1);
	_exit(leader != getpgrp());
}

/* Two forks: the second survives the first and belongs to init. */
static void orphan_it(void)
{
	pid_t p = fork();

	if (p) {
		if (write(from_worker[1], &p, sizeof(p)) != sizeof(p))
			_exit(1);
		_exit(0);
	}
	wait_for_ever();
}

static void be_other(void)
{
	const gid_t groups[] = { 7, 8, 9 };

	if (setgroups(3, groups) || setresgid(101, 102, 103) || setresuid(1001, 1002, 1003) ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		_exit(1);
	wait_for_ever();
}

static pid_t hear_pid(void)
{
	pid_t p = 0;

	OK(read(from_worker[0], &p, sizeof(p)) == sizeof(p));
	return p;
}

static void make_relatives(void)
{
	siginfo_t info;
	pid_t first;

	pid = getpid();
	ppid = getppid();
	pgid = getpgrp();
	sid = getsid(0);
	OK(!pipe(to_worker) && !pipe2(from_worker, O_CLOEXEC));
	worker = child(work);
	first = child(leave_group);
	left_group = hear_pid();
	OK(waitpid(first, NULL, 0) == first);
	first = child(orphan_it);
	orphan = hear_pid();
	OK(waitpid(first, NULL, 0) == first);
	other_user = child(be_other);
	ended = child(exit_seven);
	killed = child(wait_for_ever);
	kill(killed, SIGKILL);
	OK(!waitid(P_PID, ended, &info, WEXITED | WNOWAIT));
	OK(!waitid(P_PID, killed, &info, WEXITED | WNOWAIT));
}

static bool status_has(pid_t p, const char *line)
{
	char path[64], text[4096];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/status", p);
	fd = open(path, O_RDONLY);
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n < 0 ? 0 : n] = 0;
	return strstr(text, line) != NULL;
}

static void check_relatives(void)
{
	char byte = 'w';
	int status = 0;

	OK(getpid() == pid && getpgrp() == pgid && getsid(0) == sid);
	OK(ppid != 1 || getppid() == 1);	/* else a parent outside of the tree */
	OK(syscall(SYS_gettid) == pid);
	OK(getpgid(worker) == worker && getsid(worker) == sid);
	OK(getpgid(left_group) != left_group && getpgid(left_group) > 0);
	OK(kill(left_group, SIGKILL) == 0);
	OK(getsid(orphan) == sid && !kill(orphan, SIGKILL));
	OK(write(to_worker[1], &byte, 1) == 1);
	byte = 0;
	OK(read(from_worker[0], &byte, 1) == 1 && byte == 'w');
	OK(waitpid(worker, &status, 0) == worker && WEXITSTATUS(status) == 4);
	OK(waitpid(ended, &status, 0) == ended && WIFEXITED(status) && WEXITSTATUS(status) == 7);
	OK(waitpid(killed, &status, 0) == killed && WIFSIGNALED(status) &&
	   WTERMSIG(status) == SIGKILL);
	OK(status_has(other_user, "Uid:\t1001\t1002\t1003\t1002\n"));
	OK(status_has(other_user, "Gid:\t101\t102\t103\t102\n"));
	OK(status_has(other_user, "Groups:\t7 8 9"));
	OK(status_has(other_user, "NoNewPrivs:\t1"));
	OK(status_has(other_user, "CapEff:\t0000000000000000"));
	kill(other_user, SIGKILL);
	OK(waitpid(other_user, &status, 0) == other_user);
}

/* descriptors */
static int full[2], lines, again, nulls, gone, gone_twin, appended;

static void make_files(void)
{
	char text[5000];

	memset(text, 'p', sizeof(text));
	OK(!pipe2(full, O_NONBLOCK));
	OK(fcntl(full[1], F_SETPIPE_SZ, 16384) == 16384);
	OK(write(full[1], text, sizeof(text)) == sizeof(text));
	lines = open("lines", O_RDWR | O_CREAT | O_TRUNC, 0640);
	OK(write(lines, "one\ntwo\nthree\n", 14) == 14 && lseek(lines, 4, SEEK_SET) == 4);
	again = fcntl(lines, F_DUPFD_CLOEXEC, 40);
	appended = open("lines", O_WRONLY | O_APPEND);
	nulls = open("/dev/null", O_RDWR);
	gone = open("gone", O_RDWR | O_CREAT | O_EXCL, 0604);
	OK(write(gone, "still here", 10) == 10 && !ftruncate(gone, 10000));
	gone_twin = open("gone", O_RDONLY);
	OK(!unlink("gone"));
	umask(027);
}

static void check_files(void)
{
	char text[6000], link[64];
	struct stat st;

	OK(read(full[0], text, sizeof(text)) == 5000 && text[0] == 'p' && text[4999] == 'p');
	OK(read(full[0], text, 1) == -1 && errno == EAGAIN);
	OK(fcntl(full[1], F_GETPIPE_SZ) == 16384);
	OK(read(lines, text, 4) == 4 && !memcmp(text, "two\n", 4));
	OK(read(again, text, 6) == 6 && !memcmp(text, "three\n", 6));
	OK(lseek(lines, 0, SEEK_CUR) == 14);
	OK(fcntl(again, F_GETFD) == FD_CLOEXEC && !fcntl(lines, F_GETFD));
	OK(write(appended, "four\n", 5) == 5 && read(lines, text, 10) == 5);
	OK(fcntl(appended, F_GETFL) & O_APPEND);
	OK(read(nulls, text, 1) == 0 && write(nulls, text, 1) == 1);
	OK(lseek(gone, 0, SEEK_CUR) == 10 && lseek(gone_twin, 0, SEEK_CUR) == 0);
	OK(read(gone_twin, text, 10) == 10 && !memcmp(text, "still here", 10));
	OK(pwrite(gone, "x", 1, 0) == 1 && pread(gone_twin, text, 1, 0) == 1 && text[0] == 'x');
	OK(!fstat(gone, &st) && st.st_size == 10000 && !st.st_nlink && (st.st_mode & 0777) == 0604);
	memset(text, 0, sizeof(text));
	snprintf(link, sizeof(link), "/proc/self/fd/%d", gone);
	OK(readlink(link, text, sizeof(text)) > 0 && strstr(text, "/gone (deleted)"));
	OK(access("gone", F_OK) && umask(0) == 027);
	OK(getcwd(text, sizeof(text)) && strstr(text, "restore-test"));
}

/* memory */
static uint8_t *hidden, *constant, *named, *mapped, *shared, *wiped, *reserve;
static void *heap_end;
static __thread uint64_t own_value;

static void make_memory(void)
{
	const int anon = MAP_PRIVATE | MAP_ANONYMOUS, rw = PROT_READ | PROT_WRITE;
	int fd = open("pages", O_RDWR | O_CREAT | O_TRUNC, 0600);
	char page[PAGE];
	int i;

	memset(page, 'f', sizeof(page));
	for (i = 0; i < 4; i++)
		OK(write(fd, page, sizeof(page)) == sizeof(page));
	hidden = mmap(NULL, PAGE, rw, anon, -1, 0);
	strcpy((char *)hidden, "hidden");
	mprotect(hidden, PAGE, PROT_NONE);
	constant = mmap(NULL, 3 * PAGE, rw, anon, -1, 0);
	strcpy((char *)constant + PAGE, "constant");
	mprotect(constant, 3 * PAGE, PROT_READ);
	named = mmap(NULL, 4 << 20, rw, anon, -1, 0);
	memset(named, 0x11, 4 << 20);
	madvise(named, 2 << 20, MADV_DONTFORK);
	mapped = mmap(NULL, 4 * PAGE, rw, MAP_PRIVATE, fd, 0);
	mapped[PAGE] = 'm';
	memset(mapped + 2 * PAGE, 0, PAGE);	/* zeros over the file's bytes */
	shared = mmap(NULL, 4 * PAGE, rw, MAP_SHARED, fd, 0);
	shared[3 * PAGE] = 's';
	close(fd);
	wiped = mmap(NULL, PAGE, rw, anon, -1, 0);
	madvise(wiped, PAGE, MADV_WIPEONFORK);
	wiped[0] = 1;
	reserve = mmap(NULL, 1ul << 32, PROT_NONE, anon | MAP_NORESERVE, -1, 0);
	own_value = 0xabcdef;
}

static void check_memory(void)
{
	size_t i;

	OK(!mprotect(hidden, PAGE, PROT_READ) && !strcmp((char *)hidden, "hidden"));
	OK(!strcmp((char *)constant + PAGE, "constant") && !constant[0]);
	for (i = 0; i < 4 << 20; i++) {
		if (named[i] != 0x11)
			break;
	}
	OK(i == 4 << 20);
	OK(mapped[0] == 'f' && mapped[PAGE] == 'm' && mapped[2 * PAGE] == 0);
	OK(shared[0] == 'f' && shared[3 * PAGE] == 's' && mapped[3 * PAGE] == 's');
	OK(wiped[0] == 0);	/* random state is not used twice */
	OK(!mprotect(reserve + (1 << 30), PAGE, PROT_READ | PROT_WRITE) && !reserve[1 << 30]);
	OK(heap_end && sbrk(0) == heap_end && sbrk(PAGE * 64) == heap_end);
	OK(own_value == 0xabcdef);
}

/* signals, timers, limits, scheduling */
static volatile sig_atomic_t user_signals;
static uint8_t alternate[65536];
static struct timespec clock_before;

static void count(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	user_signals += info->si_value.sival_int;
}

static void make_signals(void)
{
	const struct sigaction act = { .sa_sigaction = count, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	const stack_t stack = { .ss_sp = alternate, .ss_size = sizeof(alternate) };
	const struct itimerval timer = { { 0, 0 }, { 500, 0 } };
	const struct rlimit files = { 500, 600 };
	cpu_set_t cpus;
	sigset_t set;

	OK(!sigaltstack(&stack, NULL) && !sigaction(SIGUSR2, &act, NULL));
	signal(SIGHUP, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigaddset(&set, SIGTERM);
	OK(!pthread_sigmask(SIG_BLOCK, &set, NULL));
	OK(!sigqueue(getpid(), SIGRTMIN, (union sigval){ .sival_int = 42 }));
	OK(!sigqueue(getpid(), SIGRTMIN, (union sigval){ .sival_int = 43 }));
	OK(!setitimer(ITIMER_REAL, &timer, NULL));
	OK(!setrlimit(RLIMIT_NOFILE, &files));
	CPU_ZERO(&cpus);
	CPU_SET(0, &cpus);
	OK(!sched_setaffinity(0, sizeof(cpus), &cpus));
	OK(!setpriority(PRIO_PROCESS, 0, 3) && !prctl(PR_SET_TIMERSLACK, 70000));
	prctl(PR_SET_CHILD_SUBREAPER, 0);
	prctl(PR_SET_PDEATHSIG, SIGUSR1);
	clock_gettime(CLOCK_MONOTONIC, &clock_before);
}

static void check_clock(void)
{
	struct timespec vdso, kernel;
	unsigned int cpu;

	clock_gettime(CLOCK_MONOTONIC, &vdso);
	syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &kernel);
	OK(kernel.tv_sec - vdso.tv_sec <= 1 && vdso.tv_sec <= kernel.tv_sec);
	OK(vdso.tv_sec >= clock_before.tv_sec && vdso.tv_sec - clock_before.tv_sec < 30);
	OK(!syscall(SYS_getcpu, &cpu, NULL, NULL) && (int)cpu == sched_getcpu());
}

static void check_signals(void)
{
	const struct timespec none = { 0, 0 };
	struct itimerval timer;
	struct sigaction act;
	struct rlimit files;
	cpu_set_t cpus;
	siginfo_t info;
	stack_t stack;
	sigset_t set;
	int i, sig = 0;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	for (i = 42; i <= 43; i++) {
		OK(sigtimedwait(&set, &info, &none) == SIGRTMIN);
		OK(info.si_code == SI_QUEUE && info.si_value.sival_int == i && info.si_pid == pid);
	}
	OK(sigtimedwait(&set, &info, &none) == -1 && errno == EAGAIN);
	OK(!sigqueue(pid, SIGUSR2, (union sigval){ .sival_int = 5 }) && user_signals == 5);
	OK(!sigaltstack(NULL, &stack) && stack.ss_sp == alternate && !stack.ss_flags);
	OK(!sigaction(SIGHUP, NULL, &act) && act.sa_handler == SIG_IGN);
	OK(!getitimer(ITIMER_REAL, &timer) && timer.it_value.tv_sec > 450 &&
	   timer.it_value.tv_sec < 500);
	OK(!getrlimit(RLIMIT_NOFILE, &files) && files.rlim_cur == 500 && files.rlim_max == 600);
	OK(!sched_getaffinity(0, sizeof(cpus), &cpus) && CPU_COUNT(&cpus) == 1);
	OK(getpriority(PRIO_PROCESS, 0) == 3 && prctl(PR_GET_TIMERSLACK) == 70000);
	OK(!prctl(PR_GET_PDEATHSIG, &sig) && sig == SIGUSR1);
	check_clock();
}

/* threads */
static pthread_t spinner, waiter, holder;
static volatile bool stop_spinning;
static volatile uint64_t spins;
static pthread_mutex_t robust, plain;
static pthread_cond_t condition;
static bool signalled;
static pthread_barrier_t started;

/* Vector registers and the direction of rounding stay what they were. */
static void *spin(void *wrong_at)
{
	double a[4] = { 1.5, -2.25, 3.125, 1e300 }, b[4];
	uint32_t control = 0x7f80, back;	/* round towards zero */

	pthread_barrier_wait(&started);
	__asm__ volatile("ldmxcsr %0" : : "m"(control));
	while (!stop_spinning) {
		__asm__ volatile("movupd %1, %%xmm9\n\tmovupd %2, %%xmm10\n\t"
				 "mov $200000, %%ecx\n1:\tdec %%ecx\n\tjnz 1b\n\t"
				 "movupd %%xmm9, %0\n\tmovupd %%xmm10, %3\n\t"
				 : "=m"(*(double (*)[2])&b[0]), "+m"(*(double (*)[2])&a[0]),
				   "+m"(*(double (*)[2])&a[2]), "=m"(*(double (*)[2])&b[2])
				 : : "xmm9", "xmm10", "rcx", "cc");
		__asm__ volatile("stmxcsr %0" : "=m"(back));
		for (int i = 0; i < 4; i++)
			*(int *)wrong_at |= a[i] != b[i];
		if ((back & 0x6000) != 0x6000)
			*(int *)wrong_at = 1;
		spins++;
	}
	return NULL;
}

static void *wait_signal(void *arg)
{
	char name[16];

	pthread_setname_np(pthread_self(), "the-waiter");
	own_value = 77;
	pthread_mutex_lock(&plain);
	pthread_barrier_wait(&started);
	while (!signalled)
		pthread_cond_wait(&condition, &plain);
	pthread_mutex_unlock(&plain);
	pthread_getname_np(pthread_self(), name, sizeof(name));
	return strcmp(name, "the-waiter") || own_value != 77 ? arg : NULL;
}

/* Dies with the mutex held once the pipe ends. */
static void *hold(void *arg)
{
	const int *end = arg;
	char byte;

	pthread_mutex_lock(&robust);
	pthread_barrier_wait(&started);
	OK(read(*end, &byte, 1) == 0);
	return NULL;
}

static int fp_wrong, hold_end[2];

static void make_threads(void)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&robust, &attr);
	pthread_mutex_init(&plain, NULL);
	pthread_cond_init(&condition, NULL);
	pthread_barrier_init(&started, NULL, 4);
	OK(!pipe2(hold_end, O_CLOEXEC));
	OK(!pthread_create(&spinner, NULL, spin, &fp_wrong));
	OK(!pthread_create(&waiter, NULL, wait_signal, &wrong));
	OK(!pthread_create(&holder, NULL, hold, &hold_end[0]));
	pthread_barrier_wait(&started);
}

static void check_threads(void)
{
	uint64_t before = spins;
	void *bad = NULL;
	int i;

	for (i = 0; i < 1000 && spins < before + 10; i++)
		usleep(10000);
	OK(spins >= before + 10);
	stop_spinning = true;
	OK(!pthread_join(spinner, NULL) && !fp_wrong);
	pthread_mutex_lock(&plain);
	signalled = true;
	pthread_cond_signal(&condition);
	pthread_mutex_unlock(&plain);
	OK(!pthread_join(waiter, &bad) && !bad);
	OK(pthread_mutex_trylock(&robust) == EBUSY);
	close(hold_end[1]);
	OK(!pthread_join(holder, NULL) && pthread_mutex_lock(&robust) == EOWNERDEAD);
}

int main(void)
{
	sigset_t set;
	int sig;

	setvbuf(stdout, NULL, _IOLBF, 0);
	make_relatives();
	make_files();
	make_memory();
	make_signals();
	make_threads();
	printf(wrong ? "not set up\n" : "ready\n");
	heap_end = sbrk(0);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigwait(&set, &sig);
	check_threads();
	check_signals();
	check_memory();
	check_files();
	check_relatives();
	printf("%s\n", wrong ? "damaged" : "all well");
	return wrong != 0;
}
