/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Made vdsos: no code but breakpoints, and functions where a test wants them. */
#ifndef CKPT_TEST_VDSO_MADE_H
#define CKPT_TEST_VDSO_MADE_H

#include "proc/vdso.h"

#define VDSO_MADE_LEN 0x2000u
#define VDSO_MADE_TEXT 0x800u	/* where its code begins */
#define VDSO_MADE_END 0x1800u	/* and ends */

/* Offsets of the section headers, of its symbols and of their names. */
#define VDSO_MADE_SECTIONS 0x1800u
#define VDSO_MADE_SYMBOLS 0x100u
#define VDSO_MADE_NAMES 0x500u

struct vdso_function {
	const char *name;
	uint64_t at;
};

/* @len at least VDSO_MADE_LEN; a list ends with a NULL name. */
void vdso_made(uint8_t *data, size_t len, const struct vdso_function *list);
/* The vdso of this process. */
void vdso_own(struct ckpt_vdso_code *ret);
/* Where a function of it is. */
uint64_t vdso_own_at(const char *name);

#define VDSO_FUNCTIONS 16

/* Where all of its functions are, under the names that tests/workloads/vdso_calls.c knows. */
void vdso_own_places(struct vdso_function ret[VDSO_FUNCTIONS]);
/* From now on the image is one of a kernel with such a vdso. */
void vdso_exchange(struct ckpt_image *image, const struct vdso_function *list);
/* The same for one that a test has changed by itself. */
void vdso_hash_again(struct ckpt_image *image);
/* Where it lies. */
uint64_t vdso_place(const struct ckpt_mm *mm);

#endif
