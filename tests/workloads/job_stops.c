// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Processes that job control has stopped
 *
 * Prints "ready" once all is set up, waits until there is a file "go" in its directory, checks
 * that all of them are as they were and have not run, lets them go on, and prints what is wrong,
 * or "all well".  It has a handler of SIGCHLD, which nothing may call but what it does itself.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ok.h"

#define N_THREADS 3

/**
 * struct job - one that is stopped
 * @told: we have waited for its stop
 * @with: a signal that it gets when it is stopped already, 0: none
 * @count: it and its threads count
 * @caught: how often it got the signal
 */
struct job {
	int signal;
	bool told, threads;
	int with;
	pid_t pid;
	volatile uint64_t count[N_THREADS];
	volatile int caught;
};

static const struct job kinds[] = {
	{ .signal = SIGSTOP }, { .signal = SIGSTOP, .told = true },
	{ .signal = SIGTSTP }, { .signal = SIGTSTP, .told = true, .threads = true },
	{ .signal = SIGTTIN, .threads = true }, { .signal = SIGTTIN, .told = true },
	{ .signal = SIGTTOU, .with = SIGUSR1 }, { .signal = SIGTTOU, .told = true },
	{ .signal = SIGSTOP, .told = true, .with = SIGUSR1, .threads = true },
	{ .signal = SIGTSTP, .with = SIGTTIN },
};

#define N_JOBS (sizeof(kinds) / sizeof(kinds[0]))

static struct job *jobs, *own;
static volatile int children;

static void child_came(int sig)
{
	(void)sig;
	children++;
}

static void caught(int sig)
{
	(void)sig;
	own->caught++;
}

static void *spin(void *arg)
{
	volatile uint64_t *count = arg;

	for (;;) {
		++*count;
		usleep(500);
	}
	return NULL;
}

static void run(struct job *job)
{
	pthread_t thread;

	own = job;
	/* one whose parent is of another group of the session */
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGUSR1, caught);
	for (int i = 1; job->threads && i < N_THREADS; i++)
		pthread_create(&thread, NULL, spin, (void *)&job->count[i]);
	spin((void *)&job->count[0]);
}

static char state_of(pid_t pid)
{
	char path[64], text[512] = "", *end;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	if (!fgets(text, sizeof(text), f))
		*text = 0;
	fclose(f);
	end = strrchr(text, ')');
	return end ? end[2] : 0;
}

static void start(struct job *job)
{
	pid_t pid = MUST(fork());

	if (!pid)
		run(job);
	job->pid = pid;
	for (int i = 0; i < (job->threads ? N_THREADS : 1); i++) {
		while (!job->count[i])
			usleep(1000);
	}
	MUST(kill(job->pid, job->signal));
	while (state_of(job->pid) != 'T')
		usleep(1000);
	if (job->with)
		MUST(kill(job->pid, job->with));
}

/* What there is to be told of it. Return: the signal, 0: nothing. */
static int told(const struct job *job, int flags)
{
	siginfo_t info = { 0 };

	MUST(waitid(P_PID, job->pid, &info, WSTOPPED | WNOHANG | flags));
	return info.si_pid && info.si_code == CLD_STOPPED ? info.si_status : 0;
}

static uint64_t counted(void)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < N_JOBS; i++) {
		for (int j = 0; j < N_THREADS; j++)
			sum += jobs[i].count[j];
	}
	return sum;
}

static void check(const struct job *job)
{
	OK(state_of(job->pid) == 'T');
	OK(told(job, WNOWAIT) == (job->told ? 0 : job->signal));
	OK(told(job, 0) == (job->told ? 0 : job->signal));
	OK(told(job, 0) == 0);
	OK(!job->caught);
}

static void go_on(struct job *job)
{
	siginfo_t info = { 0 };
	uint64_t was[N_THREADS];

	for (int i = 0; i < N_THREADS; i++)
		was[i] = job->count[i];
	MUST(kill(job->pid, SIGCONT));
	OK(!waitid(P_PID, job->pid, &info, WCONTINUED) && info.si_code == CLD_CONTINUED);
	for (int i = 0; i < (job->threads ? N_THREADS : 1); i++) {
		for (int tries = 0; tries < 5000 && job->count[i] == was[i]; tries++)
			usleep(1000);
		OK(job->count[i] != was[i]);
	}
	OK(job->caught == (job->with == SIGUSR1));
	MUST(kill(job->pid, SIGKILL));
	OK(waitpid(job->pid, NULL, 0) == job->pid);
}

int main(void)
{
	const struct sigaction action = { .sa_handler = child_came, .sa_flags = SA_RESTART };
	uint64_t before;
	int heard;

	setvbuf(stdout, NULL, _IOLBF, 0);
	jobs = mmap(NULL, sizeof(kinds), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		    0);
	OK(jobs != MAP_FAILED);
	memcpy(jobs, kinds, sizeof(kinds));
	MUST(sigaction(SIGCHLD, &action, NULL));
	for (size_t i = 0; i < N_JOBS; i++)
		start(&jobs[i]);
	usleep(50000);
	for (size_t i = 0; i < N_JOBS; i++)
		OK(!jobs[i].told || told(&jobs[i], 0) == jobs[i].signal);
	heard = children;
	before = counted();
	puts("ready");
	while (access("go", F_OK))
		usleep(20000);

	OK(children == heard && counted() == before);
	for (size_t i = 0; i < N_JOBS; i++)
		check(&jobs[i]);
	for (size_t i = 0; i < N_JOBS; i++)
		go_on(&jobs[i]);
	puts(wrong ? "not well" : "all well");
	return wrong != 0;
}
