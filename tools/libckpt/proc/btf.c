// SPDX-License-Identifier: GPL-2.0-or-later
/* BTF: a walk over all types, each as long as its kind says. */
#include <linux/btf.h>
#include <string.h>

#include "proc/btf.h"

#define MAGIC 0xeb9f
#define LAST_KIND 19u	/* of those known here */

/* What follows a type: bytes for each of its parts, or once. */
static const struct {
	uint8_t each, once;
} tails[LAST_KIND + 1] = {
	[BTF_KIND_INT] = { .once = 4 },
	[BTF_KIND_ARRAY] = { .once = 12 },
	[BTF_KIND_STRUCT] = { .each = 12 },
	[BTF_KIND_UNION] = { .each = 12 },
	[BTF_KIND_ENUM] = { .each = 8 },
	[BTF_KIND_FUNC_PROTO] = { .each = 8 },
	[BTF_KIND_VAR] = { .once = 4 },
	[BTF_KIND_DATASEC] = { .each = 12 },
	[17] = { .once = 4 },	/* a declaration tag */
	[LAST_KIND] = { .each = 12 },	/* an enumeration of 64 bits */
};

/* Names, ended within @len. */
struct names {
	const char *text;
	size_t len;
};

static const char *name_at(const struct names *s, uint32_t at)
{
	return at < s->len ? s->text + at : "";
}

/* Look through a structure for what is wanted of it. Return: how many were found. */
static size_t look(const struct btf_type *t, const struct names *s,
		   struct ckpt_btf_member *members, size_t n)
{
	const struct btf_member *m = (const struct btf_member *)(t + 1);
	const char *name = name_at(s, t->name_off);
	size_t found = 0;

	for (size_t i = 0; i < n; i++) {
		if (members[i].offset != UINT32_MAX || strcmp(name, members[i].type))
			continue;
		for (uint32_t j = 0; j < BTF_INFO_VLEN(t->info); j++) {
			if (strcmp(name_at(s, m[j].name_off), members[i].name))
				continue;
			/* with the flag, the upper byte is the width of a bit field */
			members[i].offset = (BTF_INFO_KFLAG(t->info) ?
				BTF_MEMBER_BIT_OFFSET(m[j].offset) : m[j].offset) / 8;
			found++;
			break;
		}
	}
	return found;
}

int ckpt_btf_find(const void *data, size_t len, struct ckpt_btf_member *members, size_t n)
{
	const struct btf_header *h = data;
	const uint8_t *at, *end;
	size_t left = n;
	struct names s;

	if (len < sizeof(*h) || h->magic != MAGIC || h->hdr_len > len || h->hdr_len % 4 ||
	    h->type_off % 4 || h->type_off > len - h->hdr_len ||
	    h->type_len > len - h->hdr_len - h->type_off || !h->str_len ||
	    h->str_off > len - h->hdr_len || h->str_len > len - h->hdr_len - h->str_off)
		return -1;
	at = (const uint8_t *)data + h->hdr_len + h->type_off;
	end = at + h->type_len;
	s = (struct names){ (const char *)data + h->hdr_len + h->str_off, h->str_len };
	if (s.text[s.len - 1])
		return -1;
	for (size_t i = 0; i < n; i++)
		members[i].offset = UINT32_MAX;
	while (left && (size_t)(end - at) >= sizeof(struct btf_type)) {
		const struct btf_type *t = (const struct btf_type *)at;
		uint32_t kind = BTF_INFO_KIND(t->info);
		size_t size = sizeof(*t);

		if (kind > LAST_KIND)
			return -1;
		size += tails[kind].once + tails[kind].each * (size_t)BTF_INFO_VLEN(t->info);
		if ((size_t)(end - at) < size)
			return -1;
		if (kind == BTF_KIND_STRUCT)
			left -= look(t, &s, members, n);
		at += size;
	}
	return left ? -1 : 0;
}
