// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Begun lines: is there a line in a terminal that has no end yet?
 *
 * In canonical mode it can neither be read nor counted until it ends, and no system call tells.
 * The kernel knows: of what has come in, n_tty counts where it ends and how far it was read.  A
 * small BPF program that we call ourselves reads these two numbers, and changes nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/btf.h"
#include "proc/pty.h"

#define VMLINUX "/sys/kernel/btf/vmlinux"
#define MAX_INSNS 128

/* What the program is given, and gives: of descriptor @fd of who calls it. */
struct counts {
	uint64_t fd, head, tail;
};

/* The way from a task to what its descriptor leads to. */
enum { FILES, FDT, FD, PRIVATE, TTY, DATA, HEAD, TAIL, N_MEMBERS };

struct program {
	struct bpf_insn insns[MAX_INSNS];
	uint32_t n;
};

static void emit(struct program *p, uint8_t code, uint8_t dst, uint8_t src, int16_t off,
		 int32_t imm)
{
	p->insns[p->n++] = (struct bpf_insn){
		.code = code, .dst_reg = dst, .src_reg = src, .off = off, .imm = imm,
	};
}

static void move(struct program *p, uint8_t dst, uint8_t src)
{
	emit(p, BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0);
}

static void add(struct program *p, uint8_t dst, int32_t imm)
{
	emit(p, BPF_ALU64 | BPF_ADD | BPF_K, dst, 0, 0, imm);
}

/* r7 = what is in kernel memory at @from + @offset; end with 1 when there is none. */
static void load(struct program *p, uint8_t from, uint32_t offset)
{
	move(p, BPF_REG_1, BPF_REG_10);
	add(p, BPF_REG_1, -8);
	emit(p, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_2, 0, 0, 8);
	move(p, BPF_REG_3, from);
	add(p, BPF_REG_3, offset);
	emit(p, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_probe_read_kernel);
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_0, 0, 2, 0);
	emit(p, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 1);
	emit(p, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	emit(p, BPF_LDX | BPF_MEM | BPF_DW, BPF_REG_7, BPF_REG_10, -8, 0);
}

static void store(struct program *p, size_t at)
{
	emit(p, BPF_STX | BPF_MEM | BPF_DW, BPF_REG_6, BPF_REG_7, at, 0);
}

static void write_program(struct program *p, const struct ckpt_btf_member *m)
{
	move(p, BPF_REG_6, BPF_REG_1);
	emit(p, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_get_current_task);
	load(p, BPF_REG_0, m[FILES].offset);
	load(p, BPF_REG_7, m[FDT].offset);
	load(p, BPF_REG_7, m[FD].offset);
	emit(p, BPF_LDX | BPF_MEM | BPF_DW, BPF_REG_8, BPF_REG_6, offsetof(struct counts, fd), 0);
	emit(p, BPF_ALU64 | BPF_LSH | BPF_K, BPF_REG_8, 0, 0, 3);
	emit(p, BPF_ALU64 | BPF_ADD | BPF_X, BPF_REG_7, BPF_REG_8, 0, 0);
	load(p, BPF_REG_7, 0);
	load(p, BPF_REG_7, m[PRIVATE].offset);
	load(p, BPF_REG_7, m[TTY].offset);
	load(p, BPF_REG_7, m[DATA].offset);
	move(p, BPF_REG_8, BPF_REG_7);
	load(p, BPF_REG_8, m[HEAD].offset);
	store(p, offsetof(struct counts, head));
	load(p, BPF_REG_8, m[TAIL].offset);
	store(p, offsetof(struct counts, tail));
	emit(p, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0);
	emit(p, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

static int find(struct ckpt_btf_member *members)
{
	cleanup_close int fd = open(VMLINUX, O_RDONLY | O_CLOEXEC);
	cleanup_free uint8_t *data = NULL;
	struct stat st;
	size_t done = 0;

	if (fd < 0 || fstat(fd, &st))
		return -1;
	data = malloc(st.st_size);
	while (data && done < (size_t)st.st_size) {
		ssize_t n = read(fd, data + done, st.st_size - done);

		if (n <= 0)
			return -1;
		done += n;
	}
	return data ? ckpt_btf_find(data, done, members, N_MEMBERS) : -1;
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
	struct program p = { .n = 0 };
	union bpf_attr attr = { 0 };

	if (find(members))
		return -1;
	write_program(&p, members);
	attr.prog_type = BPF_PROG_TYPE_SYSCALL;
	attr.prog_flags = BPF_F_SLEEPABLE;
	attr.insns = (uintptr_t)p.insns;
	attr.insn_cnt = p.n;
	attr.license = (uintptr_t)"GPL";
	strcpy(attr.prog_name, "ckpt_pty_line");
	return syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
}

int64_t ckpt_pty_line_count(int program, int fd)
{
	struct counts c = { .fd = fd };
	union bpf_attr attr = { 0 };

	attr.test.prog_fd = program;
	attr.test.ctx_in = (uintptr_t)&c;
	attr.test.ctx_size_in = sizeof(c);
	if (program < 0 || syscall(SYS_bpf, BPF_PROG_RUN, &attr, sizeof(attr)) ||
	    attr.test.retval)
		return -1;
	return (int64_t)(c.head - c.tail);
}
