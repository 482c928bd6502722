// SPDX-License-Identifier: GPL-2.0-or-later
/* Fingerprints. */
#include <assert.h>
#include <endian.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/cleanup.h"
#include "store/fingerprint.h"

#define KEY_FILE "key"
#define CACHE_FILE "fingerprints"
#define KEY_LEN 32		/* half for pages, half for the cache */
#define PAGE_KEY_LEN 16
#define CACHE_LEN_MAX (1ull << 32)
#define FLAG_COMPLETE 1u

struct disk_head {
	uint8_t magic[8];
	uint32_t version;
	uint32_t flags;
	uint8_t uuid[CKPT_UUID_LEN];
	uint64_t count;
};

static_assert(sizeof(struct disk_head) == 40, "header of the fingerprints");
static_assert(sizeof(struct ckpt_fingerprint_entry) == 24, "entry of the fingerprints");

static const uint8_t magic[8] = "CKPTFPRN";

struct ckpt_fingerprinter {
	EVP_MAC *mac;
	EVP_MAC_CTX *ctx;
	uint8_t key[KEY_LEN];
};

void ckpt_fingerprinter_free(struct ckpt_fingerprinter *f)
{
	if (!f)
		return;
	EVP_MAC_CTX_free(f->ctx);
	EVP_MAC_free(f->mac);
	explicit_bzero(f->key, sizeof(f->key));
	free(f);
}

static void free_fingerprinter(struct ckpt_fingerprinter **f)
{
	ckpt_fingerprinter_free(*f);
}

/* A key that is gone or damaged is replaced: the cache then fails its check. */
static int get_key(const struct ckpt_group *g, uint8_t *ret, struct ckpt_err *err)
{
	const struct ckpt_place at = { g->store->path, g->tmp, g->dir, KEY_FILE, 0600,
				       "the key of a group", "store.key" };
	cleanup_buf struct ckpt_buf b = CKPT_BUF_INIT;

	if (!ckpt_file_read(g->dir, KEY_FILE, KEY_LEN, &b, NULL) && b.len == KEY_LEN) {
		memcpy(ret, b.data, KEY_LEN);
		return 0;
	}
	if (getrandom(ret, KEY_LEN, 0) != KEY_LEN)
		return ckpt_fail(err, CKPT_FAILED, errno,
				 "cannot make a key for group '%s'", g->name);
	return ckpt_file_replace(&at, ret, KEY_LEN, err);
}

struct ckpt_fingerprinter *ckpt_fingerprinter_new(const struct ckpt_group *g,
						  struct ckpt_err *err)
{
	struct ckpt_fingerprinter *made = calloc(1, sizeof(*made));
	__attribute__((cleanup(free_fingerprinter))) struct ckpt_fingerprinter *f = made;
	size_t len = CKPT_FINGERPRINT_LEN;
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &len),
		OSSL_PARAM_construct_end(),
	};

	if (!f) {
		ckpt_fail(err, CKPT_FAILED, 0, "no memory for fingerprints");
		return NULL;
	}
	if (get_key(g, f->key, err))
		return NULL;
	f->mac = EVP_MAC_fetch(NULL, "SIPHASH", NULL);
	f->ctx = f->mac ? EVP_MAC_CTX_new(f->mac) : NULL;
	if (!f->ctx || !EVP_MAC_init(f->ctx, f->key, PAGE_KEY_LEN, params)) {
		ckpt_fail(err, CKPT_FAILED, 0, "libcrypto offers no SipHash; install OpenSSL 3");
		return NULL;
	}
	return take_ptr(f);
}

int ckpt_fingerprint_page(struct ckpt_fingerprinter *f, const void *page,
			  struct ckpt_fingerprint *ret)
{
	size_t len;

	if (!EVP_MAC_init(f->ctx, f->key, PAGE_KEY_LEN, NULL) ||
	    !EVP_MAC_update(f->ctx, page, CKPT_PAGE_LEN) ||
	    !EVP_MAC_final(f->ctx, ret->b, &len, sizeof(ret->b)) || len != sizeof(ret->b))
		return -1;
	return 0;
}

/* Hash over key, header and entries, laid out in @b after KEY_LEN bytes of key. */
static int seal(const struct ckpt_fingerprinter *f, uint8_t *data, size_t len,
		struct ckpt_hash *ret)
{
	memcpy(data, f->key, KEY_LEN);
	return ckpt_hash_of(data, len, ret);
}

