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
	{ { .seq = IN, .ack = OUT, .flags = ACK }, CKPT_TCP_STANDS },
	{ { .seq = IN, .ack = END, .flags = ACK }, CKPT_TCP_STANDS },
	{ { .seq = IN, .ack = 3, .flags = ACK }, CKPT_TCP_STANDS },
	/* one byte more than the checkpoint has written, in order or not */
	{ { .seq = IN, .ack = END + 1, .flags = ACK }, CKPT_TCP_BEHIND },
	{ { .seq = IN, .ack = OUT, .flags = ACK, .n_blocks = 1, .blocks = { { 20, END + 1 } } },
	  CKPT_TCP_BEHIND },
	{ { .seq = IN, .ack = OUT, .flags = ACK, .n_blocks = 2,
	    .blocks = { { 20, END }, { END + 5, END + 6 } } }, CKPT_TCP_BEHIND },
	/* of what it wrote; as many as there is room for; what came twice */
	{ { .seq = IN, .ack = OUT, .flags = ACK, .n_blocks = 1, .blocks = { { 20, END } } },
	  CKPT_TCP_STANDS },
	{ { .seq = IN, .ack = OUT, .flags = ACK, .n_blocks = 3,
	    .blocks = { { 20, 21 }, { 22, 23 }, { 24, 25 } } }, CKPT_TCP_BEHIND },
	{ { .seq = IN, .ack = 3, .flags = ACK, .n_blocks = 1, .blocks = { { OUT, 2 } } },
	  CKPT_TCP_STANDS },
	/* it has sent more, which may have been acknowledged */
	{ { .seq = IN + 1, .ack = OUT, .flags = ACK }, CKPT_TCP_AHEAD },
	{ { .seq = IN + 1, .ack = OUT, .flags = ACK, .len = 10 }, CKPT_TCP_AHEAD },
	/* far away, as by somebody who does not know where it stands */
	{ { .seq = IN + 0x10000, .ack = END + 1, .flags = ACK }, CKPT_TCP_SILENT },
	{ { .seq = IN + 0xffff, .ack = END + 1, .flags = ACK }, CKPT_TCP_BEHIND },
	{ { .seq = IN - 0x10000, .ack = END + 1, .flags = ACK }, CKPT_TCP_SILENT },
	{ { .seq = IN + 0x80000000u, .ack = OUT, .flags = ACK, .len = 10 }, CKPT_TCP_SILENT },
	/* it still sends from there, or from before; a byte of no meaning; a probe of its own */
	{ { .seq = IN, .ack = OUT, .flags = ACK, .len = 10 }, CKPT_TCP_FITS },
	{ { .seq = IN - 9, .ack = OUT, .flags = ACK, .len = 5 }, CKPT_TCP_FITS },
	{ { .seq = IN, .ack = OUT, .flags = ACK | CKPT_SEGMENT_PUSH, .len = 1 }, CKPT_TCP_FITS },
	{ { .seq = IN, .ack = OUT, .flags = ACK | CKPT_SEGMENT_END, .len = 1 }, CKPT_TCP_FITS },
	{ { .seq = IN, .ack = OUT, .flags = ACK, .len = 1 }, CKPT_TCP_STANDS },
	{ { .seq = IN - 1, .ack = OUT, .flags = ACK, .len = 1 }, CKPT_TCP_STANDS },
	{ { .seq = IN - 1, .ack = OUT, .flags = ACK }, CKPT_TCP_STANDS },
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

/* What comes one after the other, when, and what is believed in the end. */
struct heard {
	struct {
		struct ckpt_tcp_segment s;
		int64_t ms;
	} list[3];
	enum ckpt_tcp_verdict v;
};

#define STANDS { .seq = IN, .ack = OUT, .flags = ACK }
#define MEANS_NOTHING { .seq = IN, .ack = OUT, .flags = ACK, .len = 1 }
#define ONE_MORE { .seq = IN + 1, .ack = OUT, .flags = ACK }
#define ANSWERS { .seq = IN, .ack = OUT, .flags = ACK, .n_blocks = 1, \
		  .blocks = { { OUT - 2, OUT - 1 } } }
#define SENDS { .seq = IN, .ack = OUT, .flags = ACK | CKPT_SEGMENT_PUSH, .len = 1 }

