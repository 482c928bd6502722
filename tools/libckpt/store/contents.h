/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Contents: what changed pages hold, each once
 *
 * Processes of which one has forked the others share most of their memory, however the pages
 * that they have written since are scattered.  So what is staged, packed and stored is content,
 * not pages: pages of one fingerprint have one.
 *
 * REFCNT: a content is held by the pages that have it.  Without any it keeps its number and what
 * was packed of it, and lets go of its staging memory.
 */
#ifndef CKPT_STORE_CONTENTS_H
#define CKPT_STORE_CONTENTS_H

#include <stdbool.h>

#include "store/fingerprint.h"
#include "store/staging.h"

#define CKPT_NO_CONTENT UINT32_MAX

enum ckpt_content_is {
	CKPT_CONTENT_EMPTY,	/* nobody has said what it holds */
	CKPT_CONTENT_STAGED,	/* @at is a slot of the staging memory */
	CKPT_CONTENT_STORED,	/* @at names block and page in it */
	CKPT_CONTENT_OF_PARENT,	/* a page of the parent, @key, has it */
};

/**
 * struct ckpt_content - one content
 * @fp: its fingerprint
 * @key: the lowest of a page that has brought it: what lies together is packed together
 * @at: see enum ckpt_content_is
 * @refs: pages that have it
 * @is: enum ckpt_content_is
 * @listed: it is in the list of what was staged
 */
struct ckpt_content {
	struct ckpt_fingerprint fp;
	uint64_t key;
	uint32_t at;
	uint32_t refs;
	uint8_t is;
	bool listed;
};

/**
 * struct ckpt_contents - all of them
 * @content: @n of them
 * @bucket: @buckets numbers of contents, found by fingerprint; a power of two
 * @listed: contents that were staged, @n_listed of them; some may not be any more
 * @staging: the memory
 */
struct ckpt_contents {
	struct ckpt_content *content;
	uint32_t n, room;
	uint32_t *bucket, buckets;
	uint32_t *listed, n_listed, listed_room;
	struct ckpt_staging staging;
};

void ckpt_contents_done(struct ckpt_contents *p);
/* Made empty if need be. Return: its number, CKPT_NO_CONTENT without memory. */
uint32_t ckpt_contents_find(struct ckpt_contents *p, const struct ckpt_fingerprint *fp);
/* Take in a page of the parent, unless its content is known. Return: 0, -1 without memory. */
int ckpt_contents_recall(struct ckpt_contents *p, const struct ckpt_fingerprint *fp, uint64_t key);
/* Stage what page @key brings. Return: 0, -1 without memory. */
int ckpt_contents_stage(struct ckpt_contents *p, uint32_t number, uint64_t key, const void *data);
/* Page @key has it as well: it has been staged, or stored. */
void ckpt_contents_get(struct ckpt_contents *p, uint32_t number, uint64_t key);
/* One page less has it. */
void ckpt_contents_put(struct ckpt_contents *p, uint32_t number);
/* What was staged is in a block now. */
void ckpt_contents_stored(struct ckpt_contents *p, uint32_t number, uint32_t at);

/**
 * ckpt_contents_staged - what has to be packed
 * @ret: room for p->staging.used numbers; in order of keys
 *
 * Return: how many.
 */
size_t ckpt_contents_staged(struct ckpt_contents *p, uint32_t *ret);

#endif
