// SPDX-License-Identifier: GPL-2.0-or-later
/* Threads: one function on several processors at once. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include "base/threads.h"

unsigned int ckpt_threads_wanted(void)
{
	cpu_set_t set;
	unsigned int n = sched_getaffinity(0, sizeof(set), &set) ? 1 : CPU_COUNT(&set);

	return n < CKPT_THREADS_MAX ? n : CKPT_THREADS_MAX;
}

void ckpt_threads_run(unsigned int n, void *(*fn)(void *arg), void *arg)
{
	pthread_t thread[CKPT_THREADS_MAX];
	unsigned int started = 0;
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	while (started + 1 < n && started < CKPT_THREADS_MAX &&
	       !pthread_create(&thread[started], NULL, fn, arg))
		started++;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	fn(arg);
	while (started)
		pthread_join(thread[--started], NULL);
}
