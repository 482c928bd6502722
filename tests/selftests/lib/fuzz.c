// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Requests of the module's family, valid and spoilt, as a seed decides
 *
 * A request begins as a valid one.  Every other one is spoilt then, in one to three ways: in the
 * list of its attributes, or in the bytes.  Only three things never come out: to remove the
 * group alive or its root, and to commit its epoch, since they would be right.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>

#include <linux/genetlink.h>
#include <linux/netlink.h>

#include "lib/fuzz.h"
#include "lib/world.h"

#define PARTS 24
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* An attribute; @claim is the length that its head says. */
struct part {
	uint16_t type;
	uint16_t claim;
	uint16_t n;
	unsigned char data[256];
};

struct draft {
	struct nlmsghdr head;
	struct genlmsghdr genl;
	size_t nr;
	size_t huge;	/* bytes of zeros after it */
	size_t cut;	/* bytes that are not sent */
	struct part part[PARTS];
};

/* What a valid request of each operation holds; rare: it makes or waits for much. */
static const struct recipe {
	uint8_t cmd;
	uint8_t attr[5];
	bool dump;
	bool rare;
} recipes[] = {
	{ .cmd = CKPT_CMD_GROUP_NEW, .attr = { CKPT_A_GROUP_NAME, CKPT_A_GROUP_CGROUP } },
	{ .cmd = CKPT_CMD_GROUP_DEL, .rare = true,
	  .attr = { CKPT_A_GROUP_NAME } },
	{ .cmd = CKPT_CMD_GROUP_GET, .attr = { CKPT_A_GROUP_NAME } },
	{ .cmd = CKPT_CMD_GROUP_GET, .dump = true },
	{ .cmd = CKPT_CMD_ROOT_ADD, .rare = true,
	  .attr = { CKPT_A_GROUP_NAME, CKPT_A_ROOT_PATH } },
	{ .cmd = CKPT_CMD_ROOT_DEL, .rare = true,
	  .attr = { CKPT_A_GROUP_NAME, CKPT_A_ROOT_PATH } },
	{ .cmd = CKPT_CMD_EPOCH_BEGIN, .attr = { CKPT_A_GROUP_NAME } },
	{ .cmd = CKPT_CMD_EPOCH_NEXT, .attr = { CKPT_A_GROUP_NAME, CKPT_A_EPOCH_FLAGS } },
	{ .cmd = CKPT_CMD_EPOCH_COMMIT,
	  .attr = { CKPT_A_GROUP_NAME, CKPT_A_EPOCH, CKPT_A_CHECKPOINT_ID } },
	{ .cmd = CKPT_CMD_EPOCH_ABORT, .attr = { CKPT_A_GROUP_NAME, CKPT_A_EPOCH } },
	{ .cmd = CKPT_CMD_PAGE_DUMP, .attr = { CKPT_A_GROUP_NAME }, .dump = true },
	{ .cmd = CKPT_CMD_INODE_DUMP, .attr = { CKPT_A_GROUP_NAME }, .dump = true },
	{ .cmd = CKPT_CMD_GROUP_SET, .rare = true,
	  .attr = { CKPT_A_GROUP_NAME, CKPT_A_EVENTS, CKPT_A_DIRTY_SHARE_MIN,
		    CKPT_A_MEMORY_SHARE_MIN, CKPT_A_CHANGED_INODES_MIN } },
};

static const char *const names[] = {
	FUZZ_ALIVE, FUZZ_ALIVE, FUZZ_ALIVE, FUZZ_VICTIM, FUZZ_VICTIM, FUZZ_VICTIM, FUZZ_VICTIM "-2",
	"nobody",
};
#define FIRST_VICTIM 3
static const char *const cgroups[] = {
	"/fuzz.d/1", "/fuzz.d/1", "/fuzz.d/2", "/fuzz.d", "/nowhere", "/",
};
static const char *const paths[] = {
	"/tmp/fuzz/a", "/tmp/fuzz/a", "/tmp/fuzz/b", "/tmp/fuzz", FUZZ_KEPT, "/nowhere",
};

uint64_t fuzz_below(struct fuzz *f, uint64_t n)
{
	return rnd(&f->rnd) % n;
}

/* A number as programs get them wrong. */
static uint64_t odd_number(struct fuzz *f)
{
	switch (fuzz_below(f, 4)) {
	case 0:
		return fuzz_below(f, 20);
	case 1:
		return -fuzz_below(f, 20);
	case 2:
		return (1ULL << fuzz_below(f, 64)) - fuzz_below(f, 2);
	default:
		return rnd(&f->rnd) << 16 ^ rnd(&f->rnd);
	}
}

static void fill(struct fuzz *f, unsigned char *p, size_t n)
{
	while (n--)
		*p++ = (unsigned char)rnd(&f->rnd);
}

