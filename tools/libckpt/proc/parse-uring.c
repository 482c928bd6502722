// SPDX-License-Identifier: GPL-2.0-or-later
/* Parser of the fdinfo of an io_uring, as Linux 6.1 and newer write it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proc/parse-field.h"
#include "proc/parse.h"

static int get_u32(const char *text, const char *key, int base, uint32_t *ret)
{
	uint64_t value;

	if (ckpt_field_u64(text, key, base, &value) || value > UINT32_MAX)
		return -1;
	*ret = value;
	return 0;
}

/* Text behind the line of @key, which is a heading; NULL without one. */
static const char *below(const char *text, const char *key)
{
	const char *p = ckpt_field(text, key);

	p = p ? strchrnul(p, '\n') : NULL;
	return p ? p + (*p == '\n') : NULL;
}

/* Is there an entry, which is indented? */
static bool has_entry(const char *text, const char *key)
{
	const char *p = below(text, key);

	return p && *p == ' ';
}

static void count_shown(const char *text, struct ckpt_proc_uring *u)
{
	const char *p;
	char *end;

	for (p = below(text, "SQEs"); p && *p == ' '; p += *p == '\n') {
		unsigned long index = strtoul(p, &end, 10);

		if (u->shown < 2)
			u->at[u->shown] = index;
		u->shown++;
		p = strchrnul(p, '\n');
	}
}

int ckpt_parse_uring(const char *text, struct ckpt_proc_uring *ret)
{
	struct ckpt_proc_uring u = { 0 };
	const char *thread = ckpt_field(text, "SqThread");
	const char *napi = ckpt_field(text, "NAPI");
	uint32_t files, bufs;
	uint64_t time;

	if (get_u32(text, "SqMask", 16, &u.sq_mask) || get_u32(text, "SqHead", 10, &u.sq_head) ||
	    get_u32(text, "SqTail", 10, &u.sq_tail) ||
	    get_u32(text, "CachedSqHead", 10, &u.sq_cached) ||
	    get_u32(text, "CqMask", 16, &u.cq_mask) || get_u32(text, "CqHead", 10, &u.cq_head) ||
	    get_u32(text, "CqTail", 10, &u.cq_tail) ||
	    get_u32(text, "CachedCqTail", 10, &u.cq_cached) || !thread ||
	    get_u32(text, "UserFiles", 10, &files) || get_u32(text, "UserBufs", 10, &bufs) ||
	    !ckpt_field(text, "PollList") || !ckpt_field(text, "CqOverflowList"))
		return -1;
	u.served = strncmp(thread, "-1\n", 3);
	u.registered = files || bufs || ckpt_field(text, "Personalities");
	u.waiting = has_entry(text, "PollList");
	u.lost = has_entry(text, "CqOverflowList");
	u.busy_poll = napi && strncmp(napi, "disabled", 8);
	u.dated = !ckpt_field_u64(text, "SqTotalTime", 10, &time);
	count_shown(text, &u);
	*ret = u;
	return 0;
}
