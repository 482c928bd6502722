// SPDX-License-Identifier: GPL-2.0-or-later
/* Stamps: keyed hashes by which one process knows bytes again that it has seen. */
#include <limits.h>
#include <openssl/evp.h>
#include <sys/random.h>

#include "base/stamp.h"

#define NONCE_LEN 12

static const uint8_t nonce[NONCE_LEN];

struct ckpt_stamp_key ckpt_stamp_key_new(void)
{
	struct ckpt_stamp_key key = { .known = false };

	key.known = getrandom(key.b, sizeof(key.b), 0) == sizeof(key.b);
	return key;
}

struct ckpt_stamper *ckpt_stamper_new(const struct ckpt_stamp_key *key)
{
	EVP_CIPHER_CTX *ctx = key->known ? EVP_CIPHER_CTX_new() : NULL;

	if (ctx && EVP_EncryptInit_ex(ctx, EVP_aes_128_gcm(), NULL, key->b, nonce))
		return (struct ckpt_stamper *)ctx;
	EVP_CIPHER_CTX_free(ctx);
	return NULL;
}

void ckpt_stamper_free(struct ckpt_stamper *s)
{
	EVP_CIPHER_CTX_free((EVP_CIPHER_CTX *)s);
}

/* Nothing is encrypted: all of it is data that only the tag is made of. */
int ckpt_stamp(struct ckpt_stamper *s, const void *data, size_t len, struct ckpt_stamp *ret)
{
	EVP_CIPHER_CTX *ctx = (EVP_CIPHER_CTX *)s;
	int n;

	if (!ctx || len > INT_MAX || !EVP_EncryptInit_ex(ctx, NULL, NULL, NULL, nonce) ||
	    !EVP_EncryptUpdate(ctx, NULL, &n, data, len) ||
	    !EVP_EncryptFinal_ex(ctx, ret->b, &n) ||
	    !EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, CKPT_STAMP_LEN, ret->b))
		return -1;
	return 0;
}
