/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading one object: from the stored bytes in a pack to plain bytes that bear its name. */
#ifndef CKPT_STORE_OBJECT_READ_H
#define CKPT_STORE_OBJECT_READ_H

#include "base/stamp.h"
#include "store/format.h"

/**
 * struct ckpt_object_reader - what a thread needs to read objects
 * @stored: room for one object as stored
 * @plain: room for one that is only checked or compared
 * @zstd: decompression context
 * @stamper: made by who wants stamps
 */
struct ckpt_object_reader {
	uint8_t *stored;
	uint8_t *plain;
	void *zstd;
	struct ckpt_stamper *stamper;
};

void ckpt_object_reader_done(struct ckpt_object_reader *r);
/**
 * ckpt_object_read - read and check an object
 * @fd: of the pack
 * @want: as the index says
 * @seen: of its stored bytes when it was found whole: they are not hashed when they have it;
 *	NULL: none
 *
 * Return: want->raw_len plain bytes that the caller frees; NULL with CKPT_DAMAGED
 * when they are not what they should be.
 */
uint8_t *ckpt_object_read(struct ckpt_object_reader *r, int fd, const struct ckpt_object *want,
			  const struct ckpt_stamp *seen, struct ckpt_err *err);
/**
 * ckpt_object_check - the same of one that nobody wants to have, or only when it is whole
 * @plain: room for its plain bytes; NULL: nobody wants to have it
 * @ret_stamped: whether there is a stamp of its stored bytes, in @ret_stamp; not with @plain
 *
 * Return: 0, or -1 with CKPT_DAMAGED.
 */
int ckpt_object_check(struct ckpt_object_reader *r, int fd, const struct ckpt_object *want,
		      uint8_t *plain, bool *ret_stamped, struct ckpt_stamp *ret_stamp,
		      struct ckpt_err *err);
/* Whether the object is whole in the pack @fd and its plain bytes are @plain. */
bool ckpt_object_same(struct ckpt_object_reader *r, int fd, const struct ckpt_object *want,
		      const uint8_t *plain);
/* All @len bytes at @at. Return: 0, or -1 with errno, ENODATA where the file ends. */
int ckpt_read_at(int fd, void *data, size_t len, uint64_t at);

#endif
