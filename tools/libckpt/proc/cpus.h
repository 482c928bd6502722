/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CPUs: which a task may run on when it asks for none
 *
 * A thread that has all of them asked for none in particular: it gets all that
 * there are where it is restored.  Any other set is kept as it is.
 */
#ifndef CKPT_PROC_CPUS_H
#define CKPT_PROC_CPUS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "proc/image.h"

/* Sets as the kernel writes them, "0-3,8". Return: 0, or -1 when it is none. Pure. */
int ckpt_cpus_parse(const char *text, uint8_t ret[CKPT_CPUS_LEN]);
/* The first CPU of @set that is not in @all, or -1. Pure. */
int ckpt_cpus_outside(const uint8_t set[CKPT_CPUS_LEN], const uint8_t all[CKPT_CPUS_LEN]);
/* Does @thread run on all CPUs that it could have when it was captured? Pure. */
bool ckpt_cpus_unasked(const struct ckpt_image *image, const struct ckpt_thread *thread);

/**
 * ckpt_cpus_of - the CPUs that tasks of a cgroup may run on
 * @cgroup: descriptor of its directory; -1: those of the machine
 * @ret: the set
 * @ret_text: the same as text, allocated; may be NULL
 */
int ckpt_cpus_of(int cgroup, uint8_t ret[CKPT_CPUS_LEN], char **ret_text, struct ckpt_err *err);

#endif
