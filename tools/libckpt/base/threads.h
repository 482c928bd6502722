/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Threads: one function on several processors at once. */
#ifndef CKPT_BASE_THREADS_H
#define CKPT_BASE_THREADS_H

#define CKPT_THREADS_MAX 8

/* Processors that this thread may use, CKPT_THREADS_MAX at most. */
unsigned int ckpt_threads_wanted(void);

/**
 * ckpt_threads_run - call a function in up to @n threads, the caller's among them
 * @n: CKPT_THREADS_MAX at most; fewer where no more can be had
 * @fn: returns NULL; shares its work by what @arg leads to
 *
 * Returns when all have returned.  The others take no signals: those are for the threads of
 * the caller.
 */
void ckpt_threads_run(unsigned int n, void *(*fn)(void *arg), void *arg);

#endif
