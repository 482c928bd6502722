// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A thread that is in a restartable sequence all of the time
 *
 * Prints where the sequence begins and ends and where it goes on when it was interrupted, then
 * "ready"; waits until there is a file "go" in its directory, checks that the thread has been
 * there and that its area is kept up to date, and prints what is wrong, or "all well".
 */
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/rseq.h>
#include <unistd.h>

#include "ok.h"

static volatile uint64_t entered, aborted;
static volatile uint32_t leave, cpu;

extern const char rseq_begin[], rseq_end[], rseq_abort[];

static struct rseq *own_area(void)
{
	char *thread;

	__asm__("movq %%fs:0, %0" : "=r"(thread));
	return (struct rseq *)(thread + __rseq_offset);
}

static void *spin(void *arg)
{
	struct rseq *area = own_area();

	__asm__ volatile(".pushsection .data.rel, \"aw\"\n\t"
			 ".balign 32\n"
			 "9:\t.long 0, 0\n\t"
			 ".quad rseq_begin, rseq_end - rseq_begin, rseq_abort\n\t"
			 ".popsection\n"
			 "8:\tincq %[entered]\n\t"
			 "leaq 9b(%%rip), %%rax\n\t"
			 "movq %%rax, %[cs]\n"
			 "rseq_begin:\n\t"
			 "cmpl $0, %[leave]\n\t"
			 "je rseq_begin\n"
			 "rseq_end:\n\t"
			 "jmp 7f\n\t"
			 /* the kernel wants its signature before where it goes on */
			 ".byte 0x0f, 0xb9, 0x3d\n\t"
			 ".long 0x53053053\n"
			 "rseq_abort:\n\t"
			 "incq %[aborted]\n\t"
			 "jmp 8b\n"
			 "7:"
			 : [entered] "+m"(entered), [aborted] "+m"(aborted),
			   [cs] "=m"(area->rseq_cs)
			 : [leave] "m"(leave)
			 : "rax", "cc", "memory");
	area->rseq_cs = 0;
	cpu = area->cpu_id;
	OK(cpu < CPU_SETSIZE);
	return arg;
}

int main(void)
{
	pthread_t thread;
	uint64_t before;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!__rseq_size) {
		puts("no rseq\nready");
		pause();
	}
	MUST(-pthread_create(&thread, NULL, spin, NULL));
	while (!entered)
		usleep(1000);
	printf("sequence %lx %lx %lx\n", (long)rseq_begin, (long)rseq_end, (long)rseq_abort);
	puts("ready");
	while (access("go", F_OK))
		usleep(20000);
	/* it has entered again, and is interrupted once in a while */
	before = aborted;
	for (int i = 0; i < 1000 && aborted == before; i++)
		usleep(10000);
	OK(aborted > before);
	leave = 1;
	OK(!pthread_join(thread, NULL));
	puts(wrong ? "not well" : "all well");
	return wrong != 0;
}
