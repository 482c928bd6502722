// SPDX-License-Identifier: GPL-2.0-or-later
/* Growing byte buffer. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

void ckpt_buf_done(struct ckpt_buf *b)
{
	free(b->data);
	*b = (struct ckpt_buf)CKPT_BUF_INIT;
}

int ckpt_buf_reserve(struct ckpt_buf *b, size_t n)
{
	size_t cap = b->cap ? b->cap : 256;
	uint8_t *data;

	if (b->failed)
		return -1;
	if (n <= b->cap - b->len)
		return 0;
	if (n > SIZE_MAX / 2 - b->len) {
		b->failed = 1;
		return -1;
	}
	while (cap - b->len < n)
		cap *= 2;
	data = realloc(b->data, cap);
	if (!data) {
		b->failed = 1;
		return -1;
	}
	b->data = data;
	b->cap = cap;
	return 0;
}

size_t ckpt_buf_put(struct ckpt_buf *b, const void *p, size_t n)
{
	size_t at = b->len;

	if (!n || ckpt_buf_reserve(b, n))
		return at;
	if (p)
		memcpy(b->data + at, p, n);
	else
		memset(b->data + at, 0, n);
	b->len += n;
	return at;
}
