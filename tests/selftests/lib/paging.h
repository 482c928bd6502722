/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Swap, and what the kernel's pagemap says, for tests
 */
#ifndef TESTS_PAGING_H
#define TESTS_PAGING_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define ENTRY_SOFT_DIRTY (1ULL << 55)	/* also of every page of an area that is marked */
#define ENTRY_FILE (1ULL << 61)		/* of a file, or shared */
#define ENTRY_SWAPPED (1ULL << 62)
#define ENTRY_PRESENT (1ULL << 63)
#define ENTRY_FRAME ((1ULL << 55) - 1)

/* 64 MiB of swap in /scratch; die on errors. */
void swap_start(void);
void swap_end(void);

/*
 * Empty the LRU batches of all CPUs: the pages in them have a reference more.  Compaction would
 * do so as well, and put back into them what it has looked at.
 */
void batches_drain(void);

/* How many of @nr pages have all of @bits in pagemap. */
size_t entries_with(pid_t pid, uint64_t addr, size_t nr, uint64_t bits);

#endif