/* Header and hash of what was read after KEY_LEN bytes. Return: number of entries, -1 for none. */
static int64_t trusted(const struct ckpt_fingerprinter *f, struct ckpt_buf *b,
		       const uint8_t *uuid, bool *ret_complete)
{
	struct disk_head head;
	struct ckpt_hash hash;
	uint64_t n;

	if (b->len < KEY_LEN + sizeof(head) + CKPT_HASH_LEN)
		return -1;
	memcpy(&head, b->data + KEY_LEN, sizeof(head));
	n = le64toh(head.count);
	if (memcmp(head.magic, magic, sizeof(magic)) || le32toh(head.version) != 1 ||
	    memcmp(head.uuid, uuid, CKPT_UUID_LEN) || n > CACHE_LEN_MAX / 24 ||
	    b->len != KEY_LEN + sizeof(head) + n * 24 + CKPT_HASH_LEN)
		return -1;
	if (seal(f, b->data, b->len - CKPT_HASH_LEN, &hash) ||
	    memcmp(hash.b, b->data + b->len - CKPT_HASH_LEN, CKPT_HASH_LEN))
		return -1;
	*ret_complete = le32toh(head.flags) & FLAG_COMPLETE;
	return n;
}

int ckpt_fingerprints_load(const struct ckpt_fingerprinter *f, const struct ckpt_group *g,
			   const uint8_t uuid[CKPT_UUID_LEN], struct ckpt_fingerprint_set *ret)
{
	cleanup_buf struct ckpt_buf b = CKPT_BUF_INIT;
	struct ckpt_fingerprint_entry *entry;
	bool complete = false;
	int64_t n;

	ckpt_buf_put(&b, NULL, KEY_LEN);
	if (ckpt_file_read(g->dir, CACHE_FILE, CACHE_LEN_MAX, &b, NULL))
		return 0;
	n = trusted(f, &b, uuid, &complete);
	entry = n < 0 ? NULL : malloc(n * sizeof(*entry) + 1);
	if (!entry)
		return 0;
	memcpy(entry, b.data + KEY_LEN + sizeof(struct disk_head), n * sizeof(*entry));
	for (int64_t i = 0; i < n; i++)
		entry[i].key = le64toh(entry[i].key);
	*ret = (struct ckpt_fingerprint_set){ entry, n, complete };
	return 1;
}

int ckpt_fingerprints_save(const struct ckpt_fingerprinter *f, const struct ckpt_group *g,
			   const uint8_t uuid[CKPT_UUID_LEN],
			   const struct ckpt_fingerprint_set *set, struct ckpt_err *err)
{
	const struct ckpt_place at = { g->store->path, g->tmp, g->dir, CACHE_FILE, 0600,
				       "the fingerprints of a group", NULL };
	struct disk_head head = {
		.version = htole32(1),
		.flags = htole32(set->complete ? FLAG_COMPLETE : 0),
		.count = htole64(set->n),
	};
	cleanup_buf struct ckpt_buf b = CKPT_BUF_INIT;
	struct ckpt_hash hash;

	memcpy(head.magic, magic, sizeof(magic));
	memcpy(head.uuid, uuid, CKPT_UUID_LEN);
	ckpt_buf_reserve(&b, KEY_LEN + sizeof(head) + set->n * sizeof(*set->entry) + CKPT_HASH_LEN);
	ckpt_buf_put(&b, NULL, KEY_LEN);
	ckpt_buf_put(&b, &head, sizeof(head));
	for (size_t i = 0; i < set->n; i++) {
		struct ckpt_fingerprint_entry e = set->entry[i];

		e.key = htole64(e.key);
		ckpt_buf_put(&b, &e, sizeof(e));
	}
	if (b.failed || seal(f, b.data, b.len, &hash))
		return ckpt_fail(err, CKPT_FAILED, 0,
				 "no memory for the fingerprints of '%s'", g->name);
	ckpt_buf_put(&b, hash.b, CKPT_HASH_LEN);
	if (b.failed)
		return ckpt_fail(err, CKPT_FAILED, 0,
				 "no memory for the fingerprints of '%s'", g->name);
	return ckpt_file_replace(&at, b.data + KEY_LEN, b.len - KEY_LEN, err);
}
