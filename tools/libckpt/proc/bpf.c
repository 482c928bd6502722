// SPDX-License-Identifier: GPL-2.0-or-later
/* BPF programs: instructions, and the calls that make and run them. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/bpf.h"

#define VMLINUX "/sys/kernel/btf/vmlinux"
#define TRIES 10

void ckpt_bpf_emit(struct ckpt_bpf *p, uint8_t code, uint8_t dst, uint8_t src, int16_t off,
		   int32_t imm)
{
	p->insns[p->n++] = (struct bpf_insn){
		.code = code, .dst_reg = dst, .src_reg = src, .off = off, .imm = imm,
	};
}

void ckpt_bpf_move(struct ckpt_bpf *p, uint8_t dst, uint8_t src)
{
	ckpt_bpf_emit(p, BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0);
}

void ckpt_bpf_add(struct ckpt_bpf *p, uint8_t dst, int32_t imm)
{
	ckpt_bpf_emit(p, BPF_ALU64 | BPF_ADD | BPF_K, dst, 0, 0, imm);
}

void ckpt_bpf_call(struct ckpt_bpf *p, int32_t helper)
{
	ckpt_bpf_emit(p, BPF_JMP | BPF_CALL, 0, 0, 0, helper);
}

void ckpt_bpf_end(struct ckpt_bpf *p, int32_t value)
{
	ckpt_bpf_emit(p, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, value);
	ckpt_bpf_emit(p, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

void ckpt_bpf_load(struct ckpt_bpf *p, uint8_t from, uint32_t offset)
{
	ckpt_bpf_move(p, BPF_REG_1, BPF_REG_10);
	ckpt_bpf_add(p, BPF_REG_1, -8);
	ckpt_bpf_emit(p, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_2, 0, 0, 8);
	ckpt_bpf_move(p, BPF_REG_3, from);
	ckpt_bpf_add(p, BPF_REG_3, offset);
	ckpt_bpf_call(p, BPF_FUNC_probe_read_kernel);
	ckpt_bpf_emit(p, BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_0, 0, 2, 0);
	ckpt_bpf_end(p, 1);
	ckpt_bpf_emit(p, BPF_LDX | BPF_MEM | BPF_DW, BPF_REG_7, BPF_REG_10, -8, 0);
}

int ckpt_bpf_members(struct ckpt_btf_member *members, size_t n)
{
	cleanup_close int fd = open(VMLINUX, O_RDONLY | O_CLOEXEC);
	cleanup_free uint8_t *data = NULL;
	struct stat st;
	size_t done = 0;
	void *map;
	int ret;

	if (fd < 0 || fstat(fd, &st))
		return -1;
	/* since Linux 6.16, and much cheaper */
	map = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map != MAP_FAILED) {
		ret = ckpt_btf_find(map, st.st_size, members, n);
		munmap(map, st.st_size);
		return ret;
	}
	data = malloc(st.st_size);
	while (data && done < (size_t)st.st_size) {
		ssize_t got = read(fd, data + done, st.st_size - done);

		if (got <= 0)
			return -1;
		done += got;
	}
	return data ? ckpt_btf_find(data, done, members, n) : -1;
}

int ckpt_bpf_make(const struct ckpt_bpf *p, uint32_t type, uint32_t flags, const char *name)
{
	union bpf_attr attr = { 0 };
	int fd;

	attr.prog_type = type;
	attr.prog_flags = flags;
	attr.insns = (uintptr_t)p->insns;
	attr.insn_cnt = p->n;
	attr.license = (uintptr_t)"GPL";
	strncpy(attr.prog_name, name, sizeof(attr.prog_name) - 1);
	/* a signal ends its check */
	for (int i = 0; i < TRIES; i++) {
		fd = syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
		if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
			break;
	}
	return fd;
}

int ckpt_bpf_run(int program, void *ctx, size_t len)
{
	union bpf_attr attr = { 0 };

	attr.test.prog_fd = program;
	attr.test.ctx_in = (uintptr_t)ctx;
	attr.test.ctx_size_in = len;
	return program < 0 || syscall(SYS_bpf, BPF_PROG_RUN, &attr, sizeof(attr)) ||
	       attr.test.retval ? -1 : 0;
}
