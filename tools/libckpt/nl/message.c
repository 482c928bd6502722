// SPDX-License-Identifier: GPL-2.0-or-later
/* Answers of the module as plain values. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <linux/netlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#include "base/cleanup.h"
#include "nl/message.h"

#define PAGE_BITS 12

/* Lengths that the attributes must have at least; strings end with a NUL. */
static struct nla_policy policy[CKPT_A_MAX + 1] = {
	[CKPT_A_GROUP_NAME] = { .type = NLA_STRING },
	[CKPT_A_GROUP_CGROUP] = { .type = NLA_STRING },
	[CKPT_A_GROUP_GENERATION] = { .type = NLA_U64 },
	[CKPT_A_GROUP_STATE] = { .type = NLA_U32 },
	[CKPT_A_GROUP_TASKS] = { .type = NLA_U32 },
	[CKPT_A_ROOT_PATH] = { .type = NLA_STRING },
	[CKPT_A_LOAD_COOKIE] = { .type = NLA_U64 },
	[CKPT_A_FEATURES] = { .type = NLA_U32 },
	[CKPT_A_EPOCH] = { .type = NLA_U64 },
	[CKPT_A_ROUND] = { .type = NLA_U32 },
	[CKPT_A_CHECKPOINT_ID] = { .type = NLA_UNSPEC, .minlen = CKPT_ID_LEN },
	[CKPT_A_DIRTY_PAGES] = { .type = NLA_U64 },
	[CKPT_A_RESIDENT_PAGES] = { .type = NLA_U64 },
	[CKPT_A_CHANGED_INODES] = { .type = NLA_U64 },
	[CKPT_A_TAKEN_INODES] = { .type = NLA_U64 },
	[CKPT_A_TAKEN] = { .type = NLA_U64 },
	[CKPT_A_LOST] = { .type = NLA_U64 },
	[CKPT_A_MM_COOKIE] = { .type = NLA_U64 },
	[CKPT_A_MM_PID] = { .type = NLA_U32 },
	[CKPT_A_MM_FLAGS] = { .type = NLA_U32 },
	[CKPT_A_AREA_START] = { .type = NLA_U64 },
	[CKPT_A_AREA_END] = { .type = NLA_U64 },
	[CKPT_A_AREA_PGOFF] = { .type = NLA_U64 },
	[CKPT_A_AREA_DEV] = { .type = NLA_U64 },
	[CKPT_A_AREA_INO] = { .type = NLA_U64 },
	[CKPT_A_AREA_FLAGS] = { .type = NLA_U32 },
	[CKPT_A_INODE_DEV] = { .type = NLA_U64 },
	[CKPT_A_INODE_INO] = { .type = NLA_U64 },
	[CKPT_A_INODE_GENERATION] = { .type = NLA_U32 },
	[CKPT_A_INODE_MASK] = { .type = NLA_U32 },
	[CKPT_A_INODE_FLAGS] = { .type = NLA_U32 },
	[CKPT_A_INODE_RANGES] = { .type = NLA_UNSPEC },
};

/* Reading one message: the first thing that is wrong is kept, later reads give 0. */
struct reader {
	struct nlattr *tb[CKPT_A_MAX + 1];
	const char *what;
	int missing;
};

static int reader_init(struct reader *r, const void *attrs, size_t len, const char *what,
		       struct ckpt_err *err)
{
	const char *at = attrs;
	size_t left = len, step;

	*r = (struct reader){ .what = what };
	/* nla_parse passes over trailing bytes that are no attribute. */
	for (; left; at += step, left -= step) {
		if (left < NLA_HDRLEN)
			goto bad;
		step = ((const struct nlattr *)(const void *)at)->nla_len;
		if (step < NLA_HDRLEN || step > left)
			goto bad;
		step = left < NLA_ALIGN(step) ? left : (size_t)NLA_ALIGN(step);
	}
	if (len <= INT32_MAX && nla_parse(r->tb, CKPT_A_MAX, (void *)attrs, (int)len, policy) >= 0)
		return 0;
bad:
	return ckpt_fail(err, CKPT_FAILED, 0, "the module's answer (%s) is cut short or malformed",
			 what);
}

