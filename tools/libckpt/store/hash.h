/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Content hashes: the SHA-256 of plain bytes names everything that is stored. */
#ifndef CKPT_STORE_HASH_H
#define CKPT_STORE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define CKPT_HASH_LEN 32
#define CKPT_HASH_TEXT (2 * CKPT_HASH_LEN + 1)
#define CKPT_UUID_LEN 16
#define CKPT_UUID_TEXT (2 * CKPT_UUID_LEN + 1)

struct ckpt_hash {
	uint8_t b[CKPT_HASH_LEN];
};

static inline bool ckpt_hash_equal(const struct ckpt_hash *a, const struct ckpt_hash *b)
{
	return !memcmp(a->b, b->b, CKPT_HASH_LEN);
}

/* Return: 0, or -1 when libcrypto cannot compute a SHA-256. */
int ckpt_hash_of(const void *data, size_t len, struct ckpt_hash *ret);
/* CRC-32C of @len bytes, continuing from @crc (0 to start). */
uint32_t ckpt_crc32c(uint32_t crc, const void *data, size_t len);

/* Lower-case hex with a NUL: 2 * len + 1 bytes into @ret. */
void ckpt_hex(const void *data, size_t len, char *ret);
/* Exactly 2 * @len lower-case digits. Return: 0, or -1 when they are none. */
int ckpt_unhex(const char *text, void *ret, size_t len);

#endif
