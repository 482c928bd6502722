/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Staging memory: slots of one page each, whose addresses stay. */
#ifndef CKPT_STORE_STAGING_H
#define CKPT_STORE_STAGING_H

#include <stddef.h>
#include <stdint.h>

#define CKPT_NO_SLOT UINT32_MAX

/**
 * struct ckpt_staging - slots in use and free
 * @chunk: memory, 256 slots each
 * @chunks: number of them
 * @free: slots to use again, a stack of @nfree
 * @used: slots handed out
 */
struct ckpt_staging {
	uint8_t **chunk;
	uint32_t chunks;
	uint32_t *free;
	uint32_t nfree;
	uint32_t used;
};

void ckpt_staging_done(struct ckpt_staging *s);
/* Return: a slot, CKPT_NO_SLOT without memory. */
uint32_t ckpt_staging_get(struct ckpt_staging *s);
void ckpt_staging_put(struct ckpt_staging *s, uint32_t slot);
uint8_t *ckpt_staging_page(const struct ckpt_staging *s, uint32_t slot);

#endif