static const struct nlattr *get(struct reader *r, int type)
{
	if (!r->tb[type] && !r->missing)
		r->missing = type;
	return r->tb[type];
}

static uint64_t get_u64(struct reader *r, int type)
{
	const struct nlattr *a = get(r, type);

	return a ? nla_get_u64(a) : 0;
}

static uint32_t get_u32(struct reader *r, int type)
{
	const struct nlattr *a = get(r, type);

	return a ? nla_get_u32(a) : 0;
}

static void get_id(struct reader *r, uint8_t ret[CKPT_ID_LEN])
{
	const struct nlattr *a = get(r, CKPT_A_CHECKPOINT_ID);

	if (a)
		memcpy(ret, nla_data(a), CKPT_ID_LEN);
}

static int check(const struct reader *r, struct ckpt_err *err)
{
	if (!r->missing)
		return 0;
	return ckpt_fail(err, CKPT_FAILED, 0,
			 "the module's answer (%s) lacks attribute %d; load that of this release",
			 r->what, r->missing);
}

static int no_memory(struct ckpt_err *err)
{
	return ckpt_fail(err, CKPT_FAILED, ENOMEM, "no memory for the module's answer");
}

/* Roots repeat, so they are not in the table. */
static int get_roots(const void *attrs, size_t len, struct ckpt_nl_group *g, struct ckpt_err *err)
{
	const struct nlattr *a;
	char **roots;
	int left;

	nla_for_each_attr(a, (struct nlattr *)attrs, (int)len, left) {
		if (nla_type(a) != CKPT_A_ROOT_PATH)
			continue;
		roots = reallocarray(g->roots, g->n_roots + 1, sizeof(*roots));
		if (!roots)
			return no_memory(err);
		g->roots = roots;
		roots[g->n_roots] = nla_strdup(a);
		if (!roots[g->n_roots])
			return no_memory(err);
		g->n_roots++;
	}
	return 0;
}

void ckpt_nl_group_done(struct ckpt_nl_group *group)
{
	size_t i;

	for (i = 0; i < group->n_roots; i++)
		free(group->roots[i]);
	free(group->roots);
	free(group->cgroup);
	*group = (struct ckpt_nl_group){ 0 };
}

int ckpt_nl_parse_group(const void *attrs, size_t len, struct ckpt_nl_group *ret,
			struct ckpt_err *err)
{
	cleanup_with(ckpt_nl_group_done) struct ckpt_nl_group g = { 0 };
	const struct nlattr *name, *cgroup;
	struct reader r;

	if (reader_init(&r, attrs, len, "group-get", err))
		return -1;
	name = get(&r, CKPT_A_GROUP_NAME);
	cgroup = get(&r, CKPT_A_GROUP_CGROUP);
	g.generation = get_u64(&r, CKPT_A_GROUP_GENERATION);
	g.state = get_u32(&r, CKPT_A_GROUP_STATE);
	g.tasks = get_u32(&r, CKPT_A_GROUP_TASKS);
	g.load_cookie = get_u64(&r, CKPT_A_LOAD_COOKIE);
	g.features = get_u32(&r, CKPT_A_FEATURES);
	g.epoch = get_u64(&r, CKPT_A_EPOCH);
	g.round = get_u32(&r, CKPT_A_ROUND);
	get_id(&r, g.committed);
	g.dirty_pages = get_u64(&r, CKPT_A_DIRTY_PAGES);
	g.resident_pages = get_u64(&r, CKPT_A_RESIDENT_PAGES);
	g.changed_inodes = get_u64(&r, CKPT_A_CHANGED_INODES);
	g.taken = get_u64(&r, CKPT_A_TAKEN);
	g.lost = get_u64(&r, CKPT_A_LOST);
	if (check(&r, err))
		return -1;
	if (nla_len(name) > (int)sizeof(g.name))
		return ckpt_fail(err, CKPT_FAILED, 0, "the module's answer has too long a name");
	nla_strlcpy(g.name, name, sizeof(g.name));
	g.cgroup = nla_strdup(cgroup);
	if (!g.cgroup)
		return no_memory(err);
	if (get_roots(attrs, len, &g, err))
		return -1;
	*ret = g;
	g = (struct ckpt_nl_group){ 0 };
	return 0;
}

