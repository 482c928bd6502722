// SPDX-License-Identifier: GPL-2.0-or-later
/* The vdso in an image: is it the one whose hash is there? */
#include <openssl/sha.h>
#include <string.h>

#include "base/pages.h"
#include "proc/image-check.h"
#include "proc/vdso.h"

int ckpt_vdso_bytes_check(const struct ckpt_image *image, struct ckpt_err *err)
{
	uint8_t hash[SHA256_DIGEST_LENGTH];

	if (!image->vdso_len)
		return 0;
	if (image->vdso_len > CKPT_VDSO_MAX || image->vdso_len % CKPT_PAGE_LEN)
		return BAD_IMAGE("a vdso has %zu bytes", image->vdso_len);
	SHA256(image->vdso, image->vdso_len, hash);
	if (memcmp(hash, image->vdso_hash, sizeof(hash)))
		return BAD_IMAGE("its vdso has another hash");
	return 0;
}
