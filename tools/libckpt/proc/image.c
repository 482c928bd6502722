// SPDX-License-Identifier: GPL-2.0-or-later
/* Release of images. */
#include <stdlib.h>
#include <string.h>

#include "proc/image-fields.h"
#include "proc/image.h"

static void list_done(const struct ckpt_field *f, uint8_t *list, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		ckpt_shape_done(f->shape, list + i * f->size);
}

void ckpt_shape_done(const struct ckpt_shape *shape, void *at)
{
	const struct ckpt_field *f;
	uint8_t *base = at;

	for (f = shape->fields; f < shape->fields + shape->n; f++) {
		if (f->kind < CKPT_FIELD_STR)
			continue;
		if (f->kind == CKPT_FIELD_LIST)
			list_done(f, *(uint8_t **)(base + f->offset),
				  *(size_t *)(base + f->count));
		free(*(void **)(base + f->offset));
	}
	memset(at, 0, shape->size);
}

void ckpt_image_done(struct ckpt_image *image)
{
	ckpt_shape_done(&ckpt_image_shape, image);
}

void ckpt_image_cut(struct ckpt_image *image, const struct ckpt_image *before)
{
	const struct ckpt_shape *shape = &ckpt_image_shape;

	for (const struct ckpt_field *f = shape->fields; f < shape->fields + shape->n; f++) {
		uint8_t *list;
		size_t *n, kept;

		if (f->kind != CKPT_FIELD_LIST)
			continue;
		list = *(uint8_t **)((uint8_t *)image + f->offset);
		n = (size_t *)((uint8_t *)image + f->count);
		kept = *(const size_t *)((const uint8_t *)before + f->count);
		while (*n > kept)
			ckpt_shape_done(f->shape, list + --*n * f->size);
	}
}