int ckpt_nl_parse_round(const void *attrs, size_t len, struct ckpt_nl_round *ret,
			struct ckpt_err *err)
{
	struct ckpt_nl_round round = { 0 };
	struct reader r;

	if (reader_init(&r, attrs, len, "epoch", err))
		return -1;
	round.epoch = get_u64(&r, CKPT_A_EPOCH);
	round.round = get_u32(&r, CKPT_A_ROUND);
	get_id(&r, round.committed);
	round.load_cookie = get_u64(&r, CKPT_A_LOAD_COOKIE);
	round.generation = get_u64(&r, CKPT_A_GROUP_GENERATION);
	round.dirty_pages = get_u64(&r, CKPT_A_DIRTY_PAGES);
	round.resident_pages = get_u64(&r, CKPT_A_RESIDENT_PAGES);
	round.inodes = get_u64(&r, CKPT_A_TAKEN_INODES);
	round.lost = get_u64(&r, CKPT_A_LOST);
	if (check(&r, err))
		return -1;
	*ret = round;
	return 0;
}

/* A run that reaches out of its area or over another would put pages in the wrong place. */
static int check_runs(const struct ckpt_nl_area *area, struct ckpt_err *err)
{
	const uint64_t page = 1ULL << PAGE_BITS;
	uint64_t at = area->start;
	size_t i;

	if (area->start % page || area->end % page || area->start >= area->end)
		goto bad;
	for (i = 0; i < area->n_runs; i++) {
		const struct ckpt_run *run = &area->runs[i];

		if (run->start % page || run->start < at || run->start >= area->end)
			goto bad;
		if (!run->pages || run->pages > (area->end - run->start) >> PAGE_BITS)
			goto bad;
		if (run->state > CKPT_PAGE_SPECIAL)
			goto bad;
		at = run->start + ((uint64_t)run->pages << PAGE_BITS);
	}
	return 0;
bad:
	return ckpt_fail(err, CKPT_FAILED, 0,
			 "the module's answer (page-dump) has an area with impossible runs");
}

int ckpt_nl_parse_area(const void *attrs, size_t len, struct ckpt_buf *runs,
		       struct ckpt_nl_area *ret, struct ckpt_err *err)
{
	struct ckpt_nl_area area = { 0 };
	const struct nlattr *a;
	struct reader r;

	if (reader_init(&r, attrs, len, "page-dump", err))
		return -1;
	area.mm_cookie = get_u64(&r, CKPT_A_MM_COOKIE);
	area.mm_pid = (int32_t)get_u32(&r, CKPT_A_MM_PID);
	area.mm_flags = get_u32(&r, CKPT_A_MM_FLAGS);
	area.has_area = r.tb[CKPT_A_AREA_START] || r.tb[CKPT_A_AREA_END] || r.tb[CKPT_A_RUNS];
	if (area.has_area) {
		area.start = get_u64(&r, CKPT_A_AREA_START);
		area.end = get_u64(&r, CKPT_A_AREA_END);
		area.pgoff = get_u64(&r, CKPT_A_AREA_PGOFF);
		area.dev = get_u64(&r, CKPT_A_AREA_DEV);
		area.ino = get_u64(&r, CKPT_A_AREA_INO);
		area.flags = get_u32(&r, CKPT_A_AREA_FLAGS);
	}
	if (check(&r, err))
		return -1;
	a = r.tb[CKPT_A_RUNS];
	if (a) {
		if (nla_len(a) % sizeof(struct ckpt_run))
			return ckpt_fail(err, CKPT_FAILED, 0,
					 "the module's answer (page-dump) has a cut run");
		/* Attributes are aligned to 4 bytes, runs to 8. */
		runs->len = 0;
		ckpt_buf_put(runs, nla_data(a), nla_len(a));
		if (runs->failed)
			return no_memory(err);
		area.runs = (const struct ckpt_run *)(const void *)runs->data;
		area.n_runs = nla_len(a) / sizeof(struct ckpt_run);
	}
	if (area.has_area && check_runs(&area, err))
		return -1;
	*ret = area;
	return 0;
}

