/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tagged records: the encoding of process records, directory listings and
 * manifests
 *
 * A record is { le32 tag, le32 length, payload }, padded to 4 bytes.  The
 * payload is a little-endian integer, bytes, or records again.  A reader
 * walks the records of a level in order; a tag it does not know is an error
 * unless CKPT_WIRE_OPTIONAL is set in it.
 */
#ifndef CKPT_BASE_WIRE_H
#define CKPT_BASE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define CKPT_WIRE_OPTIONAL 0x80000000u

void ckpt_wire_u64(struct ckpt_buf *b, uint32_t tag, uint64_t value);
void ckpt_wire_bytes(struct ckpt_buf *b, uint32_t tag, const void *data, size_t len);
void ckpt_wire_str(struct ckpt_buf *b, uint32_t tag, const char *s);
/* Open a nested record; pass the result to ckpt_wire_end. */
size_t ckpt_wire_begin(struct ckpt_buf *b, uint32_t tag);
void ckpt_wire_end(struct ckpt_buf *b, size_t at);

/**
 * struct ckpt_wire - reading position in one level of records
 * @data: bytes of the level, not owned
 * @len: their number
 * @at: offset of the next record
 */
struct ckpt_wire {
	const uint8_t *data;
	size_t len;
	size_t at;
};

/**
 * struct ckpt_record - one record as found
 * @tag: its tag, CKPT_WIRE_OPTIONAL included
 * @data: payload, not owned
 * @len: payload length in bytes
 */
struct ckpt_record {
	uint32_t tag;
	const uint8_t *data;
	size_t len;
};

static inline struct ckpt_wire ckpt_wire_of(const void *data, size_t len)
{
	return (struct ckpt_wire){ .data = data, .len = len };
}

static inline struct ckpt_wire ckpt_wire_in(const struct ckpt_record *r)
{
	return ckpt_wire_of(r->data, r->len);
}

/* Return: 1 with @ret filled, 0 at the end, -1 when the bytes are no record. */
int ckpt_wire_next(struct ckpt_wire *w, struct ckpt_record *ret, struct ckpt_err *err);
/* Payload as an integer of 8 bytes. Return: 0, or -1 when it has another length. */
int ckpt_record_u64(const struct ckpt_record *r, uint64_t *ret, struct ckpt_err *err);
/* Payload as a string without NUL bytes inside; allocated. */
int ckpt_record_str(const struct ckpt_record *r, char **ret, struct ckpt_err *err);
/* Payload of exactly @len bytes. */
int ckpt_record_bytes(const struct ckpt_record *r, void *ret, size_t len, struct ckpt_err *err);
/* What to do with a tag that is not known: 0 to skip it, -1 to refuse it. */
int ckpt_record_unknown(const struct ckpt_record *r, struct ckpt_err *err);

#endif
