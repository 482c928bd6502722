// SPDX-License-Identifier: GPL-2.0-or-later
/* Tagged records. */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "base/wire.h"

#define HEAD 8

static size_t padded(size_t len)
{
	return (len + 3) & ~(size_t)3;
}

static void head(struct ckpt_buf *b, uint32_t tag, uint32_t len)
{
	uint32_t h[2] = { htole32(tag), htole32(len) };

	ckpt_buf_put(b, h, sizeof(h));
}

void ckpt_wire_u64(struct ckpt_buf *b, uint32_t tag, uint64_t value)
{
	uint64_t le = htole64(value);

	ckpt_wire_bytes(b, tag, &le, sizeof(le));
}

void ckpt_wire_bytes(struct ckpt_buf *b, uint32_t tag, const void *data, size_t len)
{
	if (len > UINT32_MAX - 4) {
		b->failed = 1;
		return;
	}
	head(b, tag, len);
	ckpt_buf_put(b, data, len);
	ckpt_buf_put(b, NULL, padded(len) - len);
}

void ckpt_wire_str(struct ckpt_buf *b, uint32_t tag, const char *s)
{
	ckpt_wire_bytes(b, tag, s, strlen(s));
}

size_t ckpt_wire_begin(struct ckpt_buf *b, uint32_t tag)
{
	size_t at = b->len;

	head(b, tag, 0);
	return at;
}

void ckpt_wire_end(struct ckpt_buf *b, size_t at)
{
	uint32_t len;

	if (b->failed)
		return;
	if (b->len - at - HEAD > UINT32_MAX) {
		b->failed = 1;
		return;
	}
	len = htole32(b->len - at - HEAD);
	memcpy(b->data + at + 4, &len, sizeof(len));
}

int ckpt_wire_next(struct ckpt_wire *w, struct ckpt_record *ret, struct ckpt_err *err)
{
	size_t left = w->len - w->at;
	uint32_t h[2];
	uint32_t len;

	if (!left)
		return 0;
	if (left < HEAD)
		return ckpt_fail(err, CKPT_DAMAGED, 0, "record cut short at byte %zu", w->at);
	memcpy(h, w->data + w->at, sizeof(h));
	len = le32toh(h[1]);
	if (len > left - HEAD || padded(len) > left - HEAD)
		return ckpt_fail(err, CKPT_DAMAGED, 0,
				 "record at byte %zu is longer than its level", w->at);
	ret->tag = le32toh(h[0]);
	ret->data = w->data + w->at + HEAD;
	ret->len = len;
	w->at += HEAD + padded(len);
	return 1;
}

int ckpt_record_u64(const struct ckpt_record *r, uint64_t *ret, struct ckpt_err *err)
{
	uint64_t le = 0;

	if (ckpt_record_bytes(r, &le, sizeof(le), err))
		return -1;
	*ret = le64toh(le);
	return 0;
}

int ckpt_record_bytes(const struct ckpt_record *r, void *ret, size_t len, struct ckpt_err *err)
{
	if (r->len != len)
		return ckpt_fail(err, CKPT_DAMAGED, 0, "record %u has %zu bytes instead of %zu",
				 r->tag, r->len, len);
	memcpy(ret, r->data, len);
	return 0;
}

int ckpt_record_str(const struct ckpt_record *r, char **ret, struct ckpt_err *err)
{
	char *s;

	if (memchr(r->data, 0, r->len))
		return ckpt_fail(err, CKPT_DAMAGED, 0, "record %u has a NUL in its text", r->tag);
	s = strndup((const char *)r->data, r->len);
	if (!s)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a record");
	*ret = s;
	return 0;
}

int ckpt_record_unknown(const struct ckpt_record *r, struct ckpt_err *err)
{
	if (r->tag & CKPT_WIRE_OPTIONAL)
		return 0;
	return ckpt_fail(err, CKPT_REFUSED, 0,
			 "record %u is of a newer format; use a newer ckpt-tool", r->tag);
}
