// SPDX-License-Identifier: GPL-2.0-or-later
/* Pack files, as bytes. */
#include <assert.h>
#include <endian.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "store/format.h"
#include "store/node.h"

#define OBJECT_MAGIC 0x314a424fu	/* "OBJ1" */

/* Integers are little-endian in the file. */
struct disk_head {
	uint8_t magic[8];
	uint32_t version;
	uint32_t head_len;
	uint64_t compat;
	uint64_t ro_compat;
	uint64_t incompat;
	uint8_t uuid[CKPT_UUID_LEN];
	uint8_t zero[8];
};

struct disk_object {
	uint32_t magic;
	uint8_t type;
	uint8_t codec;
	uint16_t zero;
	uint32_t raw_len;
	uint32_t stored_len;
	uint32_t crc;
	uint32_t zero2;
	uint8_t hash[CKPT_HASH_LEN];
};

struct disk_entry {
	uint8_t hash[CKPT_HASH_LEN];
	uint64_t offset;
	uint32_t raw_len;
	uint32_t stored_len;
	uint32_t crc;
	uint8_t type;
	uint8_t codec;
	uint16_t zero;
};

struct disk_tail {
	uint8_t magic[8];
	uint64_t index_at;
	uint64_t count;
	uint64_t file_len;
	uint8_t hash[CKPT_HASH_LEN];
};

static const uint8_t head_magic[8] = "CKPTPACK";
static const uint8_t tail_magic[8] = "CKPTTAIL";

static_assert(sizeof(struct disk_head) == CKPT_PACK_HEAD_LEN, "pack header");
static_assert(offsetof(struct disk_head, compat) == 16, "pack header flags");
static_assert(offsetof(struct disk_head, uuid) == 40, "pack header uuid");
static_assert(sizeof(struct disk_object) == CKPT_OBJECT_HEAD_LEN, "object header");
static_assert(offsetof(struct disk_object, hash) == 24, "object header hash");
static_assert(sizeof(struct disk_entry) == CKPT_INDEX_ENTRY_LEN, "index entry");
static_assert(offsetof(struct disk_entry, type) == 52, "index entry type");
static_assert(sizeof(struct disk_tail) == CKPT_PACK_TAIL_LEN, "pack trailer");
static_assert(offsetof(struct disk_tail, hash) == 32, "pack trailer hash");
static_assert(CKPT_BLOCK_LEN_MAX == 512 * 1024, "largest block");

void ckpt_pack_head_encode(const uint8_t uuid[CKPT_UUID_LEN], const struct ckpt_flags *flags,
			   uint8_t ret[CKPT_PACK_HEAD_LEN])
{
	struct disk_head h = {
		.version = htole32(CKPT_STORE_VERSION),
		.head_len = htole32(CKPT_PACK_HEAD_LEN),
		.compat = htole64(flags->compat),
		.ro_compat = htole64(flags->ro_compat),
		.incompat = htole64(flags->incompat),
	};

	memcpy(h.magic, head_magic, sizeof(h.magic));
	memcpy(h.uuid, uuid, sizeof(h.uuid));
	memcpy(ret, &h, sizeof(h));
}

int ckpt_pack_head_decode(const void *data, size_t len, uint8_t ret_uuid[CKPT_UUID_LEN],
			  struct ckpt_flags *ret_flags, struct ckpt_err *err)
{
	struct disk_head h;

	if (len < sizeof(h))
		return ckpt_fail(err, CKPT_DAMAGED, 0, "pack is cut short in its header");
	memcpy(&h, data, sizeof(h));
	if (memcmp(h.magic, head_magic, sizeof(h.magic)))
		return ckpt_fail(err, CKPT_DAMAGED, 0, "pack does not begin like a pack");
	if (le32toh(h.version) != CKPT_STORE_VERSION ||
	    le64toh(h.incompat) & ~CKPT_INCOMPAT_KNOWN)
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "pack has version %u and flags %#" PRIx64
				 " of a newer format; use a newer ckpt-tool",
				 le32toh(h.version), le64toh(h.incompat));
	if (le32toh(h.head_len) != sizeof(h))
		return ckpt_fail(err, CKPT_DAMAGED, 0, "pack has a header of another length");
	memcpy(ret_uuid, h.uuid, sizeof(h.uuid));
	*ret_flags = (struct ckpt_flags){ le64toh(h.compat), le64toh(h.ro_compat),
					  le64toh(h.incompat) };
	return 0;
}

