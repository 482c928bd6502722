/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Spare: memory that this process may still have. */
#ifndef CKPT_BASE_SPARE_H
#define CKPT_BASE_SPARE_H

#include <stdint.h>

/**
 * ckpt_spare_memory - the least of what the machine has available and what cgroups leave
 *
 * Of the cgroups that the process is in, v2 and v1, and of all above them.  What they hold as page
 * cache counts as used.
 *
 * Return: bytes; 0 where the machine does not say.
 */
uint64_t ckpt_spare_memory(void);

/* The same below another directory than /, for tests. */
uint64_t ckpt_spare_memory_at(const char *root);

#endif
