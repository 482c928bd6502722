// SPDX-License-Identifier: GPL-2.0-or-later
/* Manifests, as bytes. */
#include <assert.h>
#include <endian.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/wire.h"
#include "store/manifest.h"

struct disk_manifest {
	uint8_t magic[8];
	uint32_t version;
	uint32_t head_len;
	uint64_t compat;
	uint64_t ro_compat;
	uint64_t incompat;
	uint64_t file_len;
};

static_assert(sizeof(struct disk_manifest) == 48, "manifest header");
static_assert(offsetof(struct disk_manifest, file_len) == 40, "manifest header length");

static const uint8_t magic[8] = "CKPTMANI";

enum tag {
	TAG_NAME = 1,
	TAG_ID,
	TAG_UUID,
	TAG_PARENT,		/* with TAG_PARENT_UUID, or neither */
	TAG_PARENT_UUID,
	TAG_KIND,
	TAG_TRACKER,
	TAG_WHY,
	TAG_TIME_NS,
	TAG_BOOT_ID,
	TAG_COOKIE,
	TAG_GENERATION,
	TAG_EPOCH,
	TAG_NEXT_SPACE,
	TAG_ROOT,
	TAG_PACK,
	TAG_PAGES,
	TAG_FILES,
	TAG_BYTES_READ,
	TAG_RAW_BYTES,
	TAG_STORED_BYTES,
	TAG_FREEZE_NS,
	TAG_TOTAL_NS,
	TAG_BLOB,		/* TAG_BLOB_* inside */
	TAG_NOTE,		/* TAG_NOTE_* inside */

	TAG_BLOB_NAME = 1,
	TAG_BLOB_SPACE,
	TAG_BLOB_LEN,

	TAG_NOTE_KEY = 1,
	TAG_NOTE_VALUE,
};

static_assert(TAG_NOTE == 25, "tags are part of the format");

void ckpt_manifest_done(struct ckpt_manifest *m)
{
	for (size_t i = 0; i < m->nnotes; i++) {
		free(m->notes[i].key);
		free(m->notes[i].value);
	}
	free(m->notes);
	free(m->blobs);
	free(m->why);
	*m = (struct ckpt_manifest){ 0 };
}

const char *ckpt_kind_name(enum ckpt_kind kind)
{
	static const char *const name[] = {
		[CKPT_KIND_FULL] = "full",
		[CKPT_KIND_INCREMENTAL] = "incremental",
		[CKPT_KIND_FILES] = "files",
	};

	return kind < sizeof(name) / sizeof(*name) ? name[kind] : "unknown";
}

bool ckpt_name_valid(const char *name)
{
	size_t len = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				  "0123456789._-");

	return len && !name[len] && len < CKPT_NAME_LEN && strcmp(name, ".") && strcmp(name, "..");
}

const struct ckpt_blob *ckpt_manifest_blob(const struct ckpt_manifest *m, const char *name)
{
	for (size_t i = 0; i < m->nblobs; i++)
		if (!strcmp(m->blobs[i].name, name))
			return &m->blobs[i];
	return NULL;
}

const struct ckpt_note *ckpt_manifest_note(const struct ckpt_manifest *m, const char *key)
{
	for (size_t i = 0; i < m->nnotes; i++)
		if (!strcmp(m->notes[i].key, key))
			return &m->notes[i];
	return NULL;
}

static int too_many(const struct ckpt_manifest *m, struct ckpt_err *err)
{
	return ckpt_fail(err, CKPT_REFUSED, 0,
			 "a checkpoint of '%s' has more than %u parts or notes",
			 m->name, CKPT_PARTS_MAX);
}

int ckpt_manifest_set_blob(struct ckpt_manifest *m, const char *name, uint32_t space,
			   uint64_t len, struct ckpt_err *err)
{
	struct ckpt_blob *b = (struct ckpt_blob *)ckpt_manifest_blob(m, name);

	if (!*name || strlen(name) >= CKPT_LABEL_LEN)
		return ckpt_fail(err, CKPT_USAGE, 0, "'%s' is no name for a part of a checkpoint",
				 name);
	if (!b && m->nblobs == CKPT_PARTS_MAX)
		return too_many(m, err);
	if (!b) {
		b = realloc(m->blobs, (m->nblobs + 1) * sizeof(*b));
		if (!b)
			return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a manifest");
		m->blobs = b;
		b += m->nblobs++;
		*b = (struct ckpt_blob){ 0 };
		memcpy(b->name, name, strlen(name));
	}
	b->space = space;
	b->len = len;
	return 0;
}

