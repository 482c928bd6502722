// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * stored_flags: does a store of flags survive a page fault?
 *
 * usage: stored_flags
 * SETcc stores one byte that depends on the flags. When the store faults, the flags must be
 * as they were when the instruction starts again. Exit status 0 they are, 1 they are not.
 * docs/testing.md says why this is asked.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>

static volatile uint8_t *page;

/* A page that is written has been there; one that was dropped comes with a fault. */
static void prepare(bool fault)
{
	page[0] = 0;
	if (fault)
		madvise((void *)page, 4096, MADV_DONTNEED);
}

/* One byte stored by @set, after @op; the jump between them ends a block of the translation. */
#define STORED(op, set, a, b)						\
	({								\
		uint64_t left = (a);					\
									\
		prepare(fault);						\
		__asm__ volatile(op "\n\tjmp 1f\n1:\t" set		\
				 : "+a"(left)				\
				 : "d"((uint64_t)(b)), "D"(page)	\
				 : "cc", "memory");			\
		page[0];						\
	})

/* The bytes that some stores leave, as one number. */
static unsigned int stores(bool fault)
{
	unsigned int all = 0;

	all = all << 1 | STORED("imulq %%rdx, %%rax", "seto (%%rdi)", 0, 0);
	all = all << 1 | STORED("imulq %%rdx, %%rax", "setge (%%rdi)", 3, 5);
	all = all << 1 | STORED("shlq $3, %%rax", "setbe (%%rdi)", -1, 0);
	all = all << 1 | STORED("shlq $3, %%rax", "setl (%%rdi)", -1, 0);
	all = all << 1 | STORED("cmpq %%rdx, %%rax", "seta (%%rdi)", 7, 2);
	return all;
}

int main(void)
{
	unsigned int straight, faulting;

	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return 2;
	straight = stores(false);
	faulting = stores(true);
	printf("stored %02x, after faults %02x\n", straight, faulting);
	return straight != faulting;
}
