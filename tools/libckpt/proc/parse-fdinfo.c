// SPDX-License-Identifier: GPL-2.0-or-later
/* Parsers of fdinfo: what all descriptors have, and what some kinds have besides. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proc/parse-field.h"
#include "proc/parse.h"

#define NS_PER_S 1000000000ull

int ckpt_parse_fdinfo(const char *text, struct ckpt_proc_fdinfo *ret)
{
	struct ckpt_proc_fdinfo f = { 0 };
	struct ckpt_lock_line lock;
	const char *at = text;
	uint64_t flags;

	if (ckpt_field_u64(text, "pos", 10, &f.pos) || ckpt_field_u64(text, "flags", 8, &flags))
		return -1;
	f.cloexec = flags & O_CLOEXEC;
	f.flags = flags & ~(uint64_t)O_CLOEXEC;
	f.locked = ckpt_field(text, "lock") != NULL;
	while (f.locked && ckpt_parse_lock_line(&at, true, &lock) > 0) {
		f.leased |= lock.kind == CKPT_LOCK_LEASE;
		f.breaking |= lock.breaking;
		f.odd |= lock.kind == CKPT_NONE;
	}
	*ret = f;
	return 0;
}

int ckpt_parse_eventfd(const char *text, struct ckpt_eventfd *ret, bool *ret_semaphore_known)
{
	struct ckpt_eventfd e = { 0 };
	uint64_t semaphore = 0;

	if (ckpt_field_u64(text, "eventfd-count", 16, &e.count))
		return -1;
	*ret_semaphore_known = !ckpt_field_u64(text, "eventfd-semaphore", 10, &semaphore);
	e.semaphore = semaphore;
	*ret = e;
	return 0;
}

/* "(seconds, nanoseconds)" */
static int get_time(const char *text, const char *key, int64_t *ret_ns)
{
	const char *p = ckpt_field(text, key);
	uint64_t s, ns;

	if (!p || sscanf(p, "(%" SCNu64 ", %" SCNu64 ")", &s, &ns) != 2 || ns >= NS_PER_S ||
	    s > INT64_MAX / NS_PER_S - 1)
		return -1;
	*ret_ns = s * NS_PER_S + ns;
	return 0;
}

int ckpt_parse_timerfd(const char *text, struct ckpt_timerfd *ret)
{
	struct ckpt_timerfd t = { 0 };
	uint64_t clock, flags;

	if (ckpt_field_u64(text, "clockid", 10, &clock) ||
	    ckpt_field_u64(text, "ticks", 10, &t.ticks) ||
	    ckpt_field_u64(text, "settime flags", 8, &flags) ||
	    get_time(text, "it_value", &t.value_ns) ||
	    get_time(text, "it_interval", &t.interval_ns))
		return -1;
	t.clock = clock;
	t.flags = flags;
	*ret = t;
	return 0;
}

int ckpt_parse_signalfd(const char *text, struct ckpt_signalfd *ret)
{
	return ckpt_field_u64(text, "sigmask", 16, &ret->mask);
}

int ckpt_parse_pidfd(const char *text, int32_t *ret_pid)
{
	const char *p = ckpt_field(text, "Pid");

	return p && sscanf(p, "%" SCNd32, ret_pid) == 1 ? 0 : -1;
}

/* The next line that begins with @word, or the end. */
static const char *find_line(const char *p, const char *word)
{
	while (*p && strncmp(p, word, strlen(word))) {
		p = strchrnul(p, '\n');
		p += *p == '\n';
	}
	return p;
}

int ckpt_parse_epoll_line(const char **at, struct ckpt_epoll_target *ret, uint64_t *ret_ino)
{
	const char *p = *at = find_line(*at, "tfd:"), *end;

	if (!*p)
		return 0;
	end = strchrnul(p, '\n');
	*ret = (struct ckpt_epoll_target){ .file = CKPT_NONE };
	if (sscanf(p, "tfd: %" SCNd32 " events: %" SCNx32 " data: %" SCNx64 " pos:%*d ino:%" SCNx64,
		   &ret->fd, &ret->events, &ret->data, ret_ino) != 4)
		return -1;
	*at = end + (*end == '\n');
	return 1;
}

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* What stands behind the mask: "fhandle-bytes:LEN fhandle-type:TYPE f_handle:BYTES", or nothing. */
static int get_handle(const char *p, struct ckpt_proc_watch *w)
{
	uint32_t type;
	int n = -1;

	if (*p == '\n' || !*p)
		return 0;
	if (sscanf(p, "fhandle-bytes:%" SCNx32 " fhandle-type:%" SCNx32 " f_handle:%n",
		   &w->handle_len, &type, &n) != 2 || n < 0 ||
	    w->handle_len > sizeof(w->handle))
		return -1;
	w->handle_type = type;
	p += n;
	for (uint32_t i = 0; i < w->handle_len; i++, p += 2) {
		if (digit(p[0]) < 0 || digit(p[1]) < 0)
			return -1;
		w->handle[i] = digit(p[0]) << 4 | digit(p[1]);
	}
	return 0;
}

int ckpt_parse_watch_line(const char **at, struct ckpt_proc_watch *ret)
{
	const char *p = *at = find_line(*at, "inotify "), *end = strchrnul(p, '\n');
	struct ckpt_proc_watch w = { 0 };
	uint32_t wd;
	int n = -1;

	if (!*p)
		return 0;
	if (sscanf(p, "inotify wd:%" SCNx32 " ino:%" SCNx64 " sdev:%" SCNx32 " mask:%" SCNx32
		   " ignored_mask:%*x %n", &wd, &w.ino, &w.dev, &w.mask, &n) != 4 || n < 0 ||
	    wd > INT32_MAX || p + n > end + 1 || get_handle(p + n > end ? end : p + n, &w))
		return -1;
	w.wd = wd;
	*ret = w;
	*at = end + (*end == '\n');
	return 1;
}
