// SPDX-License-Identifier: GPL-2.0-or-later
/* Parsers of status, stat, limits and timens_offsets. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sysmacros.h>

#include "proc/parse-field.h"
#include "proc/parse.h"

const char *ckpt_field(const char *text, const char *key)
{
	size_t len = strlen(key);

	for (const char *p = text; *p;) {
		if (*p == *key && !strncmp(p, key, len) && p[len] == ':') {
			p += len + 1;
			while (*p == ' ' || *p == '\t')
				p++;
			return p;
		}
		p = strchrnul(p, '\n');
		if (*p)
			p++;
	}
	return NULL;
}

/* A number at @p, which may be NULL or at the end of its line. */
static int field_value(const char *p, int base, uint64_t *ret)
{
	char *end;

	if (!p || *p == '\n')
		return -1;
	errno = 0;
	*ret = strtoull(p, &end, base);
	return end == p || errno ? -1 : 0;
}

int ckpt_field_u64(const char *text, const char *key, int base, uint64_t *ret)
{
	return field_value(ckpt_field(text, key), base, ret);
}

/* A text whose fields are asked for mostly in the order in which they stand there. */
struct fields {
	const char *text, *at;
};

/* As ckpt_field(): from where the field before was found, and then from the beginning. */
static const char *field(struct fields *f, const char *key)
{
	const char *line = strchrnul(f->at, '\n');
	const char *found = *line ? ckpt_field(line + 1, key) : NULL;

	if (!found)
		found = ckpt_field(f->text, key);
	if (found)
		f->at = found;
	return found;
}

static int get_u64(struct fields *f, const char *key, int base, uint64_t *ret)
{
	return field_value(field(f, key), base, ret);
}

static int get_i32(struct fields *f, const char *key, int32_t *ret)
{
	uint64_t v;

	if (get_u64(f, key, 10, &v) || v > INT32_MAX)
		return -1;
	*ret = v;
	return 0;
}

/* The last of the numbers of a line: the innermost namespace. */
static int get_last(struct fields *f, const char *key, int32_t *ret, uint32_t *ret_count)
{
	const char *p = field(f, key);
	uint32_t n = 0;

	while (p && *p && *p != '\n') {
		char *end;
		unsigned long v = strtoul(p, &end, 10);

		if (end == p || v > INT32_MAX)
			return -1;
		*ret = v;
		n++;
		p = end;
		while (*p == ' ' || *p == '\t')
			p++;
	}
	if (ret_count)
		*ret_count = n;
	return n ? 0 : -1;
}

static int get_ids(struct fields *f, const char *key, uint32_t ret[4])
{
	const char *p = field(f, key);

	for (int i = 0; i < 4; i++) {
		char *end;
		unsigned long v = p ? strtoul(p, &end, 10) : 0;

		if (!p || end == p || v > UINT32_MAX)
			return -1;
		ret[i] = v;
		p = end;
	}
	return 0;
}

static int get_caps(struct fields *f, struct ckpt_proc_status *s)
{
	return get_u64(f, "CapInh", 16, &s->cap_inh) || get_u64(f, "CapPrm", 16, &s->cap_prm) ||
	       get_u64(f, "CapEff", 16, &s->cap_eff) || get_u64(f, "CapBnd", 16, &s->cap_bnd) ||
	       get_u64(f, "CapAmb", 16, &s->cap_amb);
}

static int get_signals(struct fields *f, struct ckpt_proc_status *s)
{
	return get_u64(f, "SigPnd", 16, &s->sig_pending) ||
	       get_u64(f, "ShdPnd", 16, &s->sig_shared) ||
	       get_u64(f, "SigBlk", 16, &s->sig_blocked) ||
	       get_u64(f, "SigIgn", 16, &s->sig_ignored) ||
	       get_u64(f, "SigCgt", 16, &s->sig_caught);
}

/* In the order of the kernel's proc_pid_status(). */
int ckpt_parse_status(const char *text, struct ckpt_proc_status *ret)
{
	struct fields f = { text, text };
	struct ckpt_proc_status s = { 0 };
	const char *state;
	uint64_t v;

	if (!get_u64(&f, "Umask", 8, &v))	/* a zombie has none */
		s.umask = v;
	state = field(&f, "State");
	if (!state)
		return -1;
	s.state = *state;
	if (get_i32(&f, "Tgid", &s.tgid) || get_i32(&f, "Pid", &s.pid) ||
	    get_i32(&f, "PPid", &s.ppid) || get_i32(&f, "TracerPid", &s.tracer) ||
	    get_ids(&f, "Uid", s.uid) || get_ids(&f, "Gid", s.gid))
		return -1;
	s.groups = field(&f, "Groups");
	if (!s.groups || get_last(&f, "NStgid", &s.ns_tgid, NULL) ||
	    get_last(&f, "NSpid", &s.ns_pid, &s.pid_levels) ||
	    get_last(&f, "NSpgid", &s.ns_pgid, NULL) || get_last(&f, "NSsid", &s.ns_sid, NULL))
		return -1;
	/* these have no place in the text of a task without memory */
	if (!get_u64(&f, "VmLck", 10, &v))
		s.locked_kb = v;
	if (!get_u64(&f, "THP_enabled", 10, &v))
		s.thp_disabled = !v;
	if (get_signals(&f, &s) || get_caps(&f, &s))
		return -1;
	if (!get_u64(&f, "NoNewPrivs", 10, &v))
		s.no_new_privs = v;
	if (!get_u64(&f, "Seccomp", 10, &v))
		s.seccomp = v;
	*ret = s;
	return 0;
}

