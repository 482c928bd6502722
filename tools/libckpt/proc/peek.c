// SPDX-License-Identifier: GPL-2.0-or-later
/* Peeks: a program that reads the kernel's memory, and what is done with it. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "proc/bpf.h"
#include "proc/peek.h"

#define PIECE 256

/* What the program is given; it gives back @at of the private data, or @data. */
struct request {
	uint64_t fd, at, len;
	uint8_t data[PIECE];
};

static void write_find(struct ckpt_bpf *p, const uint32_t *offset)
{
	ckpt_bpf_call(p, BPF_FUNC_get_current_task);
	ckpt_bpf_load(p, BPF_REG_0, offset[CKPT_PEEK_FILES]);
	ckpt_bpf_load(p, BPF_REG_7, offset[CKPT_PEEK_FDT]);
	ckpt_bpf_load(p, BPF_REG_7, offset[CKPT_PEEK_FD]);
	ckpt_bpf_emit(p, BPF_LDX | BPF_MEM | BPF_DW, BPF_REG_8, BPF_REG_6,
		      offsetof(struct request, fd), 0);
	ckpt_bpf_emit(p, BPF_ALU64 | BPF_LSH | BPF_K, BPF_REG_8, 0, 0, 3);
	ckpt_bpf_emit(p, BPF_ALU64 | BPF_ADD | BPF_X, BPF_REG_7, BPF_REG_8, 0, 0);
	ckpt_bpf_load(p, BPF_REG_7, 0);
	ckpt_bpf_load(p, BPF_REG_7, offset[CKPT_PEEK_PRIVATE]);
	ckpt_bpf_emit(p, BPF_STX | BPF_MEM | BPF_DW, BPF_REG_6, BPF_REG_7,
		      offsetof(struct request, at), 0);
	ckpt_bpf_end(p, 0);
}

/* By way of the stack: it goes to what the program was given word by word. */
static void write_read(struct ckpt_bpf *p)
{
	ckpt_bpf_emit(p, BPF_JMP | BPF_JLE | BPF_K, BPF_REG_7, 0, 2, PIECE);
	ckpt_bpf_end(p, 1);
	for (int at = 0; at < PIECE; at += 8)
		ckpt_bpf_emit(p, BPF_ST | BPF_MEM | BPF_DW, BPF_REG_10, 0, at - PIECE, 0);
	ckpt_bpf_move(p, BPF_REG_1, BPF_REG_10);
	ckpt_bpf_add(p, BPF_REG_1, -PIECE);
	ckpt_bpf_move(p, BPF_REG_2, BPF_REG_7);
	ckpt_bpf_emit(p, BPF_LDX | BPF_MEM | BPF_DW, BPF_REG_3, BPF_REG_6,
		      offsetof(struct request, at), 0);
	ckpt_bpf_call(p, BPF_FUNC_probe_read_kernel);
	ckpt_bpf_emit(p, BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_0, 0, 2, 0);
	ckpt_bpf_end(p, 1);
	for (int at = 0; at < PIECE; at += 8) {
		ckpt_bpf_emit(p, BPF_LDX | BPF_MEM | BPF_DW, BPF_REG_1, BPF_REG_10, at - PIECE, 0);
		ckpt_bpf_emit(p, BPF_STX | BPF_MEM | BPF_DW, BPF_REG_6, BPF_REG_1,
			      offsetof(struct request, data) + at, 0);
	}
	ckpt_bpf_end(p, 0);
}

int ckpt_peek_open(const struct ckpt_btf_member *wanted, size_t n, uint32_t *ret_offsets)
{
	cleanup_free struct ckpt_btf_member *members = malloc(n * sizeof(*members));
	struct ckpt_bpf p = { .n = 0 };
	uint32_t skip;

	if (!members)
		return -1;
	memcpy(members, wanted, n * sizeof(*members));
	if (ckpt_bpf_members(members, n))
		return -1;
	for (size_t i = 0; i < n; i++)
		ret_offsets[i] = members[i].offset;
	ckpt_bpf_move(&p, BPF_REG_6, BPF_REG_1);
	ckpt_bpf_emit(&p, BPF_LDX | BPF_MEM | BPF_DW, BPF_REG_7, BPF_REG_6,
		      offsetof(struct request, len), 0);
	skip = p.n;
	ckpt_bpf_emit(&p, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_7, 0, 0, 0);
	write_find(&p, ret_offsets);
	p.insns[skip].off = p.n - skip - 1;
	write_read(&p);
	return ckpt_bpf_make(&p, BPF_PROG_TYPE_SYSCALL, BPF_F_SLEEPABLE, "ckpt_peek");
}

int ckpt_peek_private(int program, int fd, uint64_t *ret)
{
	struct request r = { .fd = fd };

	if (ckpt_bpf_run(program, &r, sizeof(r)))
		return -1;
	*ret = r.at;
	return 0;
}

int ckpt_peek_get(int program, uint64_t at, void *to, size_t len)
{
	for (size_t done = 0; done < len;) {
		struct request r = { .at = at + done };

		r.len = len - done < PIECE ? len - done : PIECE;
		if (ckpt_bpf_run(program, &r, sizeof(r)))
			return -1;
		memcpy((uint8_t *)to + done, r.data, r.len);
		done += r.len;
	}
	return 0;
}

uint64_t ckpt_peek_word(int program, uint64_t at, bool *ok)
{
	uint64_t value = 0;

	*ok &= !ckpt_peek_get(program, at, &value, sizeof(value));
	return value;
}

uint32_t ckpt_peek_half(int program, uint64_t at, bool *ok)
{
	uint32_t value = 0;

	*ok &= !ckpt_peek_get(program, at, &value, sizeof(value));
	return value;
}
