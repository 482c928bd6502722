// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vectors: keeps a pattern in the whole width of its vector registers, in the mask registers, in
 * those of the x87 and behind the base of GS
 *
 * usage: vectors FILE
 * Appends to FILE what of it this processor has ("with ..."), "ok" now and then, "lost N" once
 * when half of a register is gone: a copy that is interrupted in its middle would have written
 * that.
 */
#include <asm/prctl.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MASK 0xa5c3

/* All eight registers of the x87; each has more bits than a double. */
#define FILL_X87 \
	"fldpi\n\tfldl2t\n\tfldl2e\n\tfldlg2\n\tfldln2\n\tfld1\n\t" \
	"fldpi\n\tfchs\n\tfldl2t\n\tfchs\n\t"
#define STORE_X87 \
	"fstpt (%[x])\n\tfstpt 16(%[x])\n\tfstpt 32(%[x])\n\tfstpt 48(%[x])\n\t" \
	"fstpt 64(%[x])\n\tfstpt 80(%[x])\n\tfstpt 96(%[x])\n\tfstpt 112(%[x])\n\t"
#define X87 "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)"

/* Return: how many turns of the loop found the registers as they were filled; all is well. */
__attribute__((target("avx2"))) static uint64_t hold(const uint8_t pattern[64], uint64_t turns,
						     uint8_t x87[128])
{
	uint64_t left = turns;

	__asm__ volatile(FILL_X87
			 "vmovdqu (%[p]), %%ymm0\n\t"
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
			 "vzeroupper\n\t"
			 STORE_X87
			 : [left] "+r"(left)
			 : [p] "r"(pattern), [x] "r"(x87)
			 : "rax", "cc", "memory", "xmm0", "xmm1", "xmm2", "xmm7", "xmm9", "xmm15",
			   X87);
	return turns - left;
}

/* The same in registers that AVX-512 alone has, and in two masks. */
__attribute__((target("avx512f"))) static uint64_t hold_wide(const uint8_t pattern[64],
							     uint64_t turns, uint8_t x87[128])
{
	uint64_t left = turns;

	__asm__ volatile(FILL_X87
			 "vmovdqu32 (%[p]), %%zmm0\n\t"
			 "vmovdqa32 %%zmm0, %%zmm15\n\t"
			 "vmovdqa32 %%zmm0, %%zmm16\n\t"
			 "vmovdqa32 %%zmm0, %%zmm31\n\t"
			 "movl %[mask], %%eax\n\t"
			 "kmovw %%eax, %%k3\n\t"
			 "kmovw %%eax, %%k7\n"
			 "1:\n\t"
			 "vpcmpeqd (%[p]), %%zmm0, %%k1\n\t"
			 "vpcmpeqd (%[p]), %%zmm15, %%k2\n\t"
			 "kandw %%k1, %%k2, %%k1\n\t"
			 "vpcmpeqd (%[p]), %%zmm16, %%k2\n\t"
			 "kandw %%k1, %%k2, %%k1\n\t"
			 "vpcmpeqd (%[p]), %%zmm31, %%k2\n\t"
			 "kandw %%k1, %%k2, %%k1\n\t"
			 "kmovw %%k1, %%eax\n\t"
			 "cmpl $0xffff, %%eax\n\t"
			 "jne 2f\n\t"
			 "kmovw %%k3, %%eax\n\t"
			 "kmovw %%k7, %%edx\n\t"
			 "cmpl %[mask], %%eax\n\t"
			 "jne 2f\n\t"
			 "cmpl %[mask], %%edx\n\t"
			 "jne 2f\n\t"
			 "decq %[left]\n\t"
			 "jnz 1b\n"
			 "2:\n\t"
			 "vzeroupper\n\t"
			 STORE_X87
			 : [left] "+r"(left)
			 : [p] "r"(pattern), [x] "r"(x87), [mask] "i"(MASK)
			 : "rax", "rdx", "cc", "memory", "xmm0", "xmm15", "xmm16", "xmm31", "k1",
			   "k2", "k3", "k7", X87);
	return turns - left;
}

static uint64_t behind_gs = 0x1122334455667788;

static bool gs_is_well(void)
{
	uint64_t value;

	__asm__ volatile("movq %%gs:0, %0" : "=r"(value));
	return value == behind_gs;
}

int main(int argc, char **argv)
{
	uint8_t pattern[64], x87[128] = { 0 }, first[128];
	uint64_t turns = 200000;
	int fd = argc == 2 ? open(argv[1], O_WRONLY | O_CREAT | O_APPEND, 0644) : -1;
	bool wide;

	if (fd < 0) {
		fprintf(stderr, "usage: vectors FILE\n");
		return 2;
	}
	if (!__builtin_cpu_supports("avx2")) {
		dprintf(fd, "no vectors\n");
		return 0;
	}
	wide = __builtin_cpu_supports("avx512f");
	for (int i = 0; i < 64; i++)
		pattern[i] = 3 * i + 1;
	if (syscall(SYS_arch_prctl, ARCH_SET_GS, &behind_gs))
		return 1;
	hold(pattern, 1, x87);
	memcpy(first, x87, sizeof(first));
	dprintf(fd, "with x87, gs, avx2%s\n", wide ? ", avx512" : " and no avx512");
	for (;;) {
		uint64_t held = wide ? hold_wide(pattern, turns, x87) : hold(pattern, turns, x87);

		if (held != turns || memcmp(x87, first, sizeof(first)) || !gs_is_well()) {
			dprintf(fd, "lost %llu\n", (unsigned long long)held);
			return 1;
		}
		dprintf(fd, "ok\n");
		/* by turns, so that a wide one is also taken with its upper half empty */
		held = hold(pattern, turns, x87);
		if (held != turns || memcmp(x87, first, sizeof(first))) {
			dprintf(fd, "lost %llu\n", (unsigned long long)held);
			return 1;
		}
	}
}
