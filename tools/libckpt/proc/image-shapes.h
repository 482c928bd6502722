/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How the tables of image-fields.h are written. */
#ifndef CKPT_PROC_IMAGE_SHAPES_H
#define CKPT_PROC_IMAGE_SHAPES_H

#include "proc/image-fields.h"

#define SIZE_OF(type, member) sizeof(((struct type *)0)->member)
#define FIELD(tag_, kind_, type, member) \
	{ .tag = tag_, .kind = kind_, .offset = offsetof(struct type, member), \
	  .size = SIZE_OF(type, member) }
#define UINT(tag, type, member) FIELD(tag, CKPT_FIELD_UINT, type, member)
#define INT(tag, type, member) FIELD(tag, CKPT_FIELD_INT, type, member)
#define BOOL(tag, type, member) FIELD(tag, CKPT_FIELD_BOOL, type, member)
#define BYTES(tag, type, member) FIELD(tag, CKPT_FIELD_BYTES, type, member)
/* Added after images were written without it: 0 then. */
#define LATER(tag_, kind_, type, member) \
	{ .tag = tag_, .kind = kind_, .optional = 1, \
	  .offset = offsetof(struct type, member), .size = SIZE_OF(type, member) }
#define LATER_UINT(tag, type, member) LATER(tag, CKPT_FIELD_UINT, type, member)
#define LATER_INT(tag, type, member) LATER(tag, CKPT_FIELD_INT, type, member)
#define LATER_BOOL(tag, type, member) LATER(tag, CKPT_FIELD_BOOL, type, member)
#define LATER_BYTES(tag, type, member) LATER(tag, CKPT_FIELD_BYTES, type, member)
#define LATER_BLOB(tag_, type, member, count_) \
	{ .tag = tag_, .kind = CKPT_FIELD_BLOB, .optional = 1, \
	  .offset = offsetof(struct type, member), \
	  .size = sizeof(*((struct type *)0)->member), .count = offsetof(struct type, count_) }
#define STR(tag_, type, member) \
	{ .tag = tag_, .kind = CKPT_FIELD_STR, .optional = 1, \
	  .offset = offsetof(struct type, member) }
#define BLOB(tag_, type, member, count_) \
	{ .tag = tag_, .kind = CKPT_FIELD_BLOB, .offset = offsetof(struct type, member), \
	  .size = sizeof(*((struct type *)0)->member), .count = offsetof(struct type, count_) }
#define LIST(tag_, type, member, count_, shape_) \
	{ .tag = tag_, .kind = CKPT_FIELD_LIST, .optional = 1, \
	  .offset = offsetof(struct type, member), .size = sizeof(*((struct type *)0)->member), \
	  .count = offsetof(struct type, count_), .shape = &shape_ }
#define SHAPE(type, fields_) \
	{ .size = sizeof(struct type), .n = sizeof(fields_) / sizeof(fields_[0]), \
	  .fields = fields_ }

#endif
