// SPDX-License-Identifier: GPL-2.0-or-later
/* Error values. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"

#define CUT " ... "

/* Inside a character of UTF-8. */
static bool is_inside(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

/*
 * What is too long loses its middle, which is that of a path: what failed stands
 * first and the cause last.
 */
static void set_text(struct ckpt_err *err, const char *text)
{
	const size_t room = sizeof(err->text) - sizeof(CUT), len = strlen(text);
	size_t head = room / 2, tail = len - room / 2;

	if (len < sizeof(err->text)) {
		memcpy(err->text, text, len + 1);
		return;
	}
	for (int i = 0; i < 3 && is_inside(text[head]); i++)
		head--;
	for (int i = 0; i < 3 && is_inside(text[tail]); i++)
		tail++;
	snprintf(err->text, sizeof(err->text), "%.*s" CUT "%s", (int)head, text, text + tail);
}

/* "@fmt: @cause"; without memory as much of it as goes into the error. */
static void compose(struct ckpt_err *err, const char *cause, const char *fmt, va_list ap)
{
	cleanup_free char *what = NULL, *text = NULL;
	va_list again;

	va_copy(again, ap);
	if (vasprintf(&what, fmt, ap) < 0) {
		what = NULL;
		vsnprintf(err->text, sizeof(err->text), fmt, again);
	} else if (!cause) {
		set_text(err, what);
	} else if (asprintf(&text, "%s: %s", what, cause) < 0) {
		text = NULL;
		set_text(err, cause);
	} else {
		set_text(err, text);
	}
	va_end(again);
}

int ckpt_fail(struct ckpt_err *err, enum ckpt_status status, int os, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return -1;
	va_start(ap, fmt);
	compose(err, os ? strerror(os) : NULL, fmt, ap);
	va_end(ap);
	err->status = status;
	err->os = os;
	err->passing = false;
	return -1;
}

int ckpt_fail_passing(struct ckpt_err *err)
{
	if (err)
		err->passing = true;
	return -1;
}

int ckpt_fail_at(struct ckpt_err *err, const char *fmt, ...)
{
	char inner[CKPT_ERR_LEN];
	va_list ap;

	if (!err)
		return -1;
	memcpy(inner, err->text, sizeof(inner));
	va_start(ap, fmt);
	compose(err, inner, fmt, ap);
	va_end(ap);
	return -1;
}

void ckpt_err_clear(struct ckpt_err *err)
{
	if (err)
		*err = (struct ckpt_err)CKPT_ERR_INIT;
}
