/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shape of the image: which members are stored, as what and under which tag
 *
 * One table serves the encoder, the decoder and ckpt_image_done.  A tag is
 * never used again for something else; a member added later is optional, so
 * that older images still decode (the member is then zero).
 */
#ifndef CKPT_PROC_IMAGE_FIELDS_H
#define CKPT_PROC_IMAGE_FIELDS_H

#include <stddef.h>
#include <stdint.h>

enum ckpt_field_kind {
	CKPT_FIELD_UINT,	/* unsigned integer of @size bytes */
	CKPT_FIELD_INT,		/* signed integer of @size bytes */
	CKPT_FIELD_BOOL,
	CKPT_FIELD_BYTES,	/* @size bytes in place */
	CKPT_FIELD_STR,		/* allocated text, NULL when there is no record */
	CKPT_FIELD_BLOB,	/* allocated elements of @size bytes, count at @count */
	CKPT_FIELD_LIST,	/* allocated structures of @shape, count at @count */
};

struct ckpt_shape;

/**
 * struct ckpt_field - one stored member
 * @tag: record tag, unique in its structure
 * @kind: enum ckpt_field_kind
 * @optional: its record may be missing
 * @offset: of the member in its structure
 * @size: of the member or of one element, bytes
 * @count: offset of the element count (size_t)
 * @shape: of the elements of a list
 */
struct ckpt_field {
	uint32_t tag;
	uint8_t kind;
	uint8_t optional;
	uint32_t offset;
	uint32_t size;
	uint32_t count;
	const struct ckpt_shape *shape;
};

/**
 * struct ckpt_shape - a structure
 * @size: of one, bytes
 * @fields: its stored members, at most 64
 */
struct ckpt_shape {
	uint32_t size;
	uint32_t n;
	const struct ckpt_field *fields;
};

extern const struct ckpt_shape ckpt_image_shape, ckpt_net_shape, ckpt_ipc_shape;

/* Release what a structure of @shape owns; the structure itself is zeroed. */
void ckpt_shape_done(const struct ckpt_shape *shape, void *at);

#endif
