// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Interrupted in the vdso: a signal handler that waits where a function of the vdso was
 *
 * usage: vdso_interrupted [nested|disarmed]
 * Prints "ready" in the handler; else in one more, on a signal stack, which the thread has no more
 * meanwhile when it is disarmed.  Then it waits for ever.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "ok.h"

#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1u << 31)
#endif

#define STACK 0x10000
#define VDSO_PAGES 0x2000u

static bool nested;
static char *vdso;
static stack_t stack = { .ss_size = STACK };

static void wait_here(int sig)
{
	(void)sig;
	MUST(write(STDOUT_FILENO, "ready\n", 6));
	for (;;)
		syscall(SYS_pause);
}

/* On its own: where it was is to be left in no register, which the next signal would save. */
static bool __attribute__((noinline)) was_inside(const ucontext_t *context)
{
	const unsigned long ip = context->uc_mcontext.gregs[REG_RIP];

	/* not where a function begins, which is aligned, nor behind a call in it */
	return ip - (unsigned long)vdso < VDSO_PAGES && ip & 15 &&
	       ((unsigned char *)ip)[-5] != 0xe8;
}

static void alarmed(int sig, siginfo_t *info, void *context)
{
	(void)info;
	if (!was_inside(context))
		return;
	if (!nested)
		wait_here(sig);
	/* this signal has disarmed it */
	MUST(sigaltstack(&stack, NULL));
	raise(SIGUSR1);
}

int main(int argc, char **argv)
{
	struct sigaction a = { .sa_sigaction = alarmed, .sa_flags = SA_SIGINFO };
	struct sigaction b = { .sa_handler = wait_here, .sa_flags = SA_ONSTACK };
	struct itimerval often = { .it_interval.tv_usec = 300, .it_value.tv_usec = 300 };
	struct timespec t;

	nested = argc > 1;
	if (nested && !strcmp(argv[1], "disarmed"))
		stack.ss_flags = (int)SS_AUTODISARM;
	vdso = (char *)getauxval(AT_SYSINFO_EHDR);
	OK(vdso);
	/* far from every stack, and nothing beside it */
	stack.ss_sp = mmap((void *)0x10000000, STACK, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	MUST(sigaltstack(&stack, NULL));
	MUST(sigaction(SIGUSR1, &b, NULL));
	MUST(sigaction(SIGALRM, &a, NULL));
	MUST(setitimer(ITIMER_REAL, &often, NULL));
	for (;;)
		clock_gettime(CLOCK_MONOTONIC, &t);
}
