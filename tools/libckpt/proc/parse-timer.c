// SPDX-License-Identifier: GPL-2.0-or-later
/* Parsers of POSIX timers: /proc/PID/timers and /proc/timer_list. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proc/parse.h"

static int kind_of(const char *name, uint32_t *ret)
{
	static const struct {
		const char *name;
		uint32_t notify;
	} kinds[] = {
		{ "signal", SIGEV_SIGNAL },
		{ "none", SIGEV_NONE },
		{ "thread", SIGEV_THREAD },
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (!strcmp(name, kinds[i].name)) {
			*ret = kinds[i].notify;
			return 0;
		}
	}
	return -1;
}

/* The four lines of a timer, as text of its own. Return: their length, 0: they are no timer. */
static size_t get_lines(const char *at, char *ret, size_t size)
{
	const char *end = at;

	for (int i = 0; i < 4 && *end; i++) {
		end = strchrnul(end, '\n');
		end += *end == '\n';
	}
	if ((size_t)(end - at) >= size)
		return 0;
	memcpy(ret, at, end - at);
	ret[end - at] = 0;
	return end - at;
}

int ckpt_parse_timer(const char **at, struct ckpt_timer *ret)
{
	char text[256], how[8], whom[4];
	size_t len = get_lines(*at, text, sizeof(text));
	int32_t clock;

	if (!**at)
		return 0;
	*ret = (struct ckpt_timer){ 0 };
	if (!len || sscanf(text, "ID: %" SCNd32 " signal: %" SCNd32 "/%" SCNx64
			   " notify: %7[a-z]/%3[a-z].%" SCNd32 " ClockID: %" SCNd32,
			   &ret->id, &ret->signo, &ret->sigval, how, whom, &ret->tid,
			   &clock) != 7 || kind_of(how, &ret->notify))
		return -1;
	ret->clock = clock;
	if (!strcmp(whom, "tid"))
		ret->notify |= SIGEV_THREAD_ID;
	*at += len;
	return 1;
}

/* What follows @key at the start of a line, or NULL. */
static const char *after(const char *line, const char *key)
{
	line += strspn(line, " ");
	return strncmp(line, key, strlen(key)) ? NULL : line + strlen(key);
}

int ckpt_parse_timer_list(const char **at, uint32_t *base, int64_t *ret_ns)
{
	const char *p = *at, *number;
	bool posix = false;
	size_t len;

	for (; *p; p += len + (p[len] == '\n')) {
		len = strchrnul(p, '\n') - p;
		number = after(p, ".index:");
		if (number)
			*base = strtoul(number, NULL, 10);
		number = after(p, "# expires at ");
		if (number && posix) {
			*ret_ns = strtoll(number, NULL, 10);
			*at = p + len + (p[len] == '\n');
			return 1;
		}
		posix = after(p, "#") && memmem(p, len, ", posix_timer_fn,", 17);
	}
	*at = p;
	return 0;
}
