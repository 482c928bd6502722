/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Gather: many reads of other processes' memory, noted first and made together. */
#ifndef CKPT_PROC_GATHER_H
#define CKPT_PROC_GATHER_H

#include "proc/memory.h"

/**
 * struct ckpt_gather_read - one of them
 * @from: stays open until they are made
 * @addr: first byte, page aligned
 * @to: faulted-in memory for @len bytes
 * @len: bytes, whole pages
 * @got: bytes read, short where the range ends in a hole or the process is gone
 */
struct ckpt_gather_read {
	struct ckpt_memory from;
	uint64_t addr;
	void *to;
	size_t len, got;
};

struct ckpt_gather {
	struct ckpt_gather_read *reads;
	size_t n, room;
	uint64_t len;
};

void ckpt_gather_done(struct ckpt_gather *g);
int ckpt_gather_add(struct ckpt_gather *g, const struct ckpt_memory *from, uint64_t addr, void *to,
		    size_t len, struct ckpt_err *err);

/**
 * ckpt_gather_run - make all reads, on all processors
 *
 * Return: the first that came out short, or NULL.
 */
const struct ckpt_gather_read *ckpt_gather_run(struct ckpt_gather *g);

#endif
