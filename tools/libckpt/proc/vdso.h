/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Vdso code: the functions of a vdso, and how those of one lead to another
 *
 * Pure: a vdso is bytes here, those of this kernel or those that an image holds, which may be
 * crafted.  vdso-build.c puts it into processes, vdso-check.c decides whether it can.
 */
#ifndef CKPT_PROC_VDSO_H
#define CKPT_PROC_VDSO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "proc/image.h"

#define CKPT_VDSO_MAX 0x10000u	/* bytes; those of the kernels have two pages */
#define CKPT_VDSO_SYMBOLS 64
#define CKPT_VDSO_PARTS 4

/**
 * struct ckpt_vdso - the vdso and the data areas beside it
 * @base: of the lowest part
 * @len: from there to the end of the highest
 * @syscall_at: offset of a syscall instruction from @base
 * @part: offset from @base and length of each, ascending
 */
struct ckpt_vdso {
	uint64_t base, len;
	uint64_t syscall_at;
	size_t n;
	struct {
		uint64_t offset, len;
	} part[CKPT_VDSO_PARTS];
};

/* A function under one of its names: @at is its offset, @name lies in the vdso. */
struct ckpt_vdso_symbol {
	uint64_t at;
	const char *name;
};

/**
 * struct ckpt_vdso_code - a vdso as its ELF tables describe it
 * @data, @len: the bytes, owned by nobody here
 * @start, @end: all of its code lies between
 * @symbol: exported functions by rising offset; several names may share one
 */
struct ckpt_vdso_code {
	const uint8_t *data;
	size_t len;
	uint64_t start, end;
	size_t n;
	struct ckpt_vdso_symbol symbol[CKPT_VDSO_SYMBOLS];
};

/* Return: NULL, or what is wrong with it, as in "the vdso ...", with *@ret untouched. */
const char *ckpt_vdso_parse(const void *data, size_t len, struct ckpt_vdso_code *ret);

/* vdso-parts.c: the vdso of a process, and as an image has it; then n is 0 when it has none. */
int ckpt_vdso_survey(pid_t pid, struct ckpt_vdso *ret, struct ckpt_err *err);
int ckpt_vdso_survey_mm(const struct ckpt_mm *mm, struct ckpt_vdso *ret, struct ckpt_err *err);
/* Are they in pieces of the same size, with the same gaps? */
bool ckpt_vdso_same_parts(const struct ckpt_vdso *a, const struct ckpt_vdso *b);

/* Is @at, an offset, inside of a function or between two, and not where one begins? */
bool ckpt_vdso_inside(const struct ckpt_vdso_code *code, uint64_t at);
/* Is it where a call returns to? */
bool ckpt_vdso_returns(const struct ckpt_vdso_code *code, uint64_t at);

/**
 * ckpt_vdso_patch - let the functions of one vdso be those of another
 * @was: the one whose functions are called
 * @base: where it lies
 * @is: the one that answers
 * @is_base: where that lies, in the same address space
 * @kernel: where @was comes from, for messages
 * @ret: @was->len bytes: those of @was, but for the first of each function
 *
 * Return: 0; -1, CKPT_REFUSED, when a function has no counterpart.
 */
int ckpt_vdso_patch(const struct ckpt_vdso_code *was, uint64_t base,
		    const struct ckpt_vdso_code *is, uint64_t is_base, const char *kernel,
		    uint8_t *ret, struct ckpt_err *err);

#endif
