// SPDX-License-Identifier: GPL-2.0-or-later
/* Byte strings kept in spaces of pages, and copies of pages. */
#include <string.h>

#include "base/pages.h"

int ckpt_source_copy(const struct ckpt_source *source, uint32_t space, uint64_t page, size_t n,
		     uint8_t *data, struct ckpt_err *err)
{
	enum ckpt_page_kind kind;
	const uint8_t *found;
	size_t count;

	for (; n; page += count, n -= count, data += count * CKPT_PAGE_LEN) {
		count = source->peek ? n : 1;
		if (!source->peek) {
			if (source->get(source->self, space, page, data, &kind, err))
				return -1;
			continue;
		}
		if (source->peek(source->self, space, page, &count, &found, &kind, err))
			return -1;
		memcpy(data, found, count * CKPT_PAGE_LEN);
	}
	return 0;
}

int ckpt_blob_put(const struct ckpt_sink *sink, uint32_t space, const void *data, size_t len,
		  struct ckpt_err *err)
{
	size_t whole = len / CKPT_PAGE_LEN, rest = len % CKPT_PAGE_LEN, used = whole + !!rest;
	uint8_t last[CKPT_PAGE_LEN] = { 0 };

	if (whole && sink->put(sink->self, space, 0, data, whole, err))
		return -1;
	if (rest) {
		memcpy(last, (const uint8_t *)data + whole * CKPT_PAGE_LEN, rest);
		if (sink->put(sink->self, space, whole, last, 1, err))
			return -1;
	}
	return sink->drop(sink->self, space, used, CKPT_PAGE_MAX - used + 1, err);
}

int ckpt_blob_get(const struct ckpt_source *source, uint32_t space, size_t len,
		  struct ckpt_buf *ret, struct ckpt_err *err)
{
	uint8_t data[CKPT_PAGE_LEN];
	enum ckpt_page_kind kind;
	uint64_t page = 0;

	while (len) {
		size_t n = len < CKPT_PAGE_LEN ? len : CKPT_PAGE_LEN;

		if (source->get(source->self, space, page++, data, &kind, err))
			return -1;
		if (kind == CKPT_PAGE_IS_ABSENT)
			return ckpt_fail(err, CKPT_DAMAGED, 0,
					 "space %u lacks page %llu of a record", space,
					 (unsigned long long)page - 1);
		ckpt_buf_put(ret, data, n);
		len -= n;
	}
	return ret->failed ? ckpt_fail(err, CKPT_FAILED, 0, "no memory for a record") : 0;
}