void ckpt_object_encode(const struct ckpt_object *o, uint8_t ret[CKPT_OBJECT_HEAD_LEN])
{
	struct disk_object d = {
		.magic = htole32(OBJECT_MAGIC),
		.type = o->type,
		.codec = o->codec,
		.raw_len = htole32(o->raw_len),
		.stored_len = htole32(o->stored_len),
		.crc = htole32(o->crc),
	};

	memcpy(d.hash, o->hash.b, sizeof(d.hash));
	memcpy(ret, &d, sizeof(d));
}

/* The lengths say what may be allocated, so they are bounded before they are believed. */
bool ckpt_object_possible(const struct ckpt_object *o)
{
	bool ok = o->stored_len && o->codec <= CKPT_CODEC_ZSTD;

	if (o->type == CKPT_OBJECT_BLOCK)
		ok = ok && o->raw_len && o->raw_len <= CKPT_BLOCK_LEN_MAX &&
		     o->raw_len % CKPT_PAGE_LEN == 0;
	else if (o->type == CKPT_OBJECT_NODE)
		ok = ok && o->raw_len && o->raw_len <= CKPT_NODE_LEN_MAX;
	else
		ok = false;
	if (o->codec == CKPT_CODEC_RAW)
		ok = ok && o->stored_len == o->raw_len;
	else
		ok = ok && o->stored_len < o->raw_len;
	return ok;
}

static int check_object(const struct ckpt_object *o, struct ckpt_err *err)
{
	return ckpt_object_possible(o) ? 0 :
	       ckpt_fail(err, CKPT_DAMAGED, 0, "object has impossible lengths or type");
}

int ckpt_object_decode(const void *data, size_t len, struct ckpt_object *ret,
		       struct ckpt_err *err)
{
	struct disk_object d;
	struct ckpt_object o;

	if (len < sizeof(d))
		return ckpt_fail(err, CKPT_DAMAGED, 0, "object is cut short in its header");
	memcpy(&d, data, sizeof(d));
	if (le32toh(d.magic) != OBJECT_MAGIC || d.zero || d.zero2)
		return ckpt_fail(err, CKPT_DAMAGED, 0, "object does not begin like an object");
	o = (struct ckpt_object){
		.stored_len = le32toh(d.stored_len),
		.raw_len = le32toh(d.raw_len),
		.crc = le32toh(d.crc),
		.type = d.type,
		.codec = d.codec,
	};
	memcpy(o.hash.b, d.hash, sizeof(d.hash));
	if (check_object(&o, err))
		return -1;
	*ret = o;
	return 0;
}

int ckpt_object_order(const void *a, const void *b)
{
	const struct ckpt_object *x = a, *y = b;

	return memcmp(x->hash.b, y->hash.b, CKPT_HASH_LEN);
}

/* The trailer's hash covers the header, the index and the trailer before the hash. */
static int tail_hash(const uint8_t *head, const uint8_t *index, size_t index_len,
		     const struct disk_tail *t, struct ckpt_hash *ret, struct ckpt_err *err)
{
	cleanup_buf struct ckpt_buf b = CKPT_BUF_INIT;

	ckpt_buf_put(&b, head, CKPT_PACK_HEAD_LEN);
	ckpt_buf_put(&b, index, index_len);
	ckpt_buf_put(&b, t, offsetof(struct disk_tail, hash));
	if (b.failed || ckpt_hash_of(b.data, b.len, ret))
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory to hash the index of a pack");
	return 0;
}

int ckpt_index_encode(const uint8_t head[CKPT_PACK_HEAD_LEN], const struct ckpt_object *objects,
		      size_t n, uint64_t at, struct ckpt_buf *ret, struct ckpt_err *err)
{
	struct disk_tail t = {
		.index_at = htole64(at),
		.count = htole64(n),
		.file_len = htole64(at + n * CKPT_INDEX_ENTRY_LEN + CKPT_PACK_TAIL_LEN),
	};
	size_t start = ret->len;
	struct ckpt_hash hash;

	memcpy(t.magic, tail_magic, sizeof(t.magic));
	for (size_t i = 0; i < n; i++) {
		struct disk_entry e = {
			.offset = htole64(objects[i].offset),
			.raw_len = htole32(objects[i].raw_len),
			.stored_len = htole32(objects[i].stored_len),
			.crc = htole32(objects[i].crc),
			.type = objects[i].type,
			.codec = objects[i].codec,
		};

		memcpy(e.hash, objects[i].hash.b, sizeof(e.hash));
		ckpt_buf_put(ret, &e, sizeof(e));
	}
	if (ret->failed)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for the index of a pack");
	if (tail_hash(head, n ? ret->data + start : NULL, ret->len - start, &t, &hash, err))
		return -1;
	memcpy(t.hash, hash.b, sizeof(t.hash));
	ckpt_buf_put(ret, &t, sizeof(t));
	return ret->failed ? ckpt_fail(err, CKPT_FAILED, 0, "no memory for a pack") : 0;
}

