// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Interrupted in the vdso: a signal handler that waits where a function of the vdso was
 *
 * usage: vdso_interrupted [nested]
 * Prints "ready" in the handler; nested: in one more, on a signal stack.  Then it waits for ever.
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

#define STACK 0x10000
#define VDSO_PAGES 0x2000u

static bool nested;
static char *vdso;

static void wait_here(int sig)
{
	(void)sig;
	MUST(write(STDOUT_FILENO, "ready\n", 6));
	for (;;)
		syscall(SYS_pause);
}

static void alarmed(int sig, siginfo_t *info, void *context)
{
	const unsigned long ip = ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];

	(void)info;
	/* not where a function begins, which is aligned, nor behind a call in it */
	if (ip - (unsigned long)vdso >= VDSO_PAGES || !(ip & 15) ||
	    ((unsigned char *)ip)[-5] == 0xe8)
		return;
	if (!nested)
		wait_here(sig);
	raise(SIGUSR1);
}

int main(int argc, char **argv)
{
	struct sigaction a = { .sa_sigaction = alarmed, .sa_flags = SA_SIGINFO };
	struct sigaction b = { .sa_handler = wait_here, .sa_flags = SA_ONSTACK };
	stack_t stack = { .ss_size = STACK };
	struct itimerval often = { .it_interval.tv_usec = 300, .it_value.tv_usec = 300 };
	struct timespec t;

	nested = argc > 1 && !strcmp(argv[1], "nested");
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
