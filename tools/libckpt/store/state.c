// SPDX-License-Identifier: GPL-2.0-or-later
/* State: what was found out about a checkpoint after it was written. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "store/state.h"

#define STATE_LEN_MAX 512

const char *ckpt_verdict_name(enum ckpt_verdict v)
{
	return v == CKPT_VERDICT_GOOD ? "good" : v == CKPT_VERDICT_DAMAGED ? "damaged" : "none";
}

/* The whole text. Return: its length, 0 when it cannot be hashed. */
static size_t print(const struct ckpt_hash *manifest, const struct ckpt_state *s,
		    char ret[STATE_LEN_MAX])
{
	char digits[CKPT_HASH_TEXT];
	struct ckpt_hash sum;
	int n;

	ckpt_hex(manifest->b, CKPT_HASH_LEN, digits);
	n = snprintf(ret, STATE_LEN_MAX,
		     "ckpt state\nverdict %s\ntime_ns %" PRIu64 "\nmanifest %s\n",
		     ckpt_verdict_name(s->verdict), s->time_ns, digits);
	if (ckpt_hash_of(ret, n, &sum))
		return 0;
	ckpt_hex(sum.b, CKPT_HASH_LEN, digits);
	return n + snprintf(ret + n, STATE_LEN_MAX - n, "sha256 %s\n", digits);
}

bool ckpt_state_exists(const struct ckpt_group *g, uint64_t id)
{
	char name[64];

	snprintf(name, sizeof(name), "%" PRIu64 ".state", id);
	return !faccessat(g->dir, name, F_OK, 0);
}

void ckpt_state_load(const struct ckpt_group *g, uint64_t id, const struct ckpt_hash *manifest,
		     struct ckpt_state *ret)
{
	cleanup_buf struct ckpt_buf b = CKPT_BUF_INIT;
	struct ckpt_state s = { 0 };
	char name[64], verdict[16], text[STATE_LEN_MAX];

	*ret = (struct ckpt_state){ 0 };
	snprintf(name, sizeof(name), "%" PRIu64 ".state", id);
	if (ckpt_file_read(g->dir, name, STATE_LEN_MAX - 1, &b, NULL))
		return;
	ckpt_buf_put(&b, "", 1);
	if (b.failed || sscanf((const char *)b.data, "ckpt state\nverdict %15s\ntime_ns %" SCNu64,
			       verdict, &s.time_ns) != 2)
		return;
	s.verdict = strcmp(verdict, "good") ? CKPT_VERDICT_DAMAGED : CKPT_VERDICT_GOOD;
	/* Only what would be written just so is believed. */
	if (print(manifest, &s, text) != b.len - 1 || memcmp(text, b.data, b.len))
		return;
	*ret = s;
}

int ckpt_state_save(const struct ckpt_group *g, uint64_t id, const struct ckpt_hash *manifest,
		    const struct ckpt_state *state, struct ckpt_err *err)
{
	cleanup_close int tmp = -1;
	char name[64], text[STATE_LEN_MAX];
	size_t len = print(manifest, state, text);
	struct ckpt_place at = { g->store->path, -1, g->dir, name, 0600,
				 "the state of a checkpoint", NULL };

	snprintf(name, sizeof(name), "%" PRIu64 ".state", id);
	if (!len)
		return ckpt_fail(err, CKPT_FAILED, 0, "cannot hash the state of a checkpoint");
	if (mkdirat(g->dir, "tmp", 0700) && errno != EEXIST)
		return ckpt_store_fail(g->store->path, errno, at.what, err);
	tmp = openat(g->dir, "tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (tmp < 0)
		return ckpt_store_fail(g->store->path, errno, at.what, err);
	at.tmp = tmp;
	return ckpt_file_replace(&at, text, len, err);
}
