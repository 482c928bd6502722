// SPDX-License-Identifier: GPL-2.0-or-later
/* Reading one object. */
#include <zstd.h>

#include "base/cleanup.h"
#include "store/object-read.h"

void ckpt_object_reader_done(struct ckpt_object_reader *r)
{
	free(r->stored);
	free(r->plain);
	ZSTD_freeDCtx(r->zstd);
	ckpt_stamper_free(r->stamper);
	*r = (struct ckpt_object_reader){ 0 };
}

int ckpt_read_at(int fd, void *data, size_t len, uint64_t at)
{
	uint8_t *p = data;

	while (len) {
		ssize_t n = pread(fd, p, len, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			errno = n ? errno : ENODATA;
			return -1;
		}
		p += n;
		len -= n;
		at += n;
	}
	return 0;
}

/* The stored bytes, after their header, which is as it should be. */
static int read_stored(struct ckpt_object_reader *r, int fd, const struct ckpt_object *want,
		       struct ckpt_err *err)
{
	struct ckpt_object found;

	if (ckpt_read_at(fd, r->stored, CKPT_OBJECT_HEAD_LEN + (size_t)want->stored_len,
			 want->offset))
		return ckpt_fail(err, CKPT_DAMAGED, errno, "cannot be read");
	if (ckpt_object_decode(r->stored, CKPT_OBJECT_HEAD_LEN, &found, err))
		return -1;
	if (!ckpt_hash_equal(&found.hash, &want->hash) || found.type != want->type ||
	    found.codec != want->codec || found.raw_len != want->raw_len ||
	    found.stored_len != want->stored_len || found.crc != want->crc)
		return ckpt_fail(err, CKPT_DAMAGED, 0, "its header differs from the index");
	return 0;
}

static int check_stored(const struct ckpt_object_reader *r, const struct ckpt_object *want,
			struct ckpt_err *err)
{
	if (ckpt_crc32c(0, r->stored + CKPT_OBJECT_HEAD_LEN, want->stored_len) != want->crc)
		return ckpt_fail(err, CKPT_DAMAGED, 0, "its stored bytes fail their checksum");
	return 0;
}

/* With the header, which tells how they are unpacked. */
static bool stamp_stored(const struct ckpt_object_reader *r, const struct ckpt_object *want,
			 struct ckpt_stamp *ret)
{
	return !ckpt_stamp(r->stamper, r->stored,
			   CKPT_OBJECT_HEAD_LEN + (size_t)want->stored_len, ret);
}

static int unpack(const struct ckpt_object_reader *r, const struct ckpt_object *want,
		  uint8_t *plain, struct ckpt_err *err)
{
	const uint8_t *stored = r->stored + CKPT_OBJECT_HEAD_LEN;

	if (want->codec == CKPT_CODEC_RAW)
		memcpy(plain, stored, want->raw_len);
	else if (ZSTD_decompressDCtx(r->zstd, plain, want->raw_len, stored, want->stored_len) !=
		 want->raw_len)
		return ckpt_fail(err, CKPT_DAMAGED, 0, "does not decompress");
	return 0;
}

static int decode_unseen(const struct ckpt_object_reader *r, const struct ckpt_object *want,
		  uint8_t *plain, struct ckpt_err *err)
{
	struct ckpt_hash hash;

	if (check_stored(r, want, err))
		return -1;
	if (unpack(r, want, plain, err))
		return -1;
	if (ckpt_hash_of(plain, want->raw_len, &hash))
		return ckpt_fail(err, CKPT_FAILED, 0, "cannot be hashed");
	if (!ckpt_hash_equal(&hash, &want->hash))
		return ckpt_fail(err, CKPT_DAMAGED, 0, "fails its hash");
	return 0;
}

static int get_ready(struct ckpt_object_reader *r, struct ckpt_err *err)
{
	if (!r->stored)
		r->stored = malloc(CKPT_OBJECT_HEAD_LEN + CKPT_BLOCK_LEN_MAX);
	if (!r->zstd)
		r->zstd = ZSTD_createDCtx();
	return r->stored && r->zstd ? 0 : ckpt_fail(err, CKPT_FAILED, 0, "no memory to read it");
}

uint8_t *ckpt_object_read(struct ckpt_object_reader *r, int fd, const struct ckpt_object *want,
			  const struct ckpt_stamp *seen, struct ckpt_err *err)
{
	cleanup_free uint8_t *plain = malloc(want->raw_len);
	struct ckpt_stamp stamp;

	if (!plain) {
		ckpt_fail(err, CKPT_FAILED, 0, "no memory to read it");
		return NULL;
	}
	if (get_ready(r, err) || read_stored(r, fd, want, err))
		return NULL;
	if (seen && stamp_stored(r, want, &stamp) && ckpt_stamp_equal(seen, &stamp))
		return unpack(r, want, plain, err) ? NULL : take_ptr(plain);
	return decode_unseen(r, want, plain, err) ? NULL : take_ptr(plain);
}

/* Room of our own for plain bytes that nobody wants to have. */
static uint8_t *plain_room(struct ckpt_object_reader *r)
{
	if (!r->plain)
		r->plain = malloc(CKPT_BLOCK_LEN_MAX);
	return r->plain;
}

int ckpt_object_check(struct ckpt_object_reader *r, int fd, const struct ckpt_object *want,
		      uint8_t *plain, bool *ret_stamped, struct ckpt_stamp *ret_stamp,
		      struct ckpt_err *err)
{
	uint8_t *room = plain ? plain : plain_room(r);

	if (get_ready(r, err))
		return -1;
	if (!room)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory to read it");
	if (read_stored(r, fd, want, err) || decode_unseen(r, want, room, err))
		return -1;
	*ret_stamped = !plain && stamp_stored(r, want, ret_stamp);
	return 0;
}

bool ckpt_object_same(struct ckpt_object_reader *r, int fd, const struct ckpt_object *want,
		      const uint8_t *plain)
{
	const uint8_t *found;

	if (get_ready(r, NULL) || read_stored(r, fd, want, NULL) || check_stored(r, want, NULL))
		return false;
	found = r->stored + CKPT_OBJECT_HEAD_LEN;
	if (want->codec != CKPT_CODEC_RAW) {
		if (!plain_room(r) || unpack(r, want, r->plain, NULL))
			return false;
		found = r->plain;
	}
	return !memcmp(found, plain, want->raw_len);
}