static const struct heard heard[] = {
	{ { { STANDS, 10 } }, CKPT_TCP_SILENT },
	{ { { STANDS, 10 }, { STANDS, 11 } }, CKPT_TCP_FITS },
	{ { { STANDS, 10 }, { STANDS, 1009 } }, CKPT_TCP_FITS },
	{ { { ANSWERS, 10 } }, CKPT_TCP_FITS },
	{ { { ONE_MORE, 10 }, { ANSWERS, 11 } }, CKPT_TCP_AHEAD },
	/* it keeps the connection alive, and is a byte ahead */
	{ { { STANDS, 10 }, { STANDS, 1010 }, { STANDS, 2010 } }, CKPT_TCP_SILENT },
	{ { { STANDS, 10 }, { STANDS, 1010 }, { STANDS, 1020 } }, CKPT_TCP_FITS },
	{ { { ONE_MORE, 10 }, { STANDS, 11 }, { STANDS, 12 } }, CKPT_TCP_AHEAD },
	{ { { STANDS, 10 }, { ONE_MORE, 11 }, { STANDS, 12 } }, CKPT_TCP_AHEAD },
	{ { { MEANS_NOTHING, 10 }, { ONE_MORE, 11 }, { MEANS_NOTHING, 12 } }, CKPT_TCP_AHEAD },
	/* that byte is on its way still */
	{ { { ONE_MORE, 10 }, { SENDS, 11 } }, CKPT_TCP_FITS },
};

static void test_weighed(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(heard) / sizeof(heard[0]); i++) {
		struct ckpt_outside o = { .verdict = CKPT_TCP_SILENT };

		for (size_t j = 0; j < 3 && heard[i].list[j].ms; j++) {
			if (o.verdict != CKPT_TCP_FITS)
				ckpt_tcp_weigh(&connection, &heard[i].list[j].s,
					       heard[i].list[j].ms, &o);
		}
		if (o.verdict != heard[i].v)
			fail_msg("case %zu: %u, not %u", i, o.verdict, heard[i].v);
		if (o.verdict == CKPT_TCP_FITS)
			assert_int_equal(o.acked, OUT);
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
					   8, 10, 0, 0, 0, 0, 0, 0, 0, 99, 0, 7 };
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
	assert_true(s.timed);
	assert_int_equal(s.echo, 99);
}

/* All that the kernel would add up, the sum with it, is nothing. */
static uint32_t folded(const uint8_t *data, size_t len, uint32_t s)
{
	for (size_t i = 0; i < len; i++)
		s += i % 2 ? data[i] : data[i] << 8;
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return s;
}

static void test_probe(void **state)
{
	struct ckpt_tcp t = connection;
	union ckpt_inet_address here = { .v6 = { .sin6_family = AF_INET6,
						 .sin6_port = htons(80) } };
	union ckpt_inet_address there = here;
	uint8_t data[CKPT_SEGMENT_PROBE_MAX];
	struct ckpt_tcp_segment s;
	size_t n;

	(void)state;
	here.v6.sin6_addr = in6addr_loopback;
	for (int i = 0; i < 2; i++) {
		t.flags = i ? CKPT_TCP_F_TIMESTAMPS : 0;
		n = ckpt_tcp_segment_probe(&t, &here, &there, 77, data);
		assert_int_equal(folded(data, n, IPPROTO_TCP + n + 1), 0xffff);
		assert_true(ckpt_tcp_segment_parse(data, n, n, &s));
		assert_int_equal(s.len, 1);
		assert_int_equal(s.seq, OUT - 2);
		assert_int_equal(s.ack, IN);
		assert_int_equal(s.timed, i);
	}
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
	refuses((const uint8_t[]){ 8, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }, 12);
	for (size_t n = 0; n < b.len; n++)
		assert_false(ckpt_tcp_segment_parse(b.data, n, b.len, &s));
	assert_false(ckpt_tcp_segment_parse(b.data, b.len, b.len - 1, &s));
	b.data[12] = 4 << 4;
	assert_false(ckpt_tcp_segment_parse(b.data, b.len, b.len, &s));
	b.data[12] = 6 << 4;
	assert_false(ckpt_tcp_segment_parse(b.data, b.len, b.len + 8, &s));
}

static void test_room(void **state)
{
	struct ckpt_tcp list[3] = { { .flags = CKPT_TCP_F_KNOWN }, { .flags = CKPT_TCP_F_RESET } };
	struct ckpt_image image = { .tcps = list, .n_tcps = 3 };
	uint64_t one = ckpt_outside_fd_room(&image);

	(void)state;
	assert_true(one > 2);
	list[2].flags = CKPT_TCP_F_KNOWN;
	assert_int_equal(ckpt_outside_fd_room(&image), one + 2);
	image.n_tcps = 0;
	assert_int_equal(ckpt_outside_fd_room(&image), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_judged),
		cmocka_unit_test(test_weighed),
		cmocka_unit_test(test_parsed),
		cmocka_unit_test(test_probe),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_room),
	};

	return cmocka_run_group_tests_name("proc tcp segment", tests, NULL, NULL);
}
