// SPDX-License-Identifier: GPL-2.0-or-later
/* Cache of plain bytes by name. */
#include <stdlib.h>

#include "store/cache.h"

struct ckpt_cached {
	struct ckpt_hash name;
	uint8_t *data;
	size_t len;
	struct ckpt_cached *chain;	/* of the bucket */
	struct ckpt_cached *newer;
	struct ckpt_cached *older;
};

static struct ckpt_cached **bucket(struct ckpt_cache *c, const struct ckpt_hash *name)
{
	uint32_t n;

	memcpy(&n, name->b, sizeof(n));
	return &c->bucket[n % CKPT_CACHE_BUCKETS];
}

static void unlink_age(struct ckpt_cache *c, struct ckpt_cached *e)
{
	*(e->newer ? &e->newer->older : &c->newest) = e->older;
	*(e->older ? &e->older->newer : &c->oldest) = e->newer;
}

static void link_newest(struct ckpt_cache *c, struct ckpt_cached *e)
{
	e->newer = NULL;
	e->older = c->newest;
	*(c->newest ? &c->newest->newer : &c->oldest) = e;
	c->newest = e;
}

static void forget(struct ckpt_cache *c, struct ckpt_cached *e)
{
	struct ckpt_cached **at = bucket(c, &e->name);

	while (*at != e)
		at = &(*at)->chain;
	*at = e->chain;
	unlink_age(c, e);
	c->len -= e->len;
	free(e->data);
	free(e);
}

void ckpt_cache_done(struct ckpt_cache *c)
{
	while (c->oldest)
		forget(c, c->oldest);
}

const uint8_t *ckpt_cache_find(struct ckpt_cache *c, const struct ckpt_hash *name, size_t *ret_len)
{
	struct ckpt_cached *e = *bucket(c, name);

	while (e && !ckpt_hash_equal(&e->name, name))
		e = e->chain;
	if (!e)
		return NULL;
	unlink_age(c, e);
	link_newest(c, e);
	*ret_len = e->len;
	return e->data;
}

int ckpt_cache_add(struct ckpt_cache *c, const struct ckpt_hash *name, uint8_t *data, size_t len)
{
	struct ckpt_cached *e = malloc(sizeof(*e));
	struct ckpt_cached **at = bucket(c, name);

	if (!e) {
		free(data);
		return -1;
	}
	while (c->oldest && c->len + len > (c->len_max ? c->len_max : CKPT_CACHE_LEN_MAX))
		forget(c, c->oldest);
	*e = (struct ckpt_cached){ .name = *name, .data = data, .len = len, .chain = *at };
	*at = e;
	link_newest(c, e);
	c->len += len;
	return 0;
}
