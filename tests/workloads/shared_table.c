// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Processes that have one table of descriptors (clone with CLONE_FILES), and some that do not
 *
 * Prints "ready" once all is set up, waits until there is a file "go" in its directory, looks
 * whether what one of them opens and closes is so for the others, and prints what is wrong, or
 * "all well".
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ok.h"

#define FD 100		/* opened and closed by turns */
#define PIDFD 77

enum { MAIN, CHILD, GRANDCHILD, LEADER, ORPHAN, BESIDE, APART, APART_TOO, N_PROCS };

/* What each is to do, and what came of it. */
static struct {
	volatile int order[N_PROCS], answer[N_PROCS];
	volatile pid_t pid[N_PROCS];
} *all;

enum { NOTHING, OPEN, CLOSE, LOOK, END };

static int obey(int order)
{
	switch (order) {
	case OPEN:
		return dup2(0, FD) == FD;
	case CLOSE:
		return !close(FD);
	default:
		return fcntl(FD, F_GETFD) >= 0;
	}
}

static void serve(int who)
{
	int order;

	/* the parent of one ends */
	if (who != ORPHAN)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	all->pid[who] = getpid();
	while ((order = all->order[who]) != END) {
		if (order != NOTHING) {
			all->answer[who] = obey(order);
			all->order[who] = NOTHING;
		}
		usleep(500);
	}
	_exit(0);
}

static pid_t beget(bool shares)
{
	return MUST(syscall(SYS_clone, (shares ? CLONE_FILES : 0) | SIGCHLD, 0, 0, 0, 0));
}

static int tell(int who, int order)
{
	if (who == MAIN)
		return obey(order);
	all->order[who] = order;
	while (all->order[who] != NOTHING)
		usleep(200);
	return all->answer[who];
}

static void child(void)
{
	if (!beget(true))
		serve(GRANDCHILD);
	if (!beget(false)) {
		if (!beget(true))
			serve(APART_TOO);
		serve(APART);
	}
	serve(CHILD);
}

static void make_all(void)
{
	pid_t pid;

	MUST(prctl(PR_SET_CHILD_SUBREAPER, 1));
	if (!beget(true))
		child();
	if (!beget(true)) {
		MUST(setsid());
		serve(LEADER);
	}
	/* that of who is gone */
	pid = beget(true);
	if (!pid) {
		MUST(setsid());
		if (!beget(true))
			serve(ORPHAN);
		while (!all->pid[ORPHAN])
			usleep(500);
		_exit(0);
	}
	OK(waitpid(pid, NULL, 0) == pid);
	if (!beget(false))
		serve(BESIDE);
	for (int i = 1; i < N_PROCS; i++) {
		while (!all->pid[i])
			usleep(500);
	}
}

static bool is_same(int who, int as)
{
	return !syscall(SYS_kcmp, all->pid[who], all->pid[as], 2 /* KCMP_FILES */, 0, 0);
}

static void check(void)
{
	for (int i = 1; i < N_PROCS; i++) {
		OK(is_same(i, MAIN) == (i < BESIDE));
		OK(is_same(i, APART) == (i >= APART));
	}
	for (int who = 0; who < N_PROCS; who++) {
		int other = who < BESIDE ? (who + 2) % BESIDE : who == BESIDE ? BESIDE :
			    who == APART ? APART_TOO : APART;

		OK(!tell(who, LOOK) && tell(who, OPEN));
		for (int i = 0; i < N_PROCS; i++) {
			bool same = (who < BESIDE && i < BESIDE) ||
				    (who >= APART && i >= APART) || i == who;

			OK(tell(i, LOOK) == same);
		}
		OK(tell(other, CLOSE) && !tell(who, LOOK));
	}
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	all = mmap(NULL, sizeof(*all), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	OK(all != MAP_FAILED);
	all->pid[MAIN] = getpid();
	make_all();
	MUST(dup2(MUST(syscall(SYS_pidfd_open, all->pid[CHILD], 0)), PIDFD));
	check();
	puts("ready");
	while (access("go", F_OK))
		usleep(20000);

	check();
	OK(!syscall(SYS_pidfd_send_signal, PIDFD, 0, NULL, 0));
	for (int i = 1; i < N_PROCS; i++)
		all->order[i] = END;
	while (waitpid(-1, NULL, 0) > 0)
		;
	puts(wrong ? "not well" : "all well");
	return wrong != 0;
}
