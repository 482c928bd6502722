/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory of another process, read in bulk. */
#ifndef CKPT_PROC_MEMORY_H
#define CKPT_PROC_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/**
 * struct ckpt_memory - an address space open for reading
 * @pid: a process of it
 * @fd: /proc/PID/mem, which also reads pages that the task itself may not
 * @pagemap: /proc/PID/pagemap
 * @forked: it may share pages with another one, here and there
 */
struct ckpt_memory {
	pid_t pid;
	int fd, pagemap;
	bool forked;
};

#define CKPT_MEMORY_NONE { .fd = -1, .pagemap = -1 }

int ckpt_memory_open(pid_t pid, struct ckpt_memory *ret, struct ckpt_err *err);
void ckpt_memory_close(struct ckpt_memory *m);

/**
 * ckpt_memory_read - read as much of a range as is there; what is shared stays shared
 * @addr: first byte, page aligned
 * @data: faulted-in memory for @len bytes
 * @len: bytes, whole pages
 *
 * Return: bytes read from @addr on, short where the range ends in a hole or
 * the process is gone.
 */
size_t ckpt_memory_read(const struct ckpt_memory *m, uint64_t addr, void *data, size_t len);

/* Has the process lost its memory, by exit or exec? */
bool ckpt_memory_gone(const struct ckpt_memory *m);

#endif
