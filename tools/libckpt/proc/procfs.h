/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads below one /proc/PID directory, and small helpers of the readers. */
#ifndef CKPT_PROC_PROCFS_H
#define CKPT_PROC_PROCFS_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"

/*
 * Does this negative errno say that the process (or thread) has ended?  The
 * lookup of a name below /proc/PID gives ENOENT, its permission check and the
 * reads behind it give ESRCH, whichever the end comes before.
 */
static inline bool ckpt_procfs_gone(int e)
{
	return e == -ENOENT || e == -ESRCH;
}

/**
 * ckpt_procfs_read - the whole of a /proc file
 * @dir: descriptor of /proc/PID
 * @name: below it
 * @ret: emptied first; ends in a NUL byte that its len does not count
 *
 * Return: 0, or a negative errno.
 */
int ckpt_procfs_read(int dir, const char *name, struct ckpt_buf *ret);

/**
 * ckpt_procfs_read_piece - one that the kernel shows as one piece: status, stat, limits, fdinfo
 *
 * As ckpt_procfs_read(), but that fewer bytes than there is room for are all: one read less.  What
 * is a list, like maps, comes in parts.
 */
int ckpt_procfs_read_piece(int dir, const char *name, struct ckpt_buf *ret);

/**
 * ckpt_procfs_link - target of a link, allocated
 *
 * Return: 0, or a negative errno.
 */
int ckpt_procfs_link(int dir, const char *name, char **ret);

/**
 * ckpt_procfs_numbers - names of a directory that are numbers, sorted
 * @ret: allocated
 *
 * Return: their count, or a negative errno.
 */
ssize_t ckpt_procfs_numbers(int dir, const char *name, int **ret);

/* CLOCK_MONOTONIC in ns. */
uint64_t ckpt_now_ns(void);
/* Sleep that long, with the precision the kernel has. */
void ckpt_sleep_us(unsigned int us);

/**
 * ckpt_grow - make room for one more item of an array
 * @array: in and out
 * @n: items used
 * @size: bytes of an item; the new one is zeroed
 *
 * Return: the new item, or NULL without memory.
 */
void *ckpt_grow(void *array, size_t *n, size_t size);

#endif
