// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Family: processes that know each other by their pids
 *
 * Children in groups and sessions of all kinds, one of them in a session whose leader is gone.
 * When the file "go" is there, each is asked by the pid that was noted before, answers to that of
 * its parent, and is waited for.  Then it prints
 *   parent N     who its own is
 *   strangers N  processes that /proc shows and that are not of the family, pid 1 apart
 *   asleep N     ms in which CLOCK_MONOTONIC stood still
 * and "all well".
 */
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ok.h"

enum kid {
	PLAIN,
	GROUP,		/* in a process group of its own */
	SESSION,	/* in a session of its own */
	LEFT,		/* in a session whose leader is gone, adopted */
	LEFT_GROUP,	/* in there too, in a group of its own */
	KIDS
};

struct person {
	pid_t pid, pgid, sid;
};

static struct person me, kids[KIDS];
static pid_t thread_id;
static int64_t asleep_ms;
static int born[2];

static struct person self(void)
{
	return (struct person){ getpid(), getpgrp(), getsid(0) };
}

/* What /proc says of who looks. */
static pid_t proc_self(void)
{
	char text[32] = "";

	return readlink("/proc/self", text, sizeof(text) - 1) < 0 ? -1 : atoi(text);
}

static bool is_as(const struct person *before)
{
	const struct person now = self();

	return !memcmp(&now, before, sizeof(now)) && proc_self() == now.pid;
}

static void __attribute__((noreturn)) be_kid(pid_t parent)
{
	const struct person at_birth = self();
	siginfo_t info;
	sigset_t set;
	int bad = 0;

	if (write(born[1], &at_birth, sizeof(at_birth)) != sizeof(at_birth))
		_exit(100);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	while (sigwaitinfo(&set, &info) < 0)
		;
	bad |= !is_as(&at_birth) << 0;
	bad |= (getppid() != parent) << 1;
	bad |= (info.si_pid != parent) << 2;
	bad |= (kill(parent, SIGUSR2) != 0) << 3;
	_exit(bad);
}

/* The leader of a session, which leaves two members to who takes orphans. */
static void __attribute__((noreturn)) lead_and_leave(void)
{
	pid_t above = getppid();
	int i;

	setsid();
	for (i = LEFT; i <= LEFT_GROUP; i++) {
		if (fork())
			continue;
		while (getppid() != above)
			usleep(1000);
		if (i == LEFT_GROUP)
			setpgid(0, 0);
		be_kid(above);
	}
	_exit(0);
}

static void bear(enum kid kid)
{
	pid_t parent = getpid(), pid = MUST(fork());

	if (!pid) {
		if (kid == GROUP)
			setpgid(0, 0);
		if (kid == SESSION)
			setsid();
		if (kid == LEFT)
			lead_and_leave();
		be_kid(parent);
	}
	if (kid == LEFT)
		OK(waitpid(pid, NULL, 0) == pid);
}

static void hear(enum kid kid)
{
	OK(read(born[0], &kids[kid], sizeof(kids[kid])) == sizeof(kids[kid]));
}

static void make_kids(void)
{
	struct person swap;
	int i;

	for (i = PLAIN; i <= SESSION; i++) {
		bear(i);
		hear(i);
	}
	bear(LEFT);
	hear(LEFT);
	hear(LEFT_GROUP);
	if (kids[LEFT].pgid == kids[LEFT].pid) {	/* it came first */
		swap = kids[LEFT];
		kids[LEFT] = kids[LEFT_GROUP];
		kids[LEFT_GROUP] = swap;
	}
	OK(kids[LEFT].sid == kids[LEFT].pgid && kids[LEFT].sid == kids[LEFT_GROUP].sid);
	OK(kill(kids[LEFT].sid, 0) && errno == ESRCH);
}

static void *be_thread(void *arg)
{
	(void)arg;
	__atomic_store_n(&thread_id, gettid(), __ATOMIC_RELEASE);
	while (access("go", F_OK))
		usleep(20000);
	OK(gettid() == thread_id);
	return NULL;
}

static int64_t now_ms(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000ll + t.tv_nsec / 1000000;
}

static void wait_for_go(void)
{
	int64_t real = now_ms(CLOCK_REALTIME), mono = now_ms(CLOCK_MONOTONIC);

	while (access("go", F_OK)) {
		int64_t real_now, mono_now;

		usleep(20000);
		real_now = now_ms(CLOCK_REALTIME);
		mono_now = now_ms(CLOCK_MONOTONIC);
		OK(mono_now >= mono);
		asleep_ms += real_now - real - (mono_now - mono);
		real = real_now;
		mono = mono_now;
	}
}

static void ask(const struct person *kid)
{
	const struct timespec long_enough = { .tv_sec = 20 };
	siginfo_t info;
	sigset_t set;
	int status = -1;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	OK(getsid(kid->pid) == kid->sid && getpgid(kid->pid) == kid->pgid);
	OK(!kill(kid->pid, SIGUSR1));
	OK(sigtimedwait(&set, &info, &long_enough) == SIGUSR2 && info.si_pid == kid->pid);
	OK(waitpid(kid->pid, &status, 0) == kid->pid);
	if (status)
		printf("kid %ld: status 0x%x\n", (long)(kid - kids), status);
	OK(!status);
}

static int strangers(void)
{
	DIR *proc = opendir("/proc");
	struct dirent *e;
	int n = 0, i;

	while (proc && (e = readdir(proc))) {
		pid_t pid = atoi(e->d_name);

		for (i = 0; i < KIDS && kids[i].pid != pid; i++)
			;
		n += pid > 1 && pid != me.pid && i == KIDS;
	}
	closedir(proc);
	return n;
}

int main(void)
{
	pthread_t thread;
	sigset_t set;
	int i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	MUST(prctl(PR_SET_CHILD_SUBREAPER, 1));
	MUST(pipe(born));
	me = self();
	make_kids();
	OK(!pthread_create(&thread, NULL, be_thread, NULL));
	while (!__atomic_load_n(&thread_id, __ATOMIC_ACQUIRE))
		usleep(1000);
	puts("ready");
	wait_for_go();
	OK(is_as(&me));
	pthread_join(thread, NULL);
	printf("parent %d\nstrangers %d\nasleep %ld\n", getppid(), strangers(), (long)asleep_ms);
	for (i = 0; i < KIDS; i++)
		ask(&kids[i]);
	OK(waitpid(-1, NULL, 0) < 0 && errno == ECHILD);
	puts(wrong ? "something is wrong" : "all well");
	return wrong != 0;
}
