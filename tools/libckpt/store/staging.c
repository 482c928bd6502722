// SPDX-License-Identifier: GPL-2.0-or-later
/* Staging memory. */
#include <stdlib.h>

#include "base/pages.h"
#include "store/staging.h"

#define CHUNK_SLOTS 256u

void ckpt_staging_done(struct ckpt_staging *s)
{
	for (uint32_t i = 0; i < s->chunks; i++)
		free(s->chunk[i]);
	free(s->chunk);
	free(s->free);
	*s = (struct ckpt_staging){ 0 };
}

/* One more chunk, with room for all its slots in the stack of free ones. */
static int grow(struct ckpt_staging *s)
{
	uint32_t *slots = realloc(s->free, (s->chunks + 1) * CHUNK_SLOTS * sizeof(*slots));
	uint8_t **chunk;

	if (!slots)
		return -1;
	s->free = slots;
	chunk = realloc(s->chunk, (s->chunks + 1) * sizeof(*chunk));
	if (!chunk)
		return -1;
	s->chunk = chunk;
	s->chunk[s->chunks] = malloc(CHUNK_SLOTS * CKPT_PAGE_LEN);
	if (!s->chunk[s->chunks])
		return -1;
	/* The lowest slot on top: pages that come in order lie in order. */
	for (uint32_t i = CHUNK_SLOTS; i-- > 0;)
		s->free[s->nfree++] = s->chunks * CHUNK_SLOTS + i;
	s->chunks++;
	return 0;
}

uint32_t ckpt_staging_get(struct ckpt_staging *s)
{
	if (!s->nfree && grow(s))
		return CKPT_NO_SLOT;
	s->used++;
	return s->free[--s->nfree];
}

void ckpt_staging_put(struct ckpt_staging *s, uint32_t slot)
{
	s->free[s->nfree++] = slot;
	s->used--;
}

uint8_t *ckpt_staging_page(const struct ckpt_staging *s, uint32_t slot)
{
	return s->chunk[slot / CHUNK_SLOTS] + (size_t)(slot % CHUNK_SLOTS) * CKPT_PAGE_LEN;
}
