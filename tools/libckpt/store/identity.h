/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Identity of a store: the text in its format file, decoded and encoded without I/O. */
#ifndef CKPT_STORE_IDENTITY_H
#define CKPT_STORE_IDENTITY_H

#include "store/format.h"

/**
 * struct ckpt_format - content of the store's format file
 * @version: CKPT_STORE_VERSION
 * @uuid: of the store
 * @flags: of the store as a whole
 */
struct ckpt_format {
	uint32_t version;
	uint8_t uuid[CKPT_UUID_LEN];
	struct ckpt_flags flags;
};

int ckpt_format_encode(const struct ckpt_format *f, struct ckpt_buf *ret, struct ckpt_err *err);
int ckpt_format_decode(const void *data, size_t len, struct ckpt_format *ret,
		       struct ckpt_err *err);

#endif