/* --- valid requests --- */

static void put_bytes(struct part *p, const void *data, size_t n)
{
	memcpy(p->data, data, n);
	p->n = p->claim = (uint16_t)n;
}

static void put_string(struct part *p, const char *text)
{
	put_bytes(p, text, strlen(text) + 1);
}

/* What goes on with an epoch names mostly the group that it was begun for. */
static const char *group_name(struct fuzz *f, uint8_t cmd)
{
	bool goes_on = cmd == CKPT_CMD_EPOCH_NEXT || cmd == CKPT_CMD_EPOCH_COMMIT ||
		       cmd == CKPT_CMD_EPOCH_ABORT;
	const char *name = names[fuzz_below(f, COUNT(names))];

	/* that of the group alive is not committed */
	if (cmd == CKPT_CMD_EPOCH_COMMIT && fuzz_below(f, 2))
		return FUZZ_VICTIM;
	if (goes_on && f->began && fuzz_below(f, 4))
		return f->began;
	if (cmd == CKPT_CMD_EPOCH_BEGIN)
		f->began = name;
	if (cmd == CKPT_CMD_ROOT_DEL && f->rooted && fuzz_below(f, 4))
		return f->rooted;
	if (cmd == CKPT_CMD_ROOT_ADD)
		f->rooted = name;
	return name;
}

/* What is taken away is mostly what was added last. */
static const char *root_path(struct fuzz *f, uint8_t cmd)
{
	const char *path = paths[fuzz_below(f, COUNT(paths))];

	if (cmd == CKPT_CMD_ROOT_DEL && f->root && fuzz_below(f, 4))
		return f->root;
	if (cmd == CKPT_CMD_ROOT_ADD)
		f->root = path;
	return path;
}

static void put_value(struct fuzz *f, const struct draft *d, struct part *p)
{
	uint32_t u32 = (uint32_t)fuzz_below(f, 1001);
	uint64_t u64 = fuzz_below(f, 100);

	switch (p->type) {
	case CKPT_A_GROUP_NAME:
		put_string(p, group_name(f, d->genl.cmd));
		break;
	case CKPT_A_GROUP_CGROUP:
		put_string(p, cgroups[fuzz_below(f, COUNT(cgroups))]);
		break;
	case CKPT_A_ROOT_PATH:
		put_string(p, root_path(f, d->genl.cmd));
		break;
	case CKPT_A_EPOCH_FLAGS:
		u32 %= 2;
		put_bytes(p, &u32, sizeof(u32));
		break;
	case CKPT_A_EVENTS:
		u32 %= 8;
		put_bytes(p, &u32, sizeof(u32));
		break;
	case CKPT_A_DIRTY_SHARE_MIN:
	case CKPT_A_MEMORY_SHARE_MIN:
		put_bytes(p, &u32, sizeof(u32));
		break;
	case CKPT_A_EPOCH:
		put_bytes(p, &f->epoch, sizeof(f->epoch));
		break;
	case CKPT_A_CHECKPOINT_ID:
		fill(f, p->data, CKPT_ID_LEN);
		p->n = p->claim = CKPT_ID_LEN;
		break;
	default:
		put_bytes(p, &u64, sizeof(u64));
	}
}

static struct part *add_part(struct draft *d, uint16_t type)
{
	struct part *p = &d->part[d->nr < PARTS ? d->nr++ : PARTS - 1];

	p->type = type;
	return p;
}

static void draft_valid(struct fuzz *f, struct draft *d)
{
	const struct recipe *r;
	size_t i;

	memset(d, 0, sizeof(*d));
	do {
		r = &recipes[fuzz_below(f, COUNT(recipes))];
	} while (r->rare && fuzz_below(f, 4));
	d->head.nlmsg_type = (uint16_t)f->family;
	d->head.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | (r->dump ? NLM_F_DUMP : 0);
	d->genl.cmd = r->cmd;
	d->genl.version = CKPT_GENL_VERSION;
	for (i = 0; i < COUNT(r->attr) && r->attr[i]; i++)
		/* group-set sets some */
		if (i == 0 || r->cmd != CKPT_CMD_GROUP_SET || fuzz_below(f, 2))
			put_value(f, d, add_part(d, r->attr[i]));
}

/* --- spoilt attributes; @p is one of them, where there are any --- */

static void other_type(struct fuzz *f, struct draft *d, struct part *p)
{
	p->type = (uint16_t)fuzz_below(f, CKPT_A_MAX + 3);
	if (!fuzz_below(f, 4))
		p->type |= fuzz_below(f, 2) ? NLA_F_NESTED : NLA_F_NET_BYTEORDER;
	if (fuzz_below(f, 2))
		put_value(f, d, p);
}

