// SPDX-License-Identifier: GPL-2.0-or-later
/* Error values. */
#include <stdio.h>
#include <string.h>

#include "base/err.h"

int ckpt_fail(struct ckpt_err *err, enum ckpt_status status, int os, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (!err)
		return -1;
	va_start(ap, fmt);
	n = vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	err->status = status;
	err->os = os;
	if (os && n >= 0 && (size_t)n < sizeof(err->text))
		snprintf(err->text + n, sizeof(err->text) - n, ": %s", strerror(os));
	return -1;
}

int ckpt_fail_at(struct ckpt_err *err, const char *fmt, ...)
{
	char inner[CKPT_ERR_LEN];
	va_list ap;
	int n;

	if (!err)
		return -1;
	memcpy(inner, err->text, sizeof(inner));
	va_start(ap, fmt);
	n = vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof(err->text))
		snprintf(err->text + n, sizeof(err->text) - n, ": %.*s",
			 (int)(sizeof(inner) - 3 - n), inner);
	return -1;
}

void ckpt_err_clear(struct ckpt_err *err)
{
	if (err)
		*err = (struct ckpt_err)CKPT_ERR_INIT;
}
