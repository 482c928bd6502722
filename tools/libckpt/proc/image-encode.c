// SPDX-License-Identifier: GPL-2.0-or-later
/* Encoding of images as records. */
#include <string.h>

#include "base/wire.h"
#include "proc/image-fields.h"
#include "proc/image.h"

static uint64_t load_uint(const uint8_t *p, uint32_t size)
{
	uint64_t value = 0;

	memcpy(&value, p, size);	/* little-endian, as the format */
	return value;
}

static uint64_t load_int(const uint8_t *p, uint32_t size)
{
	return size == 8 ? load_uint(p, 8) : (uint64_t)(int64_t)(int32_t)load_uint(p, size);
}

static void put_shape(const struct ckpt_shape *shape, const uint8_t *at, struct ckpt_buf *b);

static void put_list(const struct ckpt_field *f, const uint8_t *list, size_t n,
		     struct ckpt_buf *b)
{
	size_t i, record;

	for (i = 0; i < n; i++) {
		record = ckpt_wire_begin(b, f->tag);
		put_shape(f->shape, list + i * f->size, b);
		ckpt_wire_end(b, record);
	}
}

static void put_field(const struct ckpt_field *f, const uint8_t *at, struct ckpt_buf *b)
{
	const uint8_t *p = at + f->offset;

	switch (f->kind) {
	case CKPT_FIELD_UINT:
		ckpt_wire_u64(b, f->tag, load_uint(p, f->size));
		break;
	case CKPT_FIELD_INT:
		ckpt_wire_u64(b, f->tag, load_int(p, f->size));
		break;
	case CKPT_FIELD_BOOL:
		ckpt_wire_u64(b, f->tag, *(const bool *)p);
		break;
	case CKPT_FIELD_BYTES:
		ckpt_wire_bytes(b, f->tag, p, f->size);
		break;
	case CKPT_FIELD_STR:
		if (*(char *const *)p)
			ckpt_wire_str(b, f->tag, *(char *const *)p);
		break;
	case CKPT_FIELD_BLOB:
		ckpt_wire_bytes(b, f->tag, *(void *const *)p,
				*(const size_t *)(at + f->count) * f->size);
		break;
	case CKPT_FIELD_LIST:
		put_list(f, *(uint8_t *const *)p, *(const size_t *)(at + f->count), b);
		break;
	}
}

static void put_shape(const struct ckpt_shape *shape, const uint8_t *at, struct ckpt_buf *b)
{
	const struct ckpt_field *f;

	for (f = shape->fields; f < shape->fields + shape->n; f++)
		put_field(f, at, b);
}

int ckpt_image_encode(const struct ckpt_image *image, struct ckpt_buf *ret, struct ckpt_err *err)
{
	size_t before = ret->len;

	put_shape(&ckpt_image_shape, (const uint8_t *)image, ret);
	if (!ret->failed)
		return 0;
	ret->len = before;
	return ckpt_fail(err, CKPT_FAILED, 0, "no memory to encode the process image");
}
