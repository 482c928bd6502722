// SPDX-License-Identifier: GPL-2.0-or-later
/* Text for readers, and sentences that are longer than an error has room for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/text.h"

static const struct {
	const char *bytes;
	size_t len;	/* of the first character */
} chars[] = {
	{ "", 0 }, { "a", 1 }, { "\x7f", 1 }, { "\x80", 0 }, { "\xbf", 0 }, { "\xc1\xbf", 0 },
	{ "\xc2\x80", 2 }, { "\xdf\xbf", 2 }, { "\xc3", 0 }, { "\xc3z", 0 },
	{ "\xe0\x9f\xbf", 0 }, { "\xe0\xa0\x80", 3 }, { "\xe2\x82\xac", 3 }, { "\xe2\x82", 0 },
	{ "\xed\x9f\xbf", 3 }, { "\xed\xa0\x80", 0 }, { "\xee\x80\x80", 3 },
	{ "\xf0\x8f\xbf\xbf", 0 }, { "\xf0\x90\x80\x80", 4 }, { "\xf4\x8f\xbf\xbf", 4 },
	{ "\xf4\x90\x80\x80", 0 }, { "\xf0\x9f\x98", 0 }, { "\xf5\x80\x80\x80", 0 },
	{ "\xff", 0 },
};

static void test_chars(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(chars) / sizeof(chars[0]); i++)
		if (ckpt_text_char(chars[i].bytes) != chars[i].len)
			fail_msg("case %zu: %zu", i, ckpt_text_char(chars[i].bytes));
}

static void becomes(char *(*fn)(const char *), const char *from, const char *to)
{
	cleanup_free char *got = fn(from);

	assert_non_null(got);
	assert_string_equal(got, to);
}

static char *utf8(const char *s)
{
	return ckpt_text_utf8(s, NULL);
}

static void test_utf8(void **state)
{
	bool lossy;

	(void)state;
	becomes(utf8, "", "");
	becomes(utf8, "p\xc3\xa4th\t", "p\xc3\xa4th\t");
	becomes(utf8, "r\xff", "r\xef\xbf\xbd");
	becomes(utf8, "\xff\xffx\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbdx\xef\xbf\xbd\xef\xbf\xbd");
	free(ckpt_text_utf8("\xe2\x82\xac", &lossy));
	assert_false(lossy);
	free(ckpt_text_utf8("a\xc3", &lossy));
	assert_true(lossy);
}

static void test_plain(void **state)
{
	(void)state;
	becomes(ckpt_text_plain, "a b\\c \xe2\x82\xac", "a b\\c \xe2\x82\xac");
	becomes(ckpt_text_plain, "a\nb\x1b[31m\x7f", "a\\x0ab\\x1b[31m\\x7f");
	becomes(ckpt_text_plain, "\377a", "\\xffa");
	/* CSI in one character, and NEL */
	becomes(ckpt_text_plain, "\302\2331m\302\205\302\240", "\\xc2\\x9b1m\\xc2\\x85\xc2\xa0");
}

static void test_control(void **state)
{
	(void)state;
	assert_false(ckpt_text_has_control("before the re\303\251factoring \377"));
	assert_true(ckpt_text_has_control("one\ntwo"));
	assert_true(ckpt_text_has_control("\x1b[2J"));
	assert_true(ckpt_text_has_control("del \x7f"));
	assert_true(ckpt_text_has_control("\xff\xc2\x9b"));
}

static void test_hex(void **state)
{
	(void)state;
	becomes(ckpt_text_hex, "/r\xff\n", "2f72ff0a");
}

/* What failed and its cause are both in what is left of a long sentence. */
static void keeps_both_ends(const struct ckpt_err *err, const char *first, const char *last)
{
	size_t len = strlen(err->text);

	assert_true(len < CKPT_ERR_LEN);
	/* not much of the room is lost */
	assert_true(len > CKPT_ERR_LEN - 10);
	assert_memory_equal(err->text, first, strlen(first));
	assert_string_equal(err->text + len - strlen(last), last);
	assert_non_null(strstr(err->text, " ... "));
	for (const char *s = err->text; *s; s += ckpt_text_char(s))
		if (!ckpt_text_char(s))
			fail_msg("cut inside a character: %s", err->text);
}

static void test_long_sentences(void **state)
{
	static const char euro[] = "\xe2\x82\xac", smile[] = "\xf0\x9f\x98\x80";
	struct ckpt_err err = CKPT_ERR_INIT;
	char path[5000];

	(void)state;
	/* all ways for a cut to meet a character, in front and behind */
	for (size_t shift = 0; shift < 7; shift++) {
		memset(path, 'x', sizeof(path));
		for (size_t i = shift; i + 10 < sizeof(path); i += 7) {
			memcpy(path + i, euro, 3);
			memcpy(path + i + 3, smile, 4);
		}
		path[4090] = 0;
		path[4090 - (4090 - shift) % 7] = 0;
		ckpt_fail(&err, CKPT_REFUSED, ENOSPC, "cannot open %s%.*s", path,
			  (int)(2 * shift), "zzzzzzzzzzzz");
		assert_int_equal(err.status, CKPT_REFUSED);
		assert_int_equal(err.os, ENOSPC);
		keeps_both_ends(&err, "cannot open ", ": No space left on device");
		ckpt_fail_at(&err, "stage files of '%s'", path);
		keeps_both_ends(&err, "stage files of '", ": No space left on device");
		assert_int_equal(err.os, ENOSPC);
	}
}

/* Exactly what goes in is left as it is. */
static void test_room(void **state)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	char text[CKPT_ERR_LEN + 1];

	(void)state;
	memset(text, 'y', sizeof(text));
	text[CKPT_ERR_LEN - 1] = 0;
	ckpt_fail(&err, CKPT_FAILED, 0, "%s", text);
	assert_string_equal(err.text, text);
	text[CKPT_ERR_LEN - 1] = 'y';
	text[CKPT_ERR_LEN] = 0;
	ckpt_fail(&err, CKPT_FAILED, 0, "%s", text);
	keeps_both_ends(&err, "yyy", "yyy");
	/* its own text may be part of the new one */
	ckpt_fail(&err, CKPT_FAILED, 0, "short");
	ckpt_fail(&err, CKPT_FAILED, 0, "again %s", err.text);
	assert_string_equal(err.text, "again short");
	ckpt_fail_at(&err, "there");
	assert_string_equal(err.text, "there: again short");
	/* bytes that are no text are cut somewhere */
	memset(text, 0x80, CKPT_ERR_LEN);
	ckpt_fail(&err, CKPT_FAILED, EIO, "%s", text);
	assert_non_null(strstr(err.text, ": Input/output error"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chars), cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_plain), cmocka_unit_test(test_control),
		cmocka_unit_test(test_hex), cmocka_unit_test(test_long_sentences),
		cmocka_unit_test(test_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
