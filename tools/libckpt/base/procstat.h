/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fields of /proc/PID/stat, by their numbers in proc_pid_stat(5). */
#ifndef CKPT_BASE_PROCSTAT_H
#define CKPT_BASE_PROCSTAT_H

#include <stddef.h>
#include <stdint.h>

#define CKPT_STAT_FLAGS 9
#define CKPT_STAT_THREADS 20
#define CKPT_STAT_START_TIME 22
#define CKPT_STAT_ARG_START 48		/* the next one is where the arguments end */

/**
 * ckpt_procstat - @n fields from number @field on
 * @pid: 0: the caller
 *
 * Return: 0 or -errno; ENOENT and ESRCH: there is no such process.
 */
int ckpt_procstat(int32_t pid, int field, uint64_t *ret, size_t n);

#endif
