// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vectors: keeps a pattern in the whole width of its vector registers
 *
 * usage: vectors FILE
 * Appends "ok" to FILE now and then, "lost N" once when half of a register is gone: a
 * copy that is interrupted in its middle would have written that.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Return: how many turns of the loop found the registers as they were filled; all is well. */
__attribute__((target("avx2"))) static uint64_t hold(const uint8_t pattern[64], uint64_t turns)
{
	uint64_t left = turns;

	__asm__ volatile("vmovdqu (%[p]), %%ymm0\n\t"
			 "vmovdqu 32(%[p]), %%ymm7\n\t"
			 "vmovdqa %%ymm0, %%ymm9\n\t"
			 "vmovdqa %%ymm7, %%ymm15\n"
			 "1:\n\t"
			 "vpcmpeqb (%[p]), %%ymm0, %%ymm1\n\t"
			 "vpcmpeqb 32(%[p]), %%ymm7, %%ymm2\n\t"
			 "vpand %%ymm1, %%ymm2, %%ymm1\n\t"
			 "vpcmpeqb (%[p]), %%ymm9, %%ymm2\n\t"
			 "vpand %%ymm1, %%ymm2, %%ymm1\n\t"
			 "vpcmpeqb 32(%[p]), %%ymm15, %%ymm2\n\t"
			 "vpand %%ymm1, %%ymm2, %%ymm1\n\t"
			 "vpmovmskb %%ymm1, %%eax\n\t"
			 "cmpl $-1, %%eax\n\t"
			 "jne 2f\n\t"
			 "decq %[left]\n\t"
			 "jnz 1b\n"
			 "2:\n\t"
			 "vzeroupper"
			 : [left] "+r"(left)
			 : [p] "r"(pattern)
			 : "rax", "cc", "memory", "xmm0", "xmm1", "xmm2", "xmm7", "xmm9", "xmm15");
	return turns - left;
}

int main(int argc, char **argv)
{
	uint8_t pattern[64];
	uint64_t turns = 200000;
	int fd = argc == 2 ? open(argv[1], O_WRONLY | O_CREAT | O_APPEND, 0644) : -1;

	if (fd < 0) {
		fprintf(stderr, "usage: vectors FILE\n");
		return 2;
	}
	if (!__builtin_cpu_supports("avx2")) {
		dprintf(fd, "no vectors\n");
		return 0;
	}
	for (int i = 0; i < 64; i++)
		pattern[i] = 3 * i + 1;
	for (;;) {
		uint64_t held = hold(pattern, turns);

		if (held != turns) {
			dprintf(fd, "lost %llu\n", (unsigned long long)held);
			return 1;
		}
		dprintf(fd, "ok\n");
	}
}
