// SPDX-License-Identifier: GPL-2.0-or-later
/* Parser of locks, as /proc/locks and fdinfo show them. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "proc/parse.h"

static uint32_t kind_of(const char *name)
{
	static const struct {
		const char *name;
		uint32_t kind;
	} kinds[] = {
		{ "FLOCK", CKPT_LOCK_FLOCK },
		{ "POSIX", CKPT_LOCK_POSIX },
		{ "OFDLCK", CKPT_LOCK_OFD },
		{ "LEASE", CKPT_LOCK_LEASE },
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (!strcmp(name, kinds[i].name))
			return kinds[i].kind;
	}
	return CKPT_NONE;
}

static int get_range(const char *text, struct ckpt_lock_line *ret)
{
	char end[24];

	if (sscanf(text, "%" SCNu64 " %23[0-9EOF]", &ret->start, end) != 2)
		return -1;
	if (!strcmp(end, "EOF"))
		ret->end = INT64_MAX;
	else if (sscanf(end, "%" SCNu64, &ret->end) != 1)
		return -1;
	return 0;
}

/* A file that is not there any more ("<none>:0") is that of no lock that is held. */
static int get_inode(const char *text, struct ckpt_lock_line *ret, int *ret_len)
{
	unsigned int major, minor;

	if (sscanf(text, " %x:%x:%" SCNu64 "%n", &major, &minor, &ret->ino, ret_len) == 3) {
		ret->dev = makedev(major, minor);
		return 0;
	}
	return sscanf(text, " <none>:0%n", ret_len) || !*ret_len ? -1 : 0;
}

/* "1: POSIX  ADVISORY  WRITE 77 08:01:4711 0 EOF"; who waits has "->" before the kind */
static int parse(const char *text, struct ckpt_lock_line *ret)
{
	char kind[16], how[16], type[8];
	int at = 0, len = 0;

	*ret = (struct ckpt_lock_line){ 0 };
	if (sscanf(text, "%*d:%n", &at) || !at)
		return -1;
	text += at + strspn(text + at, " ");
	ret->waits = !strncmp(text, "->", 2);
	text += ret->waits ? 2 : 0;
	if (sscanf(text, "%15s %15s %7s %" SCNd32 "%n", kind, how, type, &ret->pid, &at) != 4 ||
	    get_inode(text + at, ret, &len) || get_range(text + at + len, ret))
		return -1;
	ret->kind = kind_of(kind);
	ret->write = !strcmp(type, "WRITE");
	ret->breaking = !strcmp(how, "BREAKING");
	return 0;
}

int ckpt_parse_lock_line(const char **at, bool fdinfo, struct ckpt_lock_line *ret)
{
	static const char key[] = "lock:";
	const char *p = *at;
	char line[160];
	size_t len;

	while (fdinfo && *p && strncmp(p, key, sizeof(key) - 1)) {
		p = strchrnul(p, '\n');
		p += *p == '\n';
	}
	*at = p;
	if (!*p)
		return 0;
	len = strchrnul(p, '\n') - p;
	if (len >= sizeof(line))
		return -1;
	memcpy(line, p, len);
	line[len] = 0;
	*at = p + len + (p[len] == '\n');
	return parse(line + (fdinfo ? sizeof(key) - 1 : 0), ret) ? -1 : 1;
}
