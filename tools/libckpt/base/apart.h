/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A process forked from a tool, which outlives it: nothing that ends the tool ends it. */
#ifndef CKPT_BASE_APART_H
#define CKPT_BASE_APART_H

#include <stddef.h>

/* Where such a process goes that the root of cgroup v2 does not take; it stays. */
#define CKPT_KEEPER_CGROUP "/ckpt.keeper"

/**
 * ckpt_apart_descriptors - keep no descriptor of the caller but these
 * @kept: they become 3, 4 and so on; the new numbers are written back
 *
 * Descriptors 0 to 2 lead to /dev/null then, and there may be as many as the hard limit says.
 * Does not return without the means.
 */
void ckpt_apart_descriptors(int *const *kept, size_t n);

/**
 * ckpt_apart - leave session, cgroup, signals and memory pressure of the caller
 * @name: for ps, at most 15 bytes
 *
 * None of it is vital, so what is not permitted is left.
 */
void ckpt_apart(const char *name);

#endif
