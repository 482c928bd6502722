/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * BPF: small programs that read what the kernel knows, and change nothing
 *
 * Where members of its structures are, the kernel says itself (BTF).
 */
#ifndef CKPT_PROC_BPF_H
#define CKPT_PROC_BPF_H

#include <linux/bpf.h>
#include <stddef.h>
#include <stdint.h>

#include "proc/btf.h"

#define CKPT_BPF_MAX 256

/* A program that is being written. */
struct ckpt_bpf {
	struct bpf_insn insns[CKPT_BPF_MAX];
	uint32_t n;
};

void ckpt_bpf_emit(struct ckpt_bpf *p, uint8_t code, uint8_t dst, uint8_t src, int16_t off,
		   int32_t imm);
void ckpt_bpf_move(struct ckpt_bpf *p, uint8_t dst, uint8_t src);
void ckpt_bpf_add(struct ckpt_bpf *p, uint8_t dst, int32_t imm);
void ckpt_bpf_call(struct ckpt_bpf *p, int32_t helper);
/* End with @value. */
void ckpt_bpf_end(struct ckpt_bpf *p, int32_t value);
/*
 * r7 = what is in kernel memory at @from + @offset; end with 1 when there is none.  r0 to r5 and
 * the 8 bytes below the frame pointer are lost.
 */
void ckpt_bpf_load(struct ckpt_bpf *p, uint8_t from, uint32_t offset);

/* The offsets of members in this kernel. Return: 0, or -1 when it does not tell. */
int ckpt_bpf_members(struct ckpt_btf_member *members, size_t n);

/* Give it to the kernel. Return: a descriptor, or -1. */
int ckpt_bpf_make(const struct ckpt_bpf *p, uint32_t type, uint32_t flags, const char *name);
/* Run one of BPF_PROG_TYPE_SYSCALL. Return: 0 when it ended with 0, else -1. */
int ckpt_bpf_run(int program, void *ctx, size_t len);

#endif
