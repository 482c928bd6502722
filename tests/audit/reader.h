/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Taking epochs of the group while it works
 */
#ifndef TESTS_AUDIT_READER_H
#define TESTS_AUDIT_READER_H

#include "lib/client.h"

#include "image.h"
#include "tree.h"

/**
 * struct reader - who takes, and what came of it
 * @client: the owner of the epochs
 * @seed: of its choices
 * @image: the memory, parent + delta
 * @files: the root at the parent
 * @told: inodes told since the epoch began
 * @full: the module has lost changes of files and said so
 * @epochs, @commits, @aborts, @closes, @unheard, @fulls: how they went
 * @pages, @shared, @inodes: compared
 * @twice: shared pages told more than once in a round
 * @tally: changes of files, made and compared
 * @running, @freezing, @frozen: seconds spent
 * @lost_pages, @lost_inodes: differing and not told
 * @drains: rounds taken because direct I/O was in flight
 * @vanished: pages the kernel dropped from frozen processes
 * @changed_inodes, @false_inodes: differing; told and not differing
 */
struct reader {
	struct client client;
	uint64_t seed;
	struct image image;
	struct tree files;
	struct inodes told;
	bool full;
	struct tally tally;
	double running, freezing, frozen;
	unsigned long epochs, commits, aborts, closes, unheard, fulls;
	unsigned long drains, vanished;
	uint64_t pages, shared, twice, lost_pages;
	uint64_t inodes, lost_inodes, changed_inodes, false_inodes;
};

/* One epoch, from begin to its end, whichever that is.  Return: false if something is lost. */
bool reader_epoch(struct reader *r);
/* Stop or release everybody, the outsider too. */
void freeze_all(bool frozen);

#endif