int ckpt_tail_decode(const void *data, size_t len, uint64_t file_len, uint64_t *ret_at,
		     size_t *ret_n, struct ckpt_err *err)
{
	struct disk_tail t;
	uint64_t at, n;

	if (len != sizeof(t) || file_len < CKPT_PACK_HEAD_LEN + sizeof(t))
		return ckpt_fail(err, CKPT_DAMAGED, 0, "pack is cut short");
	memcpy(&t, data, sizeof(t));
	at = le64toh(t.index_at);
	n = le64toh(t.count);
	if (memcmp(t.magic, tail_magic, sizeof(t.magic)) || le64toh(t.file_len) != file_len)
		return ckpt_fail(err, CKPT_DAMAGED, 0,
				 "pack does not end like a pack; it is cut short");
	if (at < CKPT_PACK_HEAD_LEN || at > file_len - sizeof(t) ||
	    n != (file_len - sizeof(t) - at) / CKPT_INDEX_ENTRY_LEN ||
	    n * CKPT_INDEX_ENTRY_LEN != file_len - sizeof(t) - at)
		return ckpt_fail(err, CKPT_DAMAGED, 0,
				 "index of the pack has an impossible length");
	*ret_at = at;
	*ret_n = n;
	return 0;
}

static int decode_entry(const uint8_t *p, uint64_t index_at, struct ckpt_object *ret,
			struct ckpt_err *err)
{
	struct disk_entry e;
	struct ckpt_object o;

	memcpy(&e, p, sizeof(e));
	o = (struct ckpt_object){
		.offset = le64toh(e.offset),
		.stored_len = le32toh(e.stored_len),
		.raw_len = le32toh(e.raw_len),
		.crc = le32toh(e.crc),
		.type = e.type,
		.codec = e.codec,
	};
	memcpy(o.hash.b, e.hash, sizeof(e.hash));
	if (check_object(&o, err))
		return -1;
	if (e.zero || o.offset < CKPT_PACK_HEAD_LEN || o.offset > index_at ||
	    index_at - o.offset < (uint64_t)CKPT_OBJECT_HEAD_LEN + o.stored_len)
		return ckpt_fail(err, CKPT_DAMAGED, 0, "object lies outside of its pack");
	*ret = o;
	return 0;
}

int ckpt_index_decode(const uint8_t head[CKPT_PACK_HEAD_LEN], const void *data, size_t len,
		      uint64_t file_len, struct ckpt_object **ret, size_t *ret_n,
		      struct ckpt_err *err)
{
	cleanup_free struct ckpt_object *objects = NULL;
	struct disk_tail t;
	struct ckpt_hash hash;
	uint64_t at;
	size_t n;

	if (len < sizeof(t))
		return ckpt_fail(err, CKPT_DAMAGED, 0, "pack is cut short");
	memcpy(&t, (const uint8_t *)data + len - sizeof(t), sizeof(t));
	if (ckpt_tail_decode(&t, sizeof(t), file_len, &at, &n, err))
		return -1;
	if (len != file_len - at)
		return ckpt_fail(err, CKPT_DAMAGED, 0, "index of the pack is cut short");
	if (tail_hash(head, data, len - sizeof(t), &t, &hash, err))
		return -1;
	if (memcmp(hash.b, t.hash, sizeof(t.hash)))
		return ckpt_fail(err, CKPT_DAMAGED, 0, "index of the pack fails its hash");
	objects = n ? calloc(n, sizeof(*objects)) : NULL;
	if (n && !objects)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for the index of a pack");
	for (size_t i = 0; i < n; i++) {
		if (decode_entry((const uint8_t *)data + i * CKPT_INDEX_ENTRY_LEN, at, &objects[i],
				 err))
			return -1;
		if (i && ckpt_object_order(&objects[i - 1], &objects[i]) >= 0)
			return ckpt_fail(err, CKPT_DAMAGED, 0, "index of the pack is not in order");
	}
	*ret = take_ptr(objects);
	*ret_n = n;
	return 0;
}
