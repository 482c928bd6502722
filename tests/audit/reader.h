/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Taking epochs of the group while it works
 */
#ifndef TESTS_AUDIT_READER_H
#define TESTS_AUDIT_READER_H

#include "lib/client.h"

#include "image.h"
#include "phase.h"
#include "shared.h"
#include "tree.h"

/**
 * struct reader - who takes, and what came of it
 * @client: the owner of the epochs
 * @seed: of its choices
 * @image: the memory, parent + delta
 * @shared: the inodes that they share, the same
 * @shared_tally: what was compared of them
 * @files: the root at the parent
 * @told: inodes told since the epoch began
 * @full: the module has lost changes of files and said so
 * @epochs, @commits, @aborts, @closes, @unheard, @fulls: how they went
 * @looks: how often memory was compared
 * @actor: cookies of the actors' address spaces, 0: not told yet
 * @direct_pages, @ksm_pages, @migration_pages: told in any round, as what they are
 * @ksm_most: pages that KSM saved, at the most
 * @pages, @inodes: compared
 * @twice: shared pages told more than once in a round
 * @runs_on, @run_ons: one that writes below the root is not frozen, and how often
 * @tally: changes of files, made and compared
 * @phases: where the time goes
 * @lost_pages, @lost_inodes: differing and not told
 * @drains: rounds taken because direct I/O was in flight
 * @clears: how often somebody else cleared bits
 * @squeezed, @squeezes: the group is over its limit, and how often it was
 * @vanished: pages the kernel dropped from frozen processes
 * @changed_inodes, @false_inodes: differing; told and not differing
 */
struct reader {
	struct client client;
	uint64_t seed;
	struct image image, shared;
	struct shared_tally shared_tally;
	struct tree files;
	struct inodes told;
	bool full, runs_on;
	struct tally tally;
	struct phases phases;
	unsigned long epochs, commits, aborts, closes, unheard, fulls;
	unsigned long drains, vanished, looks, squeezes, run_ons, clears;
	bool squeezed;
	uint64_t actor[ACTORS];
	uint64_t direct_pages, ksm_pages, migration_pages, ksm_most;
	uint64_t pages, twice, lost_pages;
	uint64_t inodes, lost_inodes, changed_inodes, false_inodes;
};

/* One epoch, from begin to its end, whichever that is.  Return: false if something is lost. */
bool reader_epoch(struct reader *r);
/* At least so many pages of each actor are compared on the average; it has twice that. */
#define PAGES_A_LOOK 256
/* Was each of them compared in every epoch that all were?  Prints how often. */
bool reader_actors(struct reader *r);

/* Numbers of epochs in which something is not left to luck. */
enum { SURE_SQUEEZE = 2, SURE_UNHEARD, SURE_ABORT, SURE_CLOSE, SURE_CLEAR };

/* press.c: */

/* All, or all but the one that runs on. */
void freeze_all(bool frozen, bool runner_too);
/* Nobody comes into a cgroup of the group from now on, and nobody is on the way. */
void close_group(bool closed);
/* Somebody else clears the soft-dirty bits of one of them. */
void clear_bits(struct reader *r);
/*
 * A limit below what the group has, so that it lives on swap until the end of the epoch.  What is
 * locked or pinned is little; but what it has may be little, too, when most of it is on swap.
 */
void squeeze(struct reader *r, bool on);
/* What makes pages vanish and come back while rounds are taken. */
void stir(struct reader *r);
/*
 * Direct reads of the group take long, in some epochs very long, so that rounds and freezes come
 * between.
 */
#define READS 60
#define READS_HELD 2
void reads_a_second(unsigned int n);

#endif
