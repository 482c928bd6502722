/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shared memory: what a tool would have of it, and the truth
 */
#ifndef TESTS_AUDIT_SHARED_H
#define TESTS_AUDIT_SHARED_H

#include <stdio.h>
#include <sys/stat.h>

#include "image.h"
#include "tree.h"

#define SHARED_PAGES 64		/* read at a time */

/* A line of /proc/PID/maps. */
struct mapping {
	uint64_t start, end, offset, dev, ino;
	char mode[8];
	char name[128];
};

struct maps {
	FILE *file;
};

/* false: there is no such process any more. */
bool maps_open(struct maps *maps, pid_t pid);
bool maps_next(struct maps *maps, struct mapping *ret);
void maps_close(struct maps *maps);
/* The file of a mapping, by itself.  Return: a descriptor, or -1. */
int mapping_open(pid_t pid, uint64_t start, uint64_t end);
/* As the module tells it. */
uint64_t device_of(const struct stat *st);

bool is_shared(const struct area *a);
/*
 * Of a mapping at @start, what tells it from all others of its device.  A segment has its id for
 * an inode number, which a memfd may have as well.
 */
#define SEGMENT (1ULL << 63)
uint64_t shared_number(uint64_t start, uint64_t ino);
/* Of an address, in the file: bytes. */
uint64_t shared_offset(const struct area *a, uint64_t addr);

/**
 * shared_told - take in a last round: which pages are told with a run
 * @img: the inodes
 * @p: the round
 * @ret_twice: grows by the pages told more than once in the round
 */
void shared_told(struct image *img, const struct pages *p, uint64_t *ret_twice);

/**
 * shared_copy - then copy what is told
 * @img: the inodes
 * @p: the round
 * @told: inodes told since the epoch began
 */
void shared_copy(struct image *img, const struct pages *p, const struct inodes *told);

/**
 * struct shared_tally - what was compared of shared memory
 * @pages: of each kind, by a full copy of the file
 * @absent: of them, those that no page table had
 * @mapped: through the mappings
 * @huge: KiB that an actor had mapped as huge pages, added up
 */
struct shared_tally {
	uint64_t pages[NR_KINDS];
	uint64_t absent, mapped, huge;
};

/**
 * truth_entries - is each page told that a page table has?
 * @img: the inodes, and which pages were told
 * @p: the round
 *
 * Before they are copied: reading a page that was reclaimed meanwhile maps those around it, too.
 *
 * Return: pages that nobody told; says which.
 */
size_t truth_entries(struct image *img, const struct pages *p);

/**
 * truth_shared - compare the inodes with full copies, and with what each mapping shows
 * @img: the inodes, the round copied
 * @p: the round
 * @tally: grows
 *
 * Which processes there are, and what they map, is asked of the kernel and not of the round.
 *
 * Return: pages, areas and processes that nobody told, or not as they are; says which.
 */
size_t truth_shared(struct image *img, const struct pages *p, struct shared_tally *tally);
/*
 * Print what was compared; return how many kinds were not: pages in no page table are one, and
 * huge ones.
 */
unsigned int shared_missing(const struct shared_tally *tally);

#endif
