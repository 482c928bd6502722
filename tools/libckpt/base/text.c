// SPDX-License-Identifier: GPL-2.0-or-later
/* Text for readers. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static bool is_in(unsigned char c, unsigned char low, unsigned char high)
{
	return c >= low && c <= high;
}

/* The second byte alone tells overlong forms, surrogates and what is beyond U+10FFFF. */
size_t ckpt_text_char(const char *s)
{
	const unsigned char *c = (const unsigned char *)s;
	unsigned char low = 0x80, high = 0xbf;
	size_t len, i;

	if (*c < 0x80)
		return *c != 0;
	if (is_in(*c, 0xc2, 0xdf))
		len = 2;
	else if (is_in(*c, 0xe0, 0xef))
		len = 3;
	else if (is_in(*c, 0xf0, 0xf4))
		len = 4;
	else
		return 0;
	if (*c == 0xe0)
		low = 0xa0;
	else if (*c == 0xed)
		high = 0x9f;
	else if (*c == 0xf0)
		low = 0x90;
	else if (*c == 0xf4)
		high = 0x8f;
	for (i = 1; i < len; i++, low = 0x80, high = 0xbf)
		if (!is_in(c[i], low, high))
			return 0;
	return len;
}

static bool is_control(const char *s, size_t len)
{
	unsigned char c = s[0];

	return len == 1 ? c < 0x20 || c == 0x7f : c == 0xc2 && (unsigned char)s[1] < 0xa0;
}

bool ckpt_text_has_control(const char *s)
{
	for (; *s; s++) {
		size_t len = ckpt_text_char(s);

		if (len && is_control(s, len))
			return true;
	}
	return false;
}

static char *put_hex(char *to, unsigned char byte)
{
	static const char digit[] = "0123456789abcdef";

	*to++ = digit[byte >> 4];
	*to++ = digit[byte & 15];
	return to;
}

char *ckpt_text_utf8(const char *s, bool *ret_lossy)
{
	char *text = malloc(3 * strlen(s) + 1), *to = text;
	bool lossy = false;

	if (!text)
		return NULL;
	while (*s) {
		size_t len = ckpt_text_char(s);

		to = mempcpy(to, len ? s : "\xef\xbf\xbd", len ? len : 3);
		s += len ? len : 1;
		lossy |= !len;
	}
	*to = 0;
	if (ret_lossy)
		*ret_lossy = lossy;
	return text;
}

char *ckpt_text_plain(const char *s)
{
	char *text = malloc(4 * strlen(s) + 1), *to = text;

	if (!text)
		return NULL;
	while (*s) {
		size_t len = ckpt_text_char(s);

		if (len && !is_control(s, len)) {
			to = mempcpy(to, s, len);
			s += len;
			continue;
		}
		for (len = len ? len : 1; len; len--) {
			*to++ = '\\';
			*to++ = 'x';
			to = put_hex(to, *s++);
		}
	}
	*to = 0;
	return text;
}

char *ckpt_text_hex(const char *s)
{
	char *text = malloc(2 * strlen(s) + 1), *to = text;

	if (!text)
		return NULL;
	while (*s)
		to = put_hex(to, *s++);
	*to = 0;
	return text;
}