/* A range that is none, or out of order, would leave pages out. */
static int check_ranges(const struct ckpt_nl_inode *inode, struct ckpt_err *err)
{
	uint64_t at = 0;
	size_t i;

	for (i = 0; i < inode->n_ranges; i++) {
		const struct ckpt_extent *range = &inode->ranges[i];

		if (range->first < at || !range->pages || range->pages > UINT64_MAX - range->first)
			return ckpt_fail(err, CKPT_FAILED, 0,
					 "the module's answer (inode-dump) has impossible ranges");
		at = range->first + range->pages;
	}
	return 0;
}

static int get_ranges(struct reader *r, struct ckpt_buf *buf, struct ckpt_nl_inode *inode,
		      struct ckpt_err *err)
{
	const struct nlattr *a = get(r, CKPT_A_INODE_RANGES);

	if (!a)
		return 0;
	if (nla_len(a) % sizeof(struct ckpt_extent))
		return ckpt_fail(err, CKPT_FAILED, 0,
				 "the module's answer (inode-dump) has a cut range");
	/* Attributes are aligned to 4 bytes, ranges to 8. */
	buf->len = 0;
	ckpt_buf_put(buf, nla_data(a), nla_len(a));
	if (buf->failed)
		return no_memory(err);
	inode->ranges = (const struct ckpt_extent *)(const void *)buf->data;
	inode->n_ranges = nla_len(a) / sizeof(struct ckpt_extent);
	return check_ranges(inode, err);
}

int ckpt_nl_parse_inode(const void *attrs, size_t len, struct ckpt_buf *ranges,
			struct ckpt_nl_inode *ret, struct ckpt_err *err)
{
	struct ckpt_nl_inode inode = { 0 };
	struct reader r;

	if (reader_init(&r, attrs, len, "inode-dump", err))
		return -1;
	inode.dev = get_u64(&r, CKPT_A_INODE_DEV);
	inode.ino = get_u64(&r, CKPT_A_INODE_INO);
	inode.generation = get_u32(&r, CKPT_A_INODE_GENERATION);
	inode.mask = get_u32(&r, CKPT_A_INODE_MASK);
	inode.flags = get_u32(&r, CKPT_A_INODE_FLAGS);
	if ((inode.flags & CKPT_INODE_F_RANGES) && get_ranges(&r, ranges, &inode, err))
		return -1;
	if (check(&r, err))
		return -1;
	*ret = inode;
	return 0;
}

/* The sentence among the attributes that end a message, NULL if there is none. */
static const char *sentence(const struct nlmsghdr *head, size_t skip)
{
	const struct nlattr *a;
	int left;

	if (!(head->nlmsg_flags & NLM_F_ACK_TLVS) || head->nlmsg_len < NLMSG_HDRLEN + skip)
		return NULL;
	a = (const void *)((const char *)head + NLMSG_HDRLEN + skip);
	left = (int)(head->nlmsg_len - NLMSG_HDRLEN - skip);
	for (; nla_ok(a, left); a = nla_next(a, &left))
		if (nla_type(a) == NLMSGERR_ATTR_MSG && nla_len(a) > 0 &&
		    !((const char *)nla_data(a))[nla_len(a) - 1])
			return nla_data(a);
	return NULL;
}

int ckpt_nl_refusal(const struct nlmsghdr *head, const char **ret_text)
{
	const size_t space = head->nlmsg_len < NLMSG_HDRLEN ? 0 : head->nlmsg_len - NLMSG_HDRLEN;
	const struct nlmsgerr *e = (const void *)((const char *)head + NLMSG_HDRLEN);
	size_t skip = NLMSG_ALIGN(sizeof(int));
	int code;

	*ret_text = NULL;
	if (space < sizeof(code))
		return head->nlmsg_type == NLMSG_DONE ? 0 : EBADMSG;
	memcpy(&code, e, sizeof(code));
	if (code >= 0)
		return 0;
	if (head->nlmsg_type == NLMSG_ERROR) {
		if (space < sizeof(*e))
			return -code;
		skip = sizeof(*e);
		/* The request follows, unless the kernel was asked to leave it out. */
		if (!(head->nlmsg_flags & NLM_F_CAPPED) && e->msg.nlmsg_len >= NLMSG_HDRLEN)
			skip += NLMSG_ALIGN(e->msg.nlmsg_len) - NLMSG_HDRLEN;
	}
	*ret_text = sentence(head, skip);
	return -code;
}