int ckpt_manifest_set_note(struct ckpt_manifest *m, const char *key, const void *value,
			   size_t len, struct ckpt_err *err)
{
	struct ckpt_note *n = (struct ckpt_note *)ckpt_manifest_note(m, key);
	cleanup_free uint8_t *copy = malloc(len + 1);
	cleanup_free char *name = strdup(key);

	if (!copy || !name)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a manifest");
	if (len)
		memcpy(copy, value, len);
	copy[len] = 0;
	if (!n && m->nnotes == CKPT_PARTS_MAX)
		return too_many(m, err);
	if (!n) {
		n = realloc(m->notes, (m->nnotes + 1) * sizeof(*n));
		if (!n)
			return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a manifest");
		m->notes = n;
		n += m->nnotes++;
		*n = (struct ckpt_note){ .key = take_ptr(name) };
	}
	free(n->value);
	n->value = take_ptr(copy);
	n->len = len;
	return 0;
}

static void encode_lists(const struct ckpt_manifest *m, struct ckpt_buf *b)
{
	for (size_t i = 0; i < m->nblobs; i++) {
		size_t at = ckpt_wire_begin(b, TAG_BLOB);

		ckpt_wire_str(b, TAG_BLOB_NAME, m->blobs[i].name);
		ckpt_wire_u64(b, TAG_BLOB_SPACE, m->blobs[i].space);
		ckpt_wire_u64(b, TAG_BLOB_LEN, m->blobs[i].len);
		ckpt_wire_end(b, at);
	}
	for (size_t i = 0; i < m->nnotes; i++) {
		size_t at = ckpt_wire_begin(b, TAG_NOTE);

		ckpt_wire_str(b, TAG_NOTE_KEY, m->notes[i].key);
		ckpt_wire_bytes(b, TAG_NOTE_VALUE, m->notes[i].value, m->notes[i].len);
		ckpt_wire_end(b, at);
	}
}

static void encode_records(const struct ckpt_manifest *m, struct ckpt_buf *b)
{
	ckpt_wire_str(b, TAG_NAME, m->name);
	ckpt_wire_u64(b, TAG_ID, m->id);
	ckpt_wire_bytes(b, TAG_UUID, m->uuid, sizeof(m->uuid));
	if (m->parent) {
		ckpt_wire_u64(b, TAG_PARENT, m->parent);
		ckpt_wire_bytes(b, TAG_PARENT_UUID, m->parent_uuid, sizeof(m->parent_uuid));
	}
	ckpt_wire_u64(b, TAG_KIND, m->kind);
	ckpt_wire_str(b, TAG_TRACKER, m->tracker);
	ckpt_wire_str(b, TAG_WHY, m->why ? m->why : "");
	ckpt_wire_u64(b, TAG_TIME_NS, m->time_ns);
	ckpt_wire_str(b, TAG_BOOT_ID, m->lineage.boot_id);
	ckpt_wire_u64(b, TAG_COOKIE, m->lineage.cookie);
	ckpt_wire_u64(b, TAG_GENERATION, m->lineage.generation);
	ckpt_wire_u64(b, TAG_EPOCH, m->lineage.epoch);
	ckpt_wire_u64(b, TAG_NEXT_SPACE, m->next_space);
	if (m->has_root)
		ckpt_wire_bytes(b, TAG_ROOT, m->root.b, CKPT_HASH_LEN);
	if (m->has_pack)
		ckpt_wire_bytes(b, TAG_PACK, m->uuid, sizeof(m->uuid));
	ckpt_wire_u64(b, TAG_PAGES, m->counts.pages);
	ckpt_wire_u64(b, TAG_FILES, m->counts.files);
	ckpt_wire_u64(b, TAG_BYTES_READ, m->counts.bytes_read);
	ckpt_wire_u64(b, TAG_RAW_BYTES, m->counts.raw_bytes);
	ckpt_wire_u64(b, TAG_STORED_BYTES, m->counts.stored_bytes);
	ckpt_wire_u64(b, TAG_FREEZE_NS, m->counts.freeze_ns);
	ckpt_wire_u64(b, TAG_TOTAL_NS, m->counts.total_ns);
	encode_lists(m, b);
}

int ckpt_manifest_encode(const struct ckpt_manifest *m, struct ckpt_buf *ret,
			 struct ckpt_err *err)
{
	struct disk_manifest head = {
		.version = htole32(CKPT_STORE_VERSION),
		.head_len = htole32(sizeof(head)),
		.compat = htole64(m->flags.compat),
		.ro_compat = htole64(m->flags.ro_compat),
		.incompat = htole64(m->flags.incompat),
	};
	size_t at = ckpt_buf_put(ret, NULL, sizeof(head));
	struct ckpt_hash hash;