static void wrong_claim(struct fuzz *f, struct draft *d, struct part *p)
{
	(void)d;
	p->claim = (uint16_t)(fuzz_below(f, 2) ? p->n + odd_number(f) : odd_number(f));
}

static void other_length(struct fuzz *f, struct draft *d, struct part *p)
{
	(void)d;
	p->n = p->claim = (uint16_t)fuzz_below(f, sizeof(p->data) + 1);
	if (fuzz_below(f, 2))
		fill(f, p->data, p->n);
}

static void other_value(struct fuzz *f, struct draft *d, struct part *p)
{
	uint64_t odd = odd_number(f);

	if (fuzz_below(f, 2))
		put_value(f, d, p);
	else
		memcpy(p->data, &odd, p->n < sizeof(odd) ? p->n : sizeof(odd));
}

static void unended_string(struct fuzz *f, struct draft *d, struct part *p)
{
	(void)d;
	if (p->n)
		p->data[p->n - 1] = (unsigned char)(1 + fuzz_below(f, 255));
}

static void twice(struct fuzz *f, struct draft *d, struct part *p)
{
	struct part *copy = add_part(d, p->type);

	if (copy != p)
		*copy = *p;
	if (fuzz_below(f, 2))
		put_value(f, d, copy);
}

static void without(struct fuzz *f, struct draft *d, struct part *p)
{
	(void)f;
	*p = d->part[--d->nr];
}

static void swapped(struct fuzz *f, struct draft *d, struct part *p)
{
	struct part *with = &d->part[fuzz_below(f, d->nr)], kept = *p;

	*p = *with;
	*with = kept;
}

/* The attribute becomes the content of another, or of itself. */
static void nested(struct fuzz *f, struct draft *d, struct part *p)
{
	struct nlattr inner = { .nla_len = (uint16_t)(NLA_HDRLEN + p->claim), .nla_type = p->type };

	(void)d;
	if (p->n > sizeof(p->data) - NLA_HDRLEN)
		return;
	memmove(p->data + NLA_HDRLEN, p->data, p->n);
	memcpy(p->data, &inner, sizeof(inner));
	p->n = p->claim = (uint16_t)(p->n + NLA_HDRLEN);
	if (fuzz_below(f, 2))
		p->type |= NLA_F_NESTED;
}

static void (*const on_parts[])(struct fuzz *f, struct draft *d, struct part *p) = {
	other_type, wrong_claim, other_length, other_value, unended_string, twice, without, swapped,
	nested,
};

/* --- spoilt messages --- */

static void added(struct fuzz *f, struct draft *d)
{
	size_t nr = 1 + fuzz_below(f, fuzz_below(f, 4) ? 2 : PARTS);

	while (nr--)
		put_value(f, d, add_part(d, (uint16_t)fuzz_below(f, CKPT_A_MAX + 3)));
}

static void other_flags(struct fuzz *f, struct draft *d)
{
	if (fuzz_below(f, 2))
		d->head.nlmsg_flags ^= NLM_F_DUMP;
	else
		d->head.nlmsg_flags ^= (uint16_t)(1U << fuzz_below(f, 16));
}

static void other_genl(struct fuzz *f, struct draft *d)
{
	switch (fuzz_below(f, 4)) {
	case 0:
		d->genl.version = (uint8_t)fuzz_below(f, 256);
		break;
	case 1:
		d->genl.reserved = (uint16_t)odd_number(f);
		break;
	case 2:
		d->genl.cmd = (uint8_t)fuzz_below(f, 256);
		break;
	default:
		d->genl.cmd = (uint8_t)fuzz_below(f, CKPT_CMD_MAX + 2);
	}
}

/* The types below 16 are netlink's own: other families are none of our business. */
static void other_head(struct fuzz *f, struct draft *d)
{
	if (fuzz_below(f, 2))
		d->head.nlmsg_pid = (uint32_t)odd_number(f);
	else
		d->head.nlmsg_type = (uint16_t)fuzz_below(f, NLMSG_MIN_TYPE);
}

static void huge(struct fuzz *f, struct draft *d)
{
	d->huge = fuzz_below(f, FUZZ_ROOM / 2);
	if (d->nr && fuzz_below(f, 2))
		d->part[d->nr - 1].claim = (uint16_t)(d->part[d->nr - 1].n + d->huge);
}

static void truncated(struct fuzz *f, struct draft *d)
{
	d->cut = 1 + fuzz_below(f, 40);
}

static void (*const on_draft[])(struct fuzz *f, struct draft *d) = {
	added, other_flags, other_genl, other_head, huge, truncated,
};