ssize_t ckpt_parse_groups(const char *line, uint32_t **ret)
{
	uint32_t *groups = NULL;
	size_t n = 0;

	for (;;) {
		char *end;
		unsigned long v;
		uint32_t *more;

		while (*line == ' ' || *line == '\t')
			line++;
		if (*line < '0' || *line > '9')
			break;
		v = strtoul(line, &end, 10);
		line = end;
		more = realloc(groups, (n + 1) * sizeof(*groups));
		if (!more) {
			free(groups);
			return -1;
		}
		groups = more;
		groups[n++] = v;
	}
	*ret = groups;
	return n;
}

/* A device as the kernel writes it in 32 bits. */
static uint64_t device(uint32_t dev)
{
	return makedev(dev >> 8 & 0xfff, (dev & 0xff) | (dev >> 12 & 0xfff00));
}

/* Field numbers of proc(5); the layout follows struct prctl_mm_map. */
static void stat_field(struct ckpt_proc_stat *s, int n, const char *text)
{
	static const struct {
		int field, slot;
	} layout[] = {
		{ 26, 0 }, { 27, 1 }, { 45, 2 }, { 46, 3 }, { 47, 4 },
		{ 28, 6 }, { 48, 7 }, { 49, 8 }, { 50, 9 }, { 51, 10 },
	};

	switch (n) {
	case 4:
		s->ppid = atoi(text);
		break;
	case 5:
		s->pgrp = atoi(text);
		break;
	case 6:
		s->session = atoi(text);
		break;
	case 7:
		s->tty = device(strtoul(text, NULL, 10));
		break;
	case 8:
		s->tpgid = atoi(text);
		break;
	case 9:
		s->flags = strtoul(text, NULL, 10);
		break;
	case 22:
		s->start_time = strtoull(text, NULL, 10);
		break;
	case 38:
		s->exit_signal = atoi(text);
		break;
	case 52:
		s->exit_code = atoi(text);
		break;
	default:
		for (size_t i = 0; i < sizeof(layout) / sizeof(layout[0]); i++) {
			if (layout[i].field == n)
				s->layout[layout[i].slot] = strtoull(text, NULL, 10);
		}
	}
}

int ckpt_parse_stat(const char *text, struct ckpt_proc_stat *ret)
{
	struct ckpt_proc_stat s = { 0 };
	const char *open = strchr(text, '(');
	const char *close = strrchr(text, ')');
	const char *p;
	size_t len;
	int n = 3;

	if (!open || !close || close < open || close[1] != ' ' || !close[2])
		return -1;
	s.pid = atoi(text);
	len = close - open - 1;
	if (len >= sizeof(s.comm))
		len = sizeof(s.comm) - 1;
	memcpy(s.comm, open + 1, len);
	s.state = close[2];
	for (p = strchr(close + 2, ' '); p; p = strchr(p, ' ')) {
		p++;
		stat_field(&s, ++n, p);
	}
	if (n < 52)
		return -1;
	*ret = s;
	return 0;
}

static int limit_value(const char **at, uint64_t *ret)
{
	static const char none[] = "unlimited";
	const char *p = *at;
	char *end;

	while (*p == ' ')
		p++;
	if (!strncmp(p, none, sizeof(none) - 1)) {
		*ret = RLIM_INFINITY;
		*at = p + sizeof(none) - 1;
		return 0;
	}
	*ret = strtoull(p, &end, 10);
	if (end == p)
		return -1;
	*at = end;
	return 0;
}

int ckpt_parse_limits(const char *text, struct ckpt_rlimit ret[CKPT_NLIMITS])
{
	static const struct {
		const char *name;
		int number;
	} names[CKPT_NLIMITS] = {
		{ "Max cpu time", RLIMIT_CPU },
		{ "Max file size", RLIMIT_FSIZE },
		{ "Max data size", RLIMIT_DATA },
		{ "Max stack size", RLIMIT_STACK },
		{ "Max core file size", RLIMIT_CORE },
		{ "Max resident set", RLIMIT_RSS },
		{ "Max processes", RLIMIT_NPROC },
		{ "Max open files", RLIMIT_NOFILE },
		{ "Max locked memory", RLIMIT_MEMLOCK },
		{ "Max address space", RLIMIT_AS },
		{ "Max file locks", RLIMIT_LOCKS },
		{ "Max pending signals", RLIMIT_SIGPENDING },
		{ "Max msgqueue size", RLIMIT_MSGQUEUE },
		{ "Max nice priority", RLIMIT_NICE },
		{ "Max realtime priority", RLIMIT_RTPRIO },
		{ "Max realtime timeout", RLIMIT_RTTIME },
	};
	struct ckpt_rlimit limits[CKPT_NLIMITS];

	for (int i = 0; i < CKPT_NLIMITS; i++) {
		const char *p = strstr(text, names[i].name);

		if (!p || (p != text && p[-1] != '\n'))
			return -1;
		p += strlen(names[i].name);
		if (limit_value(&p, &limits[names[i].number].cur) ||
		    limit_value(&p, &limits[names[i].number].max))
			return -1;
	}
	memcpy(ret, limits, sizeof(limits));
	return 0;
}

int ckpt_parse_timens(const char *text, const char *clock, int64_t *ret_ns)
{
	const char *p = strstr(text, clock);
	long long sec, nsec;

	if (!p || sscanf(p + strlen(clock), " %lld %lld", &sec, &nsec) != 2)
		return -1;
	*ret_ns = sec * 1000000000ll + nsec;
	return 0;
}
