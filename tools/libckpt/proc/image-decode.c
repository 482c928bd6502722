// SPDX-License-Identifier: GPL-2.0-or-later
/* Decoding of images from records. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/wire.h"
#include "proc/image-fields.h"
#include "proc/image.h"

static int get_shape(const struct ckpt_shape *shape, struct ckpt_wire w, uint8_t *at,
		     struct ckpt_err *err);

static int out_of_range(const struct ckpt_field *f, struct ckpt_err *err)
{
	return ckpt_fail(err, CKPT_DAMAGED, 0, "process image: record %u is out of range", f->tag);
}

static int get_number(const struct ckpt_field *f, const struct ckpt_record *r, uint8_t *p,
		      struct ckpt_err *err)
{
	uint64_t value;

	if (ckpt_record_u64(r, &value, err))
		return -1;
	if (f->kind == CKPT_FIELD_BOOL) {
		if (value > 1)
			return out_of_range(f, err);
		*(bool *)p = value;
		return 0;
	}
	if (f->kind == CKPT_FIELD_UINT && f->size == 4 && value > UINT32_MAX)
		return out_of_range(f, err);
	if (f->kind == CKPT_FIELD_INT && f->size == 4 && value != (uint64_t)(int64_t)(int32_t)value)
		return out_of_range(f, err);
	memcpy(p, &value, f->size);
	return 0;
}

static int get_blob(const struct ckpt_field *f, const struct ckpt_record *r, uint8_t *at,
		    struct ckpt_err *err)
{
	void *copy = NULL;

	if (r->len % f->size)
		return out_of_range(f, err);
	if (r->len) {
		copy = malloc(r->len);
		if (!copy)
			return ckpt_fail(err, CKPT_FAILED, 0, "no memory for the process image");
		memcpy(copy, r->data, r->len);
	}
	*(void **)(at + f->offset) = copy;
	*(size_t *)(at + f->count) = r->len / f->size;
	return 0;
}

/* Lists grow by doubling: the room for n elements is known from n. */
static int get_element(const struct ckpt_field *f, const struct ckpt_record *r, uint8_t *at,
		       struct ckpt_err *err)
{
	uint8_t **list = (uint8_t **)(at + f->offset);
	size_t *n = (size_t *)(at + f->count);
	uint8_t *bigger;

	if (!(*n & (*n - 1))) {
		bigger = realloc(*list, (*n ? *n * 2 : 1) * f->size);
		if (!bigger)
			return ckpt_fail(err, CKPT_FAILED, 0, "no memory for the process image");
		*list = bigger;
	}
	memset(*list + *n * f->size, 0, f->size);
	return get_shape(f->shape, ckpt_wire_in(r), *list + (*n)++ * f->size, err);
}

static int get_field(const struct ckpt_field *f, const struct ckpt_record *r, uint8_t *at,
		     struct ckpt_err *err)
{
	switch (f->kind) {
	case CKPT_FIELD_BYTES:
		return ckpt_record_bytes(r, at + f->offset, f->size, err);
	case CKPT_FIELD_STR:
		return ckpt_record_str(r, (char **)(at + f->offset), err);
	case CKPT_FIELD_BLOB:
		return get_blob(f, r, at, err);
	case CKPT_FIELD_LIST:
		return get_element(f, r, at, err);
	default:
		return get_number(f, r, at + f->offset, err);
	}
}

static const struct ckpt_field *find(const struct ckpt_shape *shape, uint32_t tag)
{
	uint32_t i;

	for (i = 0; i < shape->n; i++) {
		if (shape->fields[i].tag == tag)
			return &shape->fields[i];
	}
	return NULL;
}

static int check_missing(const struct ckpt_shape *shape, uint64_t seen, struct ckpt_err *err)
{
	uint32_t i;

	for (i = 0; i < shape->n; i++) {
		if (!(seen & 1ull << i) && !shape->fields[i].optional)
			return ckpt_fail(err, CKPT_DAMAGED, 0,
					 "process image: record %u is missing",
					 shape->fields[i].tag);
	}
	return 0;
}

static int get_shape(const struct ckpt_shape *shape, struct ckpt_wire w, uint8_t *at,
		     struct ckpt_err *err)
{
	const struct ckpt_field *f;
	struct ckpt_record r;
	uint64_t seen = 0, bit;
	int more;

	while ((more = ckpt_wire_next(&w, &r, err)) > 0) {
		f = find(shape, r.tag);
		if (!f) {
			if (ckpt_record_unknown(&r, err))
				return -1;
			continue;
		}
		bit = 1ull << (f - shape->fields);
		if (seen & bit && f->kind != CKPT_FIELD_LIST)
			return ckpt_fail(err, CKPT_DAMAGED, 0,
					 "process image: record %u comes twice", r.tag);
		seen |= bit;
		if (get_field(f, &r, at, err))
			return -1;
	}
	return more ? -1 : check_missing(shape, seen, err);
}

int ckpt_image_decode(const void *data, size_t len, struct ckpt_image *ret, struct ckpt_err *err)
{
	cleanup_with(ckpt_image_done) struct ckpt_image image = { 0 };

	if (get_shape(&ckpt_image_shape, ckpt_wire_of(data, len), (uint8_t *)&image, err))
		return -1;
	if (ckpt_image_check(&image, err))
		return -1;
	*ret = image;
	memset(&image, 0, sizeof(image));
	return 0;
}
