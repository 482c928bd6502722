// SPDX-License-Identifier: GPL-2.0-or-later
/* Signal frame: a thread's registers in the form that rt_sigreturn takes. */
#include <cpuid.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>

#include "proc/inject.h"

/* uc_flags of arch/x86/include/uapi/asm/ucontext.h */
#define UC_FP_XSTATE 1
#define UC_SIGCONTEXT_SS 2
#define UC_STRICT_RESTORE_SS 4

/* Not a mode of sigaltstack(2): rt_sigreturn then leaves the alternate stack alone. */
#define NO_ALTSTACK 0x7fff0000

#define FXSAVE_LEN 512
#define COMPONENTS 63
#define XFEATURES_AMX (3ull << 17)

/* struct rt_sigframe of the kernel up to the mask; siginfo is not read. */
struct frame {
	uint64_t restorer;
	uint64_t uc_flags, uc_link;
	uint64_t ss_sp;
	uint32_t ss_flags, pad;
	uint64_t ss_size;
	uint64_t r8_15[8];
	uint64_t rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, eflags;
	uint16_t cs, gs, fs, ss;
	uint64_t error, trapno, oldmask, cr2;
	uint64_t fpstate;
	uint64_t reserved[8];
	uint64_t sigmask;
};

#define FP_OFFSET ((sizeof(struct frame) + 63) & ~(size_t)63)

/* Where component @i of the state ends. A virtual machine takes its time for cpuid: asked once. */
static uint32_t component_end(unsigned int i)
{
	static uint32_t ends[COMPONENTS];
	uint32_t size, offset, c, d;

	if (!ends[i]) {
		__cpuid_count(0xd, i, size, offset, c, d);
		ends[i] = offset + size;
	}
	return ends[i];
}

void ckpt_sigframe_warm_up(void)
{
	for (unsigned int i = 2; i < COMPONENTS; i++)
		component_end(i);
}

/*
 * Bytes of an XSAVE area with these features.  The regset is as long as the
 * largest one; a frame longer than what the thread may use loses all but the
 * legacy part.
 */
static uint32_t xsave_len(uint64_t features, uint32_t max)
{
	uint32_t len = FXSAVE_LEN + 64;

	for (unsigned int i = 2; i < COMPONENTS; i++) {
		if (features & (1ull << i) && component_end(i) > len)
			len = component_end(i);
	}
	return len < max ? len : max;
}

/* What the state of a thread is made of: without tiles, which are long, if it has none. */
static uint64_t features_of(const struct ckpt_held_thread *t)
{
	uint64_t features, used;

	memcpy(&features, t->xstate + FXSAVE_LEN - sizeof(struct _fpx_sw_bytes), sizeof(features));
	memcpy(&used, t->xstate + FXSAVE_LEN, sizeof(used));
	return used & XFEATURES_AMX ? features : features & ~XFEATURES_AMX;
}

size_t ckpt_sigframe_len(const struct ckpt_held_thread *t)
{
	return FP_OFFSET + xsave_len(features_of(t), t->xstate_len) + 2 * FP_XSTATE_MAGIC2_SIZE;
}

static void put_xstate(uint8_t *fp, const struct ckpt_held_thread *t)
{
	struct _fpx_sw_bytes *sw = (void *)(fp + FXSAVE_LEN - sizeof(*sw));
	uint32_t magic2 = FP_XSTATE_MAGIC2;
	uint64_t features = features_of(t);
	uint32_t len = xsave_len(features, t->xstate_len);

	memcpy(fp, t->xstate, len);
	memset(sw, 0, sizeof(*sw));
	sw->magic1 = FP_XSTATE_MAGIC1;
	sw->xstate_bv = features;
	sw->xstate_size = len;
	sw->extended_size = sw->xstate_size + FP_XSTATE_MAGIC2_SIZE;
	memcpy(fp + sw->xstate_size, &magic2, sizeof(magic2));
}

uint64_t ckpt_sigframe_put(void *data, uint64_t addr, const struct ckpt_held_thread *t)
{
	struct user_regs_struct r = ckpt_held_regs(t);
	struct frame *f = data;

	*f = (struct frame){
		.uc_flags = UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS,
		.ss_flags = NO_ALTSTACK,
		.r8_15 = { r.r8, r.r9, r.r10, r.r11, r.r12, r.r13, r.r14, r.r15 },
		.rdi = r.rdi,
		.rsi = r.rsi,
		.rbp = r.rbp,
		.rbx = r.rbx,
		.rdx = r.rdx,
		.rax = r.rax,
		.rcx = r.rcx,
		.rsp = r.rsp,
		.rip = r.rip,
		.eflags = r.eflags,
		.cs = r.cs,
		.ss = r.ss,
		.fpstate = addr + FP_OFFSET,
		.sigmask = t->sigmask,
	};
	put_xstate((uint8_t *)data + FP_OFFSET, t);
	return addr + offsetof(struct frame, uc_flags);
}
