/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Peeks: the kernel's memory as it is, for what no system call tells without changing it
 *
 * A small BPF program that we call ourselves finds what a descriptor of ours leads to, and reads
 * memory piece by piece.  It holds no lock: whoever looks at what may change meanwhile looks twice.
 */
#ifndef CKPT_PROC_PEEK_H
#define CKPT_PROC_PEEK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proc/btf.h"

/* From a task to the object of its descriptor: the first members of every list that is wanted. */
enum { CKPT_PEEK_FILES, CKPT_PEEK_FDT, CKPT_PEEK_FD, CKPT_PEEK_PRIVATE, CKPT_PEEK_OWN };

#define CKPT_PEEK_WAY \
	[CKPT_PEEK_FILES] = { "task_struct", "files", 0 }, \
	[CKPT_PEEK_FDT] = { "files_struct", "fdt", 0 }, \
	[CKPT_PEEK_FD] = { "fdtable", "fd", 0 }, \
	[CKPT_PEEK_PRIVATE] = { "file", "private_data", 0 }

/**
 * ckpt_peek_open - make the program
 * @wanted: CKPT_PEEK_WAY, and behind it what the caller is to read
 * @ret_offsets: @n, of each in its structure
 *
 * Return: a descriptor, or -1: this kernel, or our rights, do not let us.
 */
int ckpt_peek_open(const struct ckpt_btf_member *wanted, size_t n, uint32_t *ret_offsets);

/* Where the private data of descriptor @fd of ours is. Return: 0 or -1. */
int ckpt_peek_private(int program, int fd, uint64_t *ret);
/* Kernel memory at @at. Return: 0 or -1. */
int ckpt_peek_get(int program, uint64_t at, void *to, size_t len);
/* A number there; @ok becomes false when there is none. */
uint64_t ckpt_peek_word(int program, uint64_t at, bool *ok);
uint32_t ckpt_peek_half(int program, uint64_t at, bool *ok);

#endif
