/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Growing byte buffer. */
#ifndef CKPT_BASE_BUF_H
#define CKPT_BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

/**
 * struct ckpt_buf - bytes owned by the buffer
 * @data: the bytes, NULL while empty
 * @len: how many are used
 * @cap: how many fit
 * @failed: an allocation failed; later puts do nothing, checked once at the end
 */
struct ckpt_buf {
	uint8_t *data;
	size_t len;
	size_t cap;
	int failed;
};

#define CKPT_BUF_INIT { 0 }

void ckpt_buf_done(struct ckpt_buf *b);
/* Append @n bytes; @p may be NULL for zeros. Return: offset of the first byte. */
size_t ckpt_buf_put(struct ckpt_buf *b, const void *p, size_t n);
/* Make room for @n more bytes. Return: 0, or -1 without memory (b->failed set). */
int ckpt_buf_reserve(struct ckpt_buf *b, size_t n);

#define cleanup_buf __attribute__((cleanup(ckpt_buf_done)))

#endif
