/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * BTF: where the members of the kernel's structures are, as it describes itself
 */
#ifndef CKPT_PROC_BTF_H
#define CKPT_PROC_BTF_H

#include <stddef.h>
#include <stdint.h>

/* A member that is wanted, and its offset in bytes once it is found. */
struct ckpt_btf_member {
	const char *type, *name;
	uint32_t offset;
};

/**
 * ckpt_btf_find - the offsets of members of structures
 * @data, @len: BTF as in /sys/kernel/btf/vmlinux, aligned to 4 bytes
 * @members, @n: filled in
 *
 * Return: 0 when all were found; -1 for another form, or when one is missing.
 */
int ckpt_btf_find(const void *data, size_t len, struct ckpt_btf_member *members, size_t n);

#endif
