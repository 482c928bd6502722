/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pack files, as bytes
 *
 * Encoding and decoding on buffers, without I/O: docs/image-format.md is the
 * description, the static asserts of format.c hold both together.  Decoders
 * take any bytes and survive them.
 */
#ifndef CKPT_STORE_FORMAT_H
#define CKPT_STORE_FORMAT_H

#include "base/buf.h"
#include "base/err.h"
#include "base/pages.h"
#include "store/hash.h"

#define CKPT_STORE_VERSION 1

#define CKPT_BLOCK_PAGES_MAX 128
#define CKPT_BLOCK_LEN_MAX (CKPT_BLOCK_PAGES_MAX * CKPT_PAGE_LEN)
#define CKPT_PACK_HEAD_LEN 64
#define CKPT_PACK_TAIL_LEN 64
#define CKPT_OBJECT_HEAD_LEN 56
#define CKPT_INDEX_ENTRY_LEN 56

/* What a reader must know about a file to use it. */
struct ckpt_flags {
	uint64_t compat;	/* unknown bits: no matter */
	uint64_t ro_compat;	/* unknown bits: read, never build upon */
	uint64_t incompat;	/* unknown bits: refuse */
};

/* The bits this version knows; there are none yet. */
#define CKPT_RO_COMPAT_KNOWN 0ull
#define CKPT_INCOMPAT_KNOWN 0ull

enum ckpt_object_type {
	CKPT_OBJECT_BLOCK = 1,	/* pages */
	CKPT_OBJECT_NODE = 2,	/* a node of a map */
};

enum ckpt_codec {
	CKPT_CODEC_RAW = 0,
	CKPT_CODEC_ZSTD = 1,
};

/**
 * struct ckpt_object - one stored object
 * @hash: SHA-256 of the plain bytes, its name
 * @offset: of its header in the pack
 * @stored_len: bytes after the header
 * @raw_len: plain bytes
 * @crc: CRC-32C of the stored bytes
 * @type: enum ckpt_object_type
 * @codec: enum ckpt_codec
 */
struct ckpt_object {
	struct ckpt_hash hash;
	uint64_t offset;
	uint32_t stored_len;
	uint32_t raw_len;
	uint32_t crc;
	uint8_t type;
	uint8_t codec;
};

void ckpt_pack_head_encode(const uint8_t uuid[CKPT_UUID_LEN], const struct ckpt_flags *flags,
			   uint8_t ret[CKPT_PACK_HEAD_LEN]);
int ckpt_pack_head_decode(const void *data, size_t len, uint8_t ret_uuid[CKPT_UUID_LEN],
			  struct ckpt_flags *ret_flags, struct ckpt_err *err);

/* Has it a type and lengths that a reader takes? */
bool ckpt_object_possible(const struct ckpt_object *o);
void ckpt_object_encode(const struct ckpt_object *o, uint8_t ret[CKPT_OBJECT_HEAD_LEN]);
/* @ret->offset is 0 afterwards: the header does not know where it is. */
int ckpt_object_decode(const void *data, size_t len, struct ckpt_object *ret,
		       struct ckpt_err *err);

/**
 * ckpt_index_encode - the end of a pack: index and trailer
 * @head: the pack's header as written
 * @objects: sorted by ckpt_object_order, each hash once
 * @at: offset at which the index will be written
 *
 * Return: 0, or -1 without memory or libcrypto.
 */
int ckpt_index_encode(const uint8_t head[CKPT_PACK_HEAD_LEN], const struct ckpt_object *objects,
		      size_t n, uint64_t at, struct ckpt_buf *ret, struct ckpt_err *err);
/* Where the index of a pack of @file_len bytes is, from its last 64 bytes. */
int ckpt_tail_decode(const void *data, size_t len, uint64_t file_len, uint64_t *ret_at,
		     size_t *ret_n, struct ckpt_err *err);
/**
 * ckpt_index_decode - check and read the end of a pack
 * @head: the pack's first 64 bytes
 * @data: everything from the offset of the index to the end of the file
 * @ret: allocated array in order of hashes, NULL when there are none
 */
int ckpt_index_decode(const uint8_t head[CKPT_PACK_HEAD_LEN], const void *data, size_t len,
		      uint64_t file_len, struct ckpt_object **ret, size_t *ret_n,
		      struct ckpt_err *err);
int ckpt_object_order(const void *a, const void *b);

#endif
