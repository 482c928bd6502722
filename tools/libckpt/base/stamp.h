/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stamps: keyed hashes by which one process knows bytes again that it has seen
 *
 * GMAC under a random key that is never stored nor told: nobody can make other bytes of the same
 * stamp, and it costs a sixth of a SHA-256.  All stamps of a key have one nonce, so they must
 * not be told either.
 */
#ifndef CKPT_BASE_STAMP_H
#define CKPT_BASE_STAMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define CKPT_STAMP_LEN 16

struct ckpt_stamp {
	uint8_t b[CKPT_STAMP_LEN];
};

/* @known: there is one; without it nothing is stamped */
struct ckpt_stamp_key {
	uint8_t b[CKPT_STAMP_LEN];
	bool known;
};

static inline bool ckpt_stamp_equal(const struct ckpt_stamp *a, const struct ckpt_stamp *b)
{
	return !memcmp(a->b, b->b, CKPT_STAMP_LEN);
}

/* A new key, unknown where there is nothing random. */
struct ckpt_stamp_key ckpt_stamp_key_new(void);

struct ckpt_stamper;

/* For one thread. Return: NULL without a key, without memory, or where libcrypto has no GCM. */
struct ckpt_stamper *ckpt_stamper_new(const struct ckpt_stamp_key *key);
/* NULL is allowed. */
void ckpt_stamper_free(struct ckpt_stamper *s);
/* Return: 0, or -1 when there is none: @s is NULL, or libcrypto fails. */
int ckpt_stamp(struct ckpt_stamper *s, const void *data, size_t len, struct ckpt_stamp *ret);

#endif
