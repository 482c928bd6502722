/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CPUs: which a task may run on, and which it has when it asks for none
 *
 * A thread that has the usual ones asked for none in particular: it gets the usual
 * ones where it is restored.  Any other set is kept as it is.
 */
#ifndef CKPT_PROC_CPUS_H
#define CKPT_PROC_CPUS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "proc/image.h"

/* Sets as the kernel writes them, "0-3,8". Return: 0, or -1 when it is none. Pure. */
int ckpt_cpus_parse(const char *text, uint8_t ret[CKPT_CPUS_LEN]);
/* The first CPU of @set that is not in @all, or -1. Pure. */
int ckpt_cpus_outside(const uint8_t set[CKPT_CPUS_LEN], const uint8_t all[CKPT_CPUS_LEN]);
/* Do the two have one in common? Pure. */
bool ckpt_cpus_shared(const uint8_t a[CKPT_CPUS_LEN], const uint8_t b[CKPT_CPUS_LEN]);
/* As the kernel writes it, for messages: what does not fit is cut off with "...". Pure. */
void ckpt_cpus_format(const uint8_t set[CKPT_CPUS_LEN], char *ret, size_t size);
/* Does @thread run on the usual CPUs of where it was captured? Pure. */
bool ckpt_cpus_unasked(const struct ckpt_image *image, const struct ckpt_thread *thread);
/* Does the image say which these were? Older ones do not. Pure. */
bool ckpt_cpus_recorded(const struct ckpt_image *image);

/**
 * struct ckpt_cpus - CPUs of a place
 * @can: what a task there gets that asks for all
 * @usual: what one has that asks for none: all of them, but where no cpuset is in
 *	use what pid 1 has (isolcpus, CPUAffinity of systemd)
 */
struct ckpt_cpus {
	uint8_t can[CKPT_CPUS_LEN];
	uint8_t usual[CKPT_CPUS_LEN];
};

/**
 * ckpt_cpus_of - the CPUs of a cgroup
 * @cgroup: descriptor of its directory; -1: that of the caller
 * @who: a process there, which is given all CPUs that there are; 0: none is, and where
 *	no cpuset shows (cgroup v1, a container) a child of the caller is asked
 */
int ckpt_cpus_of(int cgroup, pid_t who, struct ckpt_cpus *ret, struct ckpt_err *err);

/* Leave in @c what a cgroup there has with @cpuset as its cpuset.cpus; NULL: all. Pure. */
int ckpt_cpus_limit(struct ckpt_cpus *c, const char *cpuset);

#endif
