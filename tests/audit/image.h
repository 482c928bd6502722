/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The memory of a group as a checkpoint tool would have it: parent + delta
 *
 * Only what the module reports dirty is ever copied.  An epoch that is aborted takes its
 * copies along, as a tool does that throws a checkpoint away.
 */
#ifndef TESTS_AUDIT_IMAGE_H
#define TESTS_AUDIT_IMAGE_H

#include "lib/client.h"

#include "audit.h"

/**
 * struct image_page - one page
 * @old: its content in the parent
 * @now: as copied in this epoch, NULL: not copied
 * @stamp: round that told it last
 * @compared: as of which round, if it is of shared memory
 * @had: it was in the parent
 * @there: it is in the parent + delta
 * @unread: it was told dirty and could not be read, so it is not known until it is
 * @unproven: read through a pid that may have executed something else meanwhile
 */
struct image_page {
	uint8_t *old, *now;
	uint32_t stamp, compared;
	bool had, there, unread, unproven;
};

#define IMAGE_CHUNKS 256

/* The pages of 2 MiB; @used: a bit for each that was asked for, most are not. */
struct image_chunk {
	struct image_chunk *next;
	uint64_t addr;
	uint64_t used[SLOT_PAGES / 64];
	struct image_page page[SLOT_PAGES];
};

/* An address space; or an inode that many may map, whose addresses are offsets. */
struct image_mm {
	struct image_mm *next;
	uint64_t cookie;	/* or the inode's number, and its device */
	uint64_t dev;
	pid_t pid;
	uint32_t stamp;		/* of the last round that told its areas */
	uint32_t seen;		/* of the last one that named it */
	bool parent;		/* it was there at the last commit */
	unsigned long looks;	/* how often it was compared */
	uint64_t compared;	/* pages of it that were */
	struct image_chunk *chunk[IMAGE_CHUNKS];
};

/**
 * struct image - all address spaces, or all inodes
 * @mms: one for each
 * @stamp: of the round being taken in
 * @read: pages copied
 * @busy: times an mm was told to be busy
 * @parts: address spaces told in a round as the module knows them, and of them
 * @whole: those of which every page was dirty, so that nothing could be lost
 * @asked_again: pages that could not be read when they were told, and were told clean later
 * @filled: absent pages that the kernel made present after they were told, with zeros
 * @dirty: pages copied and committed, by kind
 * @same: of them, those that were what they had been
 * @born: pages of address spaces that came in the epoch, as of a child just forked
 * @inherited: of them, those that an older one has at the same address
 */
struct image {
	struct image_mm *mms;
	uint32_t stamp;
	uint64_t read, busy, parts, whole, asked_again, filled;
	uint64_t dirty[NR_KINDS], same[NR_KINDS];
	uint64_t born, inherited;
};

/*
 * Read pages of a process, of areas that forbid it as well.
 * Return: how many from the first on could be read.
 */
size_t read_pages(pid_t pid, int mem, uint64_t addr, void *buf, size_t n);

/* Take in a round: copy what is dirty, drop what is gone. */
void image_round(struct image *img, const struct pages *p);
/* Forget those that the last round did not name. */
void image_unseen(struct image *img);
void image_commit(struct image *img);
void image_abort(struct image *img);

struct image_mm *image_mm(struct image *img, uint64_t cookie);
struct image_mm *image_inode(struct image *img, uint64_t dev, uint64_t ino, bool make);
/* NULL if there is none and none is to be made. */
struct image_page *image_page(struct image_mm *mm, uint64_t addr, bool make);
/* It is there now, with this content. */
void image_put(struct image *img, struct image_mm *mm, uint64_t addr, const uint8_t *data);
/* What a page should hold, NULL when it was never told. */
const uint8_t *image_want(struct image_mm *mm, uint64_t addr);
/* Is it a state whose content must have been copied? */
bool has_content(int state);
bool is_followed(const struct area *a);

/**
 * truth_memory - compare the image with the processes, frozen since before the round
 * @img: the image, the round taken in
 * @p: the round
 * @thorough: pages that nobody could have changed, too
 * @ret_checked: pages compared
 * @ret_gone: of the differing ones, those that have vanished since: to be asked again
 *
 * Return: pages that differ; says which.
 */
size_t truth_memory(struct image *img, const struct pages *p, bool thorough,
		    size_t *ret_checked, size_t *ret_gone);

#endif
