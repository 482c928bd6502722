// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Begun lines: is there a line in a terminal that has no end yet?
 *
 * In canonical mode it can neither be read nor counted until it ends, and no system call tells.
 * The kernel knows: of what has come in, n_tty counts where it ends and how far it was read.  A
 * small BPF program that we call ourselves reads these two numbers, and changes nothing.
 */
#include "proc/bpf.h"
#include "proc/pty.h"

/* What the program is given, and gives: of descriptor @fd of who calls it. */
struct counts {
	uint64_t fd, head, tail;
};

/* The way from a task to what its descriptor leads to. */
enum { FILES, FDT, FD, PRIVATE, TTY, DATA, HEAD, TAIL, N_MEMBERS };

static void store(struct ckpt_bpf *p, size_t at)
{
	ckpt_bpf_emit(p, BPF_STX | BPF_MEM | BPF_DW, BPF_REG_6, BPF_REG_7, at, 0);
}

static void write_program(struct ckpt_bpf *p, const struct ckpt_btf_member *m)
{
	ckpt_bpf_move(p, BPF_REG_6, BPF_REG_1);
	ckpt_bpf_call(p, BPF_FUNC_get_current_task);
	ckpt_bpf_load(p, BPF_REG_0, m[FILES].offset);
	ckpt_bpf_load(p, BPF_REG_7, m[FDT].offset);
	ckpt_bpf_load(p, BPF_REG_7, m[FD].offset);
	ckpt_bpf_emit(p, BPF_LDX | BPF_MEM | BPF_DW, BPF_REG_8, BPF_REG_6,
		      offsetof(struct counts, fd), 0);
	ckpt_bpf_emit(p, BPF_ALU64 | BPF_LSH | BPF_K, BPF_REG_8, 0, 0, 3);
	ckpt_bpf_emit(p, BPF_ALU64 | BPF_ADD | BPF_X, BPF_REG_7, BPF_REG_8, 0, 0);
	ckpt_bpf_load(p, BPF_REG_7, 0);
	ckpt_bpf_load(p, BPF_REG_7, m[PRIVATE].offset);
	ckpt_bpf_load(p, BPF_REG_7, m[TTY].offset);
	ckpt_bpf_load(p, BPF_REG_7, m[DATA].offset);
	ckpt_bpf_move(p, BPF_REG_8, BPF_REG_7);
	ckpt_bpf_load(p, BPF_REG_8, m[HEAD].offset);
	store(p, offsetof(struct counts, head));
	ckpt_bpf_load(p, BPF_REG_8, m[TAIL].offset);
	store(p, offsetof(struct counts, tail));
	ckpt_bpf_end(p, 0);
}

int ckpt_pty_line_open(void)
{
	struct ckpt_btf_member members[N_MEMBERS] = {
		[FILES] = { "task_struct", "files", 0 },
		[FDT] = { "files_struct", "fdt", 0 },
		[FD] = { "fdtable", "fd", 0 },
		[PRIVATE] = { "file", "private_data", 0 },
		[TTY] = { "tty_file_private", "tty", 0 },
		[DATA] = { "tty_struct", "disc_data", 0 },
		[HEAD] = { "n_tty_data", "read_head", 0 },
		[TAIL] = { "n_tty_data", "read_tail", 0 },
	};
	struct ckpt_bpf p = { .n = 0 };

	if (ckpt_bpf_members(members, N_MEMBERS))
		return -1;
	write_program(&p, members);
	return ckpt_bpf_make(&p, BPF_PROG_TYPE_SYSCALL, BPF_F_SLEEPABLE, "ckpt_pty_line");
}

int64_t ckpt_pty_line_count(int program, int fd)
{
	struct counts c = { .fd = fd };

	return ckpt_bpf_run(program, &c, sizeof(c)) ? -1 : (int64_t)(c.head - c.tail);
}
