// SPDX-License-Identifier: GPL-2.0-or-later
/* What a segment of the other end says of a TCP connection of a checkpoint. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "proc/tcp-outside.h"

#define IN 1000u
#define OUT 0xfffffff0u		/* the numbers go round within what is not acknowledged */
#define N_UNSENT 100u
#define END (OUT + N_UNSENT)
#define ACK CKPT_SEGMENT_ACK

static const struct ckpt_tcp connection = { .in = IN, .out = OUT, .n_unsent = N_UNSENT };

struct judged {
	struct ckpt_tcp_segment s;
	enum ckpt_tcp_verdict v;
};

static const struct judged judged[] = {
	{ { .seq = IN, .ack = OUT, .flags = ACK }, CKPT_TCP_FITS },
	{ { .seq = IN, .ack = END, .flags = ACK }, CKPT_TCP_FITS },
	{ { .seq = IN, .ack = 3, .flags = ACK }, CKPT_TCP_FITS },
	/* one byte more than the checkpoint has written, in order or not */
	{ { .seq = IN, .ack = END + 1, .flags = ACK }, CKPT_TCP_BEHIND },
	{ { .seq = IN, .ack = OUT, .flags = ACK, .n_blocks = 1, .blocks = { { 20, END + 1 } } },
	  CKPT_TCP_BEHIND },
	{ { .seq = IN, .ack = OUT, .flags = ACK, .n_blocks = 2,
	    .blocks = { { 20, END }, { END + 5, END + 6 } } }, CKPT_TCP_BEHIND },
	/* of what it wrote; as many as there is room for; what came twice */
	{ { .seq = IN, .ack = OUT, .flags = ACK, .n_blocks = 1, .blocks = { { 20, END } } },
	  CKPT_TCP_FITS },
	{ { .seq = IN, .ack = OUT, .flags = ACK, .n_blocks = 3,
	    .blocks = { { 20, 21 }, { 22, 23 }, { 24, 25 } } }, CKPT_TCP_BEHIND },
	{ { .seq = IN, .ack = 3, .flags = ACK, .n_blocks = 1, .blocks = { { OUT, 2 } } },
	  CKPT_TCP_FITS },
	/* it has sent more, which may have been acknowledged */
	{ { .seq = IN + 1, .ack = OUT, .flags = ACK }, CKPT_TCP_AHEAD },
	{ { .seq = IN + 1, .ack = OUT, .flags = ACK, .len = 10 }, CKPT_TCP_AHEAD },
	/* it still sends from there, or from before; a probe of its own */
	{ { .seq = IN, .ack = OUT, .flags = ACK, .len = 10 }, CKPT_TCP_FITS },
	{ { .seq = IN - 9, .ack = OUT, .flags = ACK, .len = 5 }, CKPT_TCP_FITS },
	{ { .seq = IN - 1, .ack = OUT, .flags = ACK }, CKPT_TCP_FITS },
	/* late ones, and what is none of it */
	{ { .seq = IN - 2, .ack = OUT, .flags = ACK }, CKPT_TCP_SILENT },
	{ { .seq = IN, .ack = OUT - 1, .flags = ACK }, CKPT_TCP_SILENT },
	{ { .seq = IN, .ack = OUT }, CKPT_TCP_SILENT },
	{ { .seq = IN, .ack = OUT, .flags = ACK | CKPT_SEGMENT_SYN }, CKPT_TCP_SILENT },
	{ { .seq = IN, .flags = CKPT_SEGMENT_RESET }, CKPT_TCP_GONE },
	{ { .seq = IN, .ack = OUT, .flags = CKPT_SEGMENT_RESET | ACK }, CKPT_TCP_GONE },
	{ { .seq = IN + 1, .flags = CKPT_SEGMENT_RESET }, CKPT_TCP_SILENT },
};

static void test_judged(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(judged) / sizeof(judged[0]); i++) {
		enum ckpt_tcp_verdict v = ckpt_tcp_judge(&connection, &judged[i].s);

		if (v != judged[i].v)
			fail_msg("case %zu: %u, not %u", i, v, judged[i].v);
	}
}

struct bytes {
	uint8_t data[60];
	size_t len;
};

static struct bytes header(uint8_t flags, const uint8_t *options, size_t len)
{
	struct bytes b = { .len = 20 + len };
	const uint32_t seq = htonl(IN), ack = htonl(END);

	memcpy(b.data + 4, &seq, 4);
	memcpy(b.data + 8, &ack, 4);
	b.data[12] = (20 + len) / 4 << 4;
	b.data[13] = flags;
	if (len)
		memcpy(b.data + 20, options, len);
	return b;
}

static void test_parsed(void **state)
{
	static const uint8_t options[] = { 1, 1, 5, 10, 0, 0, 0, 5, 0, 0, 0, 9,
					   8, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 99 };
	struct bytes b = header(ACK | CKPT_SEGMENT_END, options, sizeof(options));
	struct ckpt_tcp_segment s;

	(void)state;
	assert_true(ckpt_tcp_segment_parse(b.data, b.len, b.len + 7, &s));
	assert_int_equal(s.seq, IN);
	assert_int_equal(s.ack, END);
	assert_int_equal(s.len, 8);
	assert_int_equal(s.n_blocks, 1);
	assert_int_equal(s.blocks[0][0], 5);
	assert_int_equal(s.blocks[0][1], 9);
}

static void refuses(const uint8_t *options, size_t len)
{
	struct bytes b = header(ACK, options, len);
	struct ckpt_tcp_segment s;

	assert_false(ckpt_tcp_segment_parse(b.data, b.len, b.len, &s));
}

static void test_malformed(void **state)
{
	struct bytes b = header(ACK, NULL, 0);
	struct ckpt_tcp_segment s;

	(void)state;
	refuses((const uint8_t[]){ 5, 0, 0, 0 }, 4);
	refuses((const uint8_t[]){ 5, 1, 0, 0 }, 4);
	refuses((const uint8_t[]){ 1, 1, 5, 10 }, 4);
	refuses((const uint8_t[]){ 5, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }, 12);
	refuses((const uint8_t[]){ 1, 1, 1, 8 }, 4);
	for (size_t n = 0; n < b.len; n++)
		assert_false(ckpt_tcp_segment_parse(b.data, n, b.len, &s));
	assert_false(ckpt_tcp_segment_parse(b.data, b.len, b.len - 1, &s));
	b.data[12] = 4 << 4;
	assert_false(ckpt_tcp_segment_parse(b.data, b.len, b.len, &s));
	b.data[12] = 6 << 4;
	assert_false(ckpt_tcp_segment_parse(b.data, b.len, b.len + 8, &s));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_judged),
		cmocka_unit_test(test_parsed),
		cmocka_unit_test(test_malformed),
	};

	return cmocka_run_group_tests_name("proc tcp segment", tests, NULL, NULL);
}
