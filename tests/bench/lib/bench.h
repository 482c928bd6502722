/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Measuring in ratios: what every bench shares
 *
 * A bench measures two ways to do the same thing in turn, in one boot, and tells the ratio of
 * their CPU times.  It checks what it has measured as a test does (world.h), and fails where
 * that is not so.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "lib/world.h"

#define RATIOS_MAX 64

/**
 * struct ratios - what was measured of one thing
 * @of: one for each time both ways were measured
 * @n: their number
 */
struct ratios {
	double of[RATIOS_MAX];
	size_t n;
};

/* CKPT_BENCH=small: a run that shows that all works, and measures nothing worth telling. */
bool bench_small(void);
/* The first, or in a small run the second. */
unsigned int bench_pick(unsigned int full, unsigned int small);

/* CPU seconds of the calling process so far, user and system. */
double cpu_used(void);
/*
 * Run a shell command in the cgroup /sys/fs/cgroup/CGROUP (NULL: where we are).  While it runs
 * beat(data) is called once a second, if it is not NULL.  Return: its CPU seconds.
 */
double cpu_of(const char *command, const char *cgroup, void (*beat)(void *data), void *data);
/* The same of a function, called in a child of ours. */
double cpu_of_fn(void (*fn)(void));

double median(const double *of, size_t n);
void ratios_add(struct ratios *r, double measured, double against);
/*
 * Print a result and add it to the file of results.  Return: the median.
 * @name: of the bench, with its size; @against: what 1.0 is.
 */
double ratios_tell(const struct ratios *r, const char *against, const char *name, ...)
	__attribute__((format(printf, 3, 4)));
/* Say so if a ratio is more than it is meant to be; that is no failure of the bench. */
void ratios_target(double ratio, double most, const char *name);

#endif