	encode_records(m, ret);
	if (ret->failed)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a manifest");
	if (ret->len - at + CKPT_HASH_LEN > CKPT_MANIFEST_LEN_MAX)
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "manifest of '%s' would be longer than %u bytes",
				 m->name, CKPT_MANIFEST_LEN_MAX);
	memcpy(head.magic, magic, sizeof(magic));
	head.file_len = htole64(ret->len - at + CKPT_HASH_LEN);
	memcpy(ret->data + at, &head, sizeof(head));
	if (ckpt_hash_of(ret->data + at, ret->len - at, &hash))
		return ckpt_fail(err, CKPT_FAILED, 0, "cannot hash a manifest");
	ckpt_buf_put(ret, hash.b, CKPT_HASH_LEN);
	return ret->failed ? ckpt_fail(err, CKPT_FAILED, 0, "no memory for a manifest") : 0;
}

static int label(const struct ckpt_record *r, char *ret, size_t size, struct ckpt_err *err)
{
	if (r->len >= size || memchr(r->data, 0, r->len))
		return ckpt_fail(err, CKPT_DAMAGED, 0, "record %u is no short text", r->tag);
	memset(ret, 0, size);
	if (r->len)
		memcpy(ret, r->data, r->len);
	return 0;
}

static int decode_blob(const struct ckpt_record *outer, struct ckpt_manifest *m,
		       struct ckpt_err *err)
{
	struct ckpt_wire w = ckpt_wire_in(outer);
	char name[CKPT_LABEL_LEN] = "";
	uint64_t space = 0, len = 0;
	struct ckpt_record r;
	int rc;

	while ((rc = ckpt_wire_next(&w, &r, err)) == 1) {
		if (r.tag == TAG_BLOB_NAME)
			rc = label(&r, name, sizeof(name), err);
		else if (r.tag == TAG_BLOB_SPACE)
			rc = ckpt_record_u64(&r, &space, err);
		else if (r.tag == TAG_BLOB_LEN)
			rc = ckpt_record_u64(&r, &len, err);
		else
			rc = ckpt_record_unknown(&r, err);
		if (rc < 0)
			return -1;
	}
	if (rc < 0)
		return -1;
	if (!*name || space > CKPT_SPACE_MAX || len > (CKPT_PAGE_MAX + 1) * CKPT_PAGE_LEN)
		return ckpt_fail(err, CKPT_DAMAGED, 0,
				 "a part of the checkpoint has impossible values");
	return ckpt_manifest_set_blob(m, name, space, len, err);
}

static int decode_note(const struct ckpt_record *outer, struct ckpt_manifest *m,
		       struct ckpt_err *err)
{
	struct ckpt_wire w = ckpt_wire_in(outer);
	struct ckpt_record r, value = { 0 };
	cleanup_free char *key = NULL;
	int rc;

	while ((rc = ckpt_wire_next(&w, &r, err)) == 1) {
		if (r.tag == TAG_NOTE_KEY && !key)
			rc = ckpt_record_str(&r, &key, err);
		else if (r.tag == TAG_NOTE_VALUE)
			value = r;
		else
			rc = ckpt_record_unknown(&r, err);
		if (rc < 0)
			return -1;
	}
	if (rc < 0)
		return -1;
	if (!key)
		return ckpt_fail(err, CKPT_DAMAGED, 0, "a note of the checkpoint has no key");
	return ckpt_manifest_set_note(m, key, value.data, value.len, err);
}

static int decode_pack(const struct ckpt_record *r, struct ckpt_manifest *m, struct ckpt_err *err)
{
	uint8_t uuid[CKPT_UUID_LEN];

	if (ckpt_record_bytes(r, uuid, sizeof(uuid), err))
		return -1;
	if (memcmp(uuid, m->uuid, sizeof(uuid)))
		return ckpt_fail(err, CKPT_DAMAGED, 0,
				 "the pack has another name than the checkpoint");
	m->has_pack = true;
	return 0;
}

static int decode_number(const struct ckpt_record *r, uint64_t max, uint64_t *ret,
			 struct ckpt_err *err)
{
	uint64_t v;

	if (ckpt_record_u64(r, &v, err))
		return -1;
	if (v > max)
		return ckpt_fail(err, CKPT_DAMAGED, 0, "record %u holds the impossible %" PRIu64,
				 r->tag, v);
	*ret = v;
	return 0;
}

/* Records that are one integer. Return: 1 when @r was none of them. */
static int decode_figure(const struct ckpt_record *r, struct ckpt_manifest *m,
			 struct ckpt_err *err)
{
	uint64_t *const at[] = {
		[TAG_ID] = &m->id,
		[TAG_PARENT] = &m->parent,
		[TAG_TIME_NS] = &m->time_ns,
		[TAG_COOKIE] = &m->lineage.cookie,
		[TAG_GENERATION] = &m->lineage.generation,
		[TAG_EPOCH] = &m->lineage.epoch,
		[TAG_PAGES] = &m->counts.pages,
		[TAG_FILES] = &m->counts.files,
		[TAG_BYTES_READ] = &m->counts.bytes_read,
		[TAG_RAW_BYTES] = &m->counts.raw_bytes,
		[TAG_STORED_BYTES] = &m->counts.stored_bytes,
		[TAG_FREEZE_NS] = &m->counts.freeze_ns,
		[TAG_TOTAL_NS] = &m->counts.total_ns,
	};

