// SPDX-License-Identifier: GPL-2.0-or-later
/* Contents: what changed pages hold, each once. */
#include <stdlib.h>
#include <string.h>

#include "base/pages.h"
#include "store/contents.h"

#define MIN_BUCKETS 1024u

void ckpt_contents_done(struct ckpt_contents *p)
{
	ckpt_staging_done(&p->staging);
	free(p->content);
	free(p->bucket);
	free(p->listed);
	*p = (struct ckpt_contents){ 0 };
}

/* Fingerprints are keyed hashes: any part of one is as good as another. */
static uint32_t bucket_of(const struct ckpt_contents *p, const struct ckpt_fingerprint *fp)
{
	uint32_t at;

	memcpy(&at, fp->b, sizeof(at));
	return at & (p->buckets - 1);
}

/* The bucket that has @fp, or the free one where it would be. */
static uint32_t *look(const struct ckpt_contents *p, const struct ckpt_fingerprint *fp)
{
	uint32_t at = bucket_of(p, fp);

	while (p->bucket[at] != CKPT_NO_CONTENT &&
	       memcmp(&p->content[p->bucket[at]].fp, fp, sizeof(*fp)))
		at = (at + 1) & (p->buckets - 1);
	return &p->bucket[at];
}

/* At most half of the buckets are used. */
static int grow_buckets(struct ckpt_contents *p)
{
	uint32_t buckets = p->buckets ? 2 * p->buckets : MIN_BUCKETS;
	uint32_t *bucket;

	if (p->n < p->buckets / 2)
		return 0;
	bucket = buckets ? malloc(buckets * sizeof(*bucket)) : NULL;
	if (!bucket)
		return -1;
	memset(bucket, 0xff, buckets * sizeof(*bucket));
	free(p->bucket);
	p->bucket = bucket;
	p->buckets = buckets;
	for (uint32_t i = 0; i < p->n; i++)
		*look(p, &p->content[i].fp) = i;
	return 0;
}

/* Return: @array with room for one more than @n, NULL without memory. */
static void *grow(void *array, uint32_t n, uint32_t *room, size_t size)
{
	uint32_t more = *room ? 2 * *room : 1024;
	void *made;

	if (n < *room)
		return array;
	made = more > *room ? realloc(array, more * size) : NULL;
	if (made)
		*room = more;
	return made;
}

uint32_t ckpt_contents_find(struct ckpt_contents *p, const struct ckpt_fingerprint *fp)
{
	struct ckpt_content *more;
	uint32_t *bucket;

	if (grow_buckets(p))
		return CKPT_NO_CONTENT;
	bucket = look(p, fp);
	if (*bucket != CKPT_NO_CONTENT)
		return *bucket;
	more = grow(p->content, p->n, &p->room, sizeof(*more));
	if (!more)
		return CKPT_NO_CONTENT;
	p->content = more;
	p->content[p->n] = (struct ckpt_content){ .fp = *fp };
	*bucket = p->n;
	return p->n++;
}

int ckpt_contents_recall(struct ckpt_contents *p, const struct ckpt_fingerprint *fp, uint64_t key)
{
	uint32_t number = ckpt_contents_find(p, fp);
	struct ckpt_content *content;

	if (number == CKPT_NO_CONTENT)
		return -1;
	content = &p->content[number];
	if (content->is == CKPT_CONTENT_EMPTY) {
		content->is = CKPT_CONTENT_OF_PARENT;
		content->key = key;
	}
	return 0;
}

int ckpt_contents_stage(struct ckpt_contents *p, uint32_t number, uint64_t key, const void *data)
{
	struct ckpt_content *content = &p->content[number];
	uint32_t *more = grow(p->listed, p->n_listed, &p->listed_room, sizeof(*more));
	uint32_t slot;

	if (!more)
		return -1;
	p->listed = more;
	slot = ckpt_staging_get(&p->staging);
	if (slot == CKPT_NO_SLOT)
		return -1;
	memcpy(ckpt_staging_page(&p->staging, slot), data, CKPT_PAGE_LEN);
	if (!content->listed)
		p->listed[p->n_listed++] = number;
	content->listed = true;
	content->is = CKPT_CONTENT_STAGED;
	content->key = key;
	content->at = slot;
	return 0;
}

void ckpt_contents_get(struct ckpt_contents *p, uint32_t number, uint64_t key)
{
	struct ckpt_content *content = &p->content[number];

	content->refs++;
	/* the order in which pages come makes no difference */
	if (key < content->key)
		content->key = key;
}

void ckpt_contents_put(struct ckpt_contents *p, uint32_t number)
{
	struct ckpt_content *content = &p->content[number];

	if (--content->refs || content->is != CKPT_CONTENT_STAGED)
		return;
	ckpt_staging_put(&p->staging, content->at);
	content->is = CKPT_CONTENT_EMPTY;
}

void ckpt_contents_stored(struct ckpt_contents *p, uint32_t number, uint32_t at)
{
	struct ckpt_content *content = &p->content[number];

	ckpt_staging_put(&p->staging, content->at);
	content->is = CKPT_CONTENT_STORED;
	content->at = at;
}

static int by_key(const void *a, const void *b, void *contents)
{
	const struct ckpt_content *x = (struct ckpt_content *)contents + *(const uint32_t *)a;
	const struct ckpt_content *y = (struct ckpt_content *)contents + *(const uint32_t *)b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return x < y ? -1 : x > y;
}

size_t ckpt_contents_staged(struct ckpt_contents *p, uint32_t *ret)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < p->n_listed; i++) {
		struct ckpt_content *content = &p->content[p->listed[i]];

		content->listed = content->is == CKPT_CONTENT_STAGED;
		if (content->listed)
			p->listed[n++] = p->listed[i];
	}
	p->n_listed = n;
	if (n) {
		memcpy(ret, p->listed, n * sizeof(*ret));
		qsort_r(ret, n, sizeof(*ret), by_key, p->content);
	}
	return n;
}
