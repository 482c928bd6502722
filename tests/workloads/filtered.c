// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A program whose system calls are filtered: some for all threads, some for one
 *
 * Prints "ready" once all is set up, waits until there is a file "go" in its directory, checks
 * that everything is as it was, and prints what is wrong, or "all well".
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ok.h"

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RET(value) BPF_STMT(BPF_RET | BPF_K, value)
#define ALL_BUT_LAST 3

/* The call @nr fails with @error, when its first argument is @arg (-1: any). */
static void forbid(int nr, int64_t arg, int error, unsigned int flags)
{
	struct sock_filter insns[] = {
		LOAD(arch),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 5),
		LOAD(nr),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 3),
		LOAD(args[0]),
		BPF_JUMP(BPF_JMP | (arg < 0 ? BPF_JGE : BPF_JEQ) | BPF_K, arg < 0 ? 0 : arg, 0, 1),
		RET(SECCOMP_RET_ERRNO | error),
		RET(SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { sizeof(insns) / sizeof(insns[0]), insns };

	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog)) {
		printf("no filter (errno %d)\n", errno);
		exit(1);
	}
}

static bool fails(int nr, int64_t arg, int error)
{
	errno = 0;
	return syscall(nr, arg, 0, 0, 0, 0, 0) == -1 && errno == error;
}

static int status_number(const char *key)
{
	char line[128];
	FILE *f = fopen("/proc/thread-self/status", "re");
	size_t len = strlen(key);
	int value = -1;

	while (f && fgets(line, sizeof(line), f)) {
		if (!strncmp(line, key, len) && line[len] == ':')
			value = atoi(line + len + 1);
	}
	if (f)
		fclose(f);
	return value;
}

static pthread_barrier_t made, asked, answered;
static bool thread_well;

/* It has a filter more than the others. */
static void *narrow(void *arg)
{
	forbid(SYS_getppid, -1, 33, 0);
	pthread_barrier_wait(&made);
	pthread_barrier_wait(&asked);
	thread_well = fails(SYS_getppid, 0, 33) && fails(SYS_swapoff, 0, 42) &&
		      status_number("Seccomp_filters") == 4;
	pthread_barrier_wait(&answered);
	return arg;
}

static void *follow(void *arg)
{
	pthread_barrier_wait(&made);
	pthread_barrier_wait(&asked);
	thread_well = fails(SYS_swapoff, 0, 77) && fails(SYS_swapon, 0, 78);
	pthread_barrier_wait(&answered);
	return arg;
}

static void wait_for_go(void)
{
	while (access("go", F_OK))
		usleep(20000);
}

/* Without no_new_privs; both threads have the same, and get one more together later. */
static void child(int filtered)
{
	pthread_t thread;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	pthread_barrier_init(&made, NULL, 2);
	pthread_barrier_init(&asked, NULL, 2);
	pthread_barrier_init(&answered, NULL, 2);
	pthread_create(&thread, NULL, follow, NULL);
	forbid(SYS_swapoff, -1, 77, SECCOMP_FILTER_FLAG_TSYNC);
	pthread_barrier_wait(&made);
	close(filtered);
	wait_for_go();
	OK(!status_number("NoNewPrivs") && status_number("Seccomp_filters") == 1);
	forbid(SYS_swapon, -1, 78, SECCOMP_FILTER_FLAG_TSYNC);
	pthread_barrier_wait(&asked);
	pthread_barrier_wait(&answered);
	OK(thread_well && fails(SYS_swapoff, 0, 77));
	_exit(wrong != 0);
}

int main(void)
{
	int status = -1, filtered[2];
	pthread_t thread;
	pid_t pid;
	char none;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (pipe(filtered))
		return 1;
	pid = fork();
	if (!pid) {
		close(filtered[0]);
		child(filtered[1]);
	}
	/* it closes its end when it has its filter */
	close(filtered[1]);
	OK(!read(filtered[0], &none, 1));
	close(filtered[0]);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	pthread_barrier_init(&made, NULL, 2);
	pthread_barrier_init(&asked, NULL, 2);
	pthread_barrier_init(&answered, NULL, 2);
	forbid(SYS_swapoff, -1, 42, SECCOMP_FILTER_FLAG_LOG);
	/* what a checkpoint asks for, and what it needs */
	forbid(SYS_prctl, PR_GET_TIMERSLACK, 43, 0);
	forbid(SYS_munmap, 0x1000, 44, 0);
	pthread_create(&thread, NULL, narrow, NULL);
	pthread_barrier_wait(&made);
	puts("all is set up");
	puts("ready");
	wait_for_go();

	OK(fails(SYS_swapoff, 0, 42));
	OK(fails(SYS_prctl, PR_GET_TIMERSLACK, 43) && prctl(PR_GET_DUMPABLE) == 1);
	OK(fails(SYS_munmap, 0x1000, 44));
	OK(getppid() >= 0 && !fails(SYS_getppid, 0, 33));
	OK(status_number("NoNewPrivs") == 1 && status_number("Seccomp") == 2);
	OK(status_number("Seccomp_filters") == ALL_BUT_LAST);
	pthread_barrier_wait(&asked);
	pthread_barrier_wait(&answered);
	OK(thread_well);
	OK(waitpid(pid, &status, 0) == pid && !status);
	puts(wrong ? "not well" : "all well");
	return wrong != 0;
}