	if (r->tag >= sizeof(at) / sizeof(*at) || !at[r->tag])
		return 1;
	return ckpt_record_u64(r, at[r->tag], err);
}

static int decode_record(const struct ckpt_record *r, struct ckpt_manifest *m,
			 struct ckpt_err *err)
{
	uint64_t v = 0;
	int rc = decode_figure(r, m, err);

	if (rc <= 0)
		return rc;
	switch (r->tag) {
	case TAG_NAME:
		return label(r, m->name, sizeof(m->name), err);
	case TAG_UUID:
		return ckpt_record_bytes(r, m->uuid, sizeof(m->uuid), err);
	case TAG_PARENT_UUID:
		return ckpt_record_bytes(r, m->parent_uuid, sizeof(m->parent_uuid), err);
	case TAG_KIND:
		rc = decode_number(r, CKPT_KIND_FILES, &v, err);
		m->kind = v;
		return rc;
	case TAG_TRACKER:
		return label(r, m->tracker, sizeof(m->tracker), err);
	case TAG_WHY:
		free(take_ptr(m->why));
		return ckpt_record_str(r, &m->why, err);
	case TAG_BOOT_ID:
		return label(r, m->lineage.boot_id, sizeof(m->lineage.boot_id), err);
	case TAG_NEXT_SPACE:
		rc = decode_number(r, CKPT_SPACE_MAX + 1u, &v, err);
		m->next_space = v;
		return rc;
	case TAG_ROOT:
		m->has_root = true;
		return ckpt_record_bytes(r, m->root.b, CKPT_HASH_LEN, err);
	case TAG_PACK:
		return decode_pack(r, m, err);
	case TAG_BLOB:
		return decode_blob(r, m, err);
	case TAG_NOTE:
		return decode_note(r, m, err);
	}
	return ckpt_record_unknown(r, err);
}

/* Header and hash. Return: 0 with @ret_flags set. */
static int check_frame(const uint8_t *data, size_t len, struct ckpt_flags *ret_flags,
		       struct ckpt_err *err)
{
	struct disk_manifest head;
	struct ckpt_hash hash;

	if (len < sizeof(head) + CKPT_HASH_LEN)
		return ckpt_fail(err, CKPT_DAMAGED, 0, "manifest is cut short");
	memcpy(&head, data, sizeof(head));
	if (memcmp(head.magic, magic, sizeof(magic)))
		return ckpt_fail(err, CKPT_DAMAGED, 0, "manifest does not begin like a manifest");
	if (ckpt_hash_of(data, len - CKPT_HASH_LEN, &hash))
		return ckpt_fail(err, CKPT_FAILED, 0, "cannot hash a manifest");
	if (memcmp(hash.b, data + len - CKPT_HASH_LEN, CKPT_HASH_LEN))
		return ckpt_fail(err, CKPT_DAMAGED, 0, "manifest fails its hash");
	if (le32toh(head.version) != CKPT_STORE_VERSION ||
	    le64toh(head.incompat) & ~CKPT_INCOMPAT_KNOWN)
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "manifest has version %u and flags %#" PRIx64
				 " of a newer format; use a newer ckpt-tool",
				 le32toh(head.version), le64toh(head.incompat));
	if (le32toh(head.head_len) != sizeof(head) || le64toh(head.file_len) != len)
		return ckpt_fail(err, CKPT_DAMAGED, 0, "manifest has another length than it says");
	*ret_flags = (struct ckpt_flags){ le64toh(head.compat), le64toh(head.ro_compat),
					  le64toh(head.incompat) };
	return 0;
}

int ckpt_manifest_decode(const void *data, size_t len, struct ckpt_manifest *ret,
			 struct ckpt_err *err)
{
	cleanup_manifest struct ckpt_manifest m = { 0 };
	struct ckpt_record r;
	struct ckpt_wire w;
	int rc;

	if (check_frame(data, len, &m.flags, err))
		return -1;
	w = ckpt_wire_of((const uint8_t *)data + sizeof(struct disk_manifest),
			 len - sizeof(struct disk_manifest) - CKPT_HASH_LEN);
	while ((rc = ckpt_wire_next(&w, &r, err)) == 1)
		if (decode_record(&r, &m, err))
			return -1;
	if (rc < 0)
		return -1;
	if (!ckpt_name_valid(m.name) || !m.id || m.parent >= m.id)
		return ckpt_fail(err, CKPT_DAMAGED, 0, "manifest has no valid name or id");
	*ret = m;
	m = (struct ckpt_manifest){ 0 };
	return 0;
}
