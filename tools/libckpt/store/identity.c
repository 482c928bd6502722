// SPDX-License-Identifier: GPL-2.0-or-later
/* Identity of a store, as text. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "store/identity.h"

#define SUM_LEN (7 + 2 * CKPT_HASH_LEN + 1)	/* "sha256 ", digits, newline */

int ckpt_format_encode(const struct ckpt_format *f, struct ckpt_buf *ret, struct ckpt_err *err)
{
	char uuid[CKPT_UUID_TEXT], text[400], digits[CKPT_HASH_TEXT];
	struct ckpt_hash hash;
	int n;

	ckpt_hex(f->uuid, sizeof(f->uuid), uuid);
	n = snprintf(text, sizeof(text),
		     "ckpt store\nversion %" PRIu32 "\nuuid %s\ncompat %" PRIx64
		     "\nro_compat %" PRIx64 "\nincompat %" PRIx64 "\n", f->version, uuid,
		     f->flags.compat, f->flags.ro_compat, f->flags.incompat);
	if (ckpt_hash_of(text, n, &hash))
		return ckpt_fail(err, CKPT_FAILED, 0, "cannot hash the format of the store");
	ckpt_hex(hash.b, sizeof(hash.b), digits);
	n += snprintf(text + n, sizeof(text) - n, "sha256 %s\n", digits);
	ckpt_buf_put(ret, text, n);
	return ret->failed ? ckpt_fail(err, CKPT_FAILED, 0, "no memory for the format") : 0;
}

int ckpt_format_decode(const void *data, size_t len, struct ckpt_format *ret,
		       struct ckpt_err *err)
{
	cleanup_buf struct ckpt_buf again = CKPT_BUF_INIT;
	char text[400], uuid[CKPT_UUID_TEXT], digits[CKPT_HASH_TEXT];
	struct ckpt_format f = { 0 };
	struct ckpt_hash hash;

	if (len <= SUM_LEN || len >= sizeof(text) || memcmp(data, "ckpt store\n", 11))
		return ckpt_fail(err, CKPT_DAMAGED, 0, "it does not begin like a format file");
	memcpy(text, data, len);
	text[len] = 0;
	if (ckpt_hash_of(text, len - SUM_LEN, &hash))
		return ckpt_fail(err, CKPT_FAILED, 0, "cannot hash the format of the store");
	ckpt_hex(hash.b, sizeof(hash.b), digits);
	if (memcmp(text + len - SUM_LEN, "sha256 ", 7) ||
	    memcmp(text + len - SUM_LEN + 7, digits, 2 * CKPT_HASH_LEN) || text[len - 1] != '\n')
		return ckpt_fail(err, CKPT_DAMAGED, 0, "it fails its hash");
	if (sscanf(text + 11, "version %" SCNu32, &f.version) != 1)
		return ckpt_fail(err, CKPT_DAMAGED, 0, "it has no version");
	if (f.version > CKPT_STORE_VERSION)
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "it has format %u and this ckpt-tool knows up to %u; "
				 "use a newer one", f.version, CKPT_STORE_VERSION);
	if (sscanf(text + 11,
		   "version %" SCNu32 "\nuuid %32s\ncompat %" SCNx64 "\nro_compat %" SCNx64
		   "\nincompat %" SCNx64, &f.version, uuid, &f.flags.compat, &f.flags.ro_compat,
		   &f.flags.incompat) != 5 || ckpt_unhex(uuid, f.uuid, sizeof(f.uuid)))
		return ckpt_fail(err, CKPT_DAMAGED, 0, "its lines are not those of a format file");
	if (f.flags.incompat & ~CKPT_INCOMPAT_KNOWN)
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "it needs features %#" PRIx64 " of a newer ckpt-tool",
				 f.flags.incompat);
	if (ckpt_format_encode(&f, &again, err))
		return -1;
	if (again.len != len || memcmp(again.data, data, len))
		return ckpt_fail(err, CKPT_DAMAGED, 0, "its lines are not those of a format file");
	*ret = f;
	return 0;
}