static void spoil(struct fuzz *f, struct draft *d)
{
	uint64_t ways = 1 + fuzz_below(f, 3);

	while (ways--) {
		if (d->nr && fuzz_below(f, 3))
			on_parts[fuzz_below(f, COUNT(on_parts))](f, d,
								 &d->part[fuzz_below(f, d->nr)]);
		else
			on_draft[fuzz_below(f, COUNT(on_draft))](f, d);
	}
}

/* --- bytes --- */

static void write_draft(struct fuzz *f, struct draft *d, struct fuzz_message *m)
{
	size_t len = NLMSG_HDRLEN + GENL_HDRLEN, i;

	for (i = 0; i < d->nr; i++) {
		const struct part *p = &d->part[i];
		struct nlattr a = { .nla_len = (uint16_t)(NLA_HDRLEN + p->claim),
				    .nla_type = p->type };

		memcpy(m->bytes + len, &a, sizeof(a));
		memset(m->bytes + len + NLA_HDRLEN, 0, NLA_ALIGN(p->n));
		memcpy(m->bytes + len + NLA_HDRLEN, p->data, p->n);
		len += NLA_HDRLEN + NLA_ALIGN(p->n);
	}
	memset(m->bytes + len, 0, d->huge);
	len += d->huge;
	/* cut off with the head's length as it was, or as it is then */
	d->head.nlmsg_len = (uint32_t)len;
	m->len = len - (d->cut < len - NLMSG_HDRLEN ? d->cut : 0);
	if (fuzz_below(f, 4))
		d->head.nlmsg_len = (uint32_t)m->len;
	memcpy(m->bytes, &d->head, sizeof(d->head));
	memcpy(m->bytes + NLMSG_HDRLEN, &d->genl, sizeof(d->genl));
}

static void flip_bits(struct fuzz *f, struct fuzz_message *m)
{
	uint64_t nr = 1 + fuzz_below(f, 4);

	while (nr-- && m->len > NLMSG_HDRLEN)
		m->bytes[NLMSG_HDRLEN + fuzz_below(f, m->len - NLMSG_HDRLEN)] ^=
			(unsigned char)(1U << fuzz_below(f, 8));
}

/* What must not happen to the group alive is made to name another. */
static void keep_alive(struct fuzz_message *m)
{
	const char *word = m->cmd == CKPT_CMD_ROOT_DEL ? FUZZ_KEPT : FUZZ_ALIVE;
	unsigned char *at;

	if (m->cmd != CKPT_CMD_GROUP_DEL && m->cmd != CKPT_CMD_EPOCH_COMMIT &&
	    m->cmd != CKPT_CMD_ROOT_DEL)
		return;
	while ((at = memmem(m->bytes, m->len, word, strlen(word))))
		at[strlen(word) - 1] = 'x';
}

void fuzz_write(struct fuzz *f, uint32_t seq, struct fuzz_message *ret)
{
	struct draft d;

	draft_valid(f, &d);
	if (fuzz_below(f, 2))
		spoil(f, &d);
	d.head.nlmsg_seq = seq;
	write_draft(f, &d, ret);
	if (!fuzz_below(f, 10))
		flip_bits(f, ret);
	ret->cmd = ret->bytes[NLMSG_HDRLEN];
	ret->request = d.head.nlmsg_type == f->family && (d.head.nlmsg_flags & NLM_F_REQUEST);
	ret->ack = d.head.nlmsg_flags & NLM_F_ACK;
	keep_alive(ret);
}

size_t fuzz_line(struct fuzz *f, enum fuzz_kind kind, char *buf, size_t room)
{
	const char *name = names[FIRST_VICTIM + fuzz_below(f, COUNT(names) - FIRST_VICTIM)];
	size_t len;

	if (!fuzz_below(f, 3))
		kind = (enum fuzz_kind)fuzz_below(f, FUZZ_BYTES + 1);
	switch (kind) {
	case FUZZ_TAG:
		len = (size_t)snprintf(buf, room, "%s %s", name,
				       cgroups[fuzz_below(f, COUNT(cgroups))]);
		break;
	case FUZZ_NAME:
		len = (size_t)snprintf(buf, room, "%s", name);
		break;
	case FUZZ_PATH:
		len = (size_t)snprintf(buf, room, "%s", paths[fuzz_below(f, COUNT(paths))]);
		break;
	case FUZZ_NUMBER:
		len = (size_t)snprintf(buf, room, "%lld", (long long)odd_number(f));
		break;
	default:
		len = fuzz_below(f, room);
		fill(f, (unsigned char *)buf, len);
	}
	if (len && !fuzz_below(f, 3))
		buf[fuzz_below(f, len)] = (char)rnd(&f->rnd);
	/* as with requests */
	if (memmem(buf, len, FUZZ_KEPT, strlen(FUZZ_KEPT)))
		buf[0] = '.';
	return len;
}
