// SPDX-License-Identifier: GPL-2.0-or-later
/* TCP sockets in an image that contradict themselves: damage, told before anything is built. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "proc/image-check.h"
#include "proc/tcp.h"

#define N 5	/* one that listens, two ends of a connection, two alone, one of them known */

struct sample {
	struct ckpt_image image;
	struct ckpt_file files[N];
	struct ckpt_socket sockets[N];
	struct ckpt_tcp tcps[N];
	struct sockaddr_in here, there;
	uint8_t bytes[8];
};

static void make(struct sample *s)
{
	memset(s, 0, sizeof(*s));
	s->image.files = s->files;
	s->image.sockets = s->sockets;
	s->image.tcps = s->tcps;
	s->image.n_files = s->image.n_sockets = s->image.n_tcps = N;
	s->here = s->there = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = 1 };
	for (uint32_t i = 0; i < N; i++) {
		s->sockets[i] = (struct ckpt_socket){
			.family = AF_INET, .type = SOCK_STREAM, .protocol = IPPROTO_TCP, .part = i,
		};
		s->files[i] = (struct ckpt_file){ .kind = CKPT_FILE_SOCKET, .object = i };
		s->tcps[i] = (struct ckpt_tcp){
			.state = CKPT_TCP_CONNECTED, .flags = CKPT_TCP_F_WSCALE, .mss = 1460,
			.scale_out = 7, .scale_in = 7, .peer = 3 - i,
			.local = (uint8_t *)&s->here, .local_len = sizeof(s->here),
			.remote = (uint8_t *)&s->there, .remote_len = sizeof(s->there),
		};
	}
	s->tcps[0] = (struct ckpt_tcp){
		.state = CKPT_TCP_LISTENS, .backlog = 5, .peer = CKPT_NONE,
		.local = (uint8_t *)&s->here, .local_len = sizeof(s->here),
	};
	s->tcps[1].unread = s->bytes;
	s->tcps[1].n_unread = sizeof(s->bytes);
	s->tcps[3].state = CKPT_TCP_ALONE;
	s->tcps[3].flags |= CKPT_TCP_F_RESET;
	s->tcps[3].peer = CKPT_NONE;
	s->tcps[4] = s->tcps[3];
	s->tcps[4].flags |= CKPT_TCP_F_KNOWN | CKPT_TCP_F_SACK;
	s->tcps[4].unsent = s->bytes;
	s->tcps[4].n_unsent = sizeof(s->bytes);
	s->tcps[4].n_sent = 3;
	s->tcps[4].out_window = s->tcps[4].out_window_max = 1000;
	s->tcps[4].in_window = 1000;
}

static void test_sound(void **state)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	struct sample s;

	(void)state;
	make(&s);
	if (ckpt_tcps_check(&s.image, &err))
		fail_msg("%s", err.text);
}

#define SPOIL(name, says, change) \
static void test_bad_##name(void **state) \
{ \
	struct ckpt_err err = CKPT_ERR_INIT; \
	struct sample s; \
	struct ckpt_tcp *t = s.tcps; \
	\
	(void)state; \
	(void)t; \
	make(&s); \
	change; \
	assert_int_equal(ckpt_tcps_check(&s.image, &err), -1); \
	assert_int_equal(err.status, CKPT_DAMAGED); \
	if (!strstr(err.text, says)) \
		fail_msg("%s", err.text); \
}

SPOIL(part, "is not described", s.sockets[1].part = N)
SPOIL(shared, "two are one", s.sockets[2].part = 1)
SPOIL(loose, "is no socket", s.image.n_files--)
SPOIL(state, "in no known state", t[0].state = CKPT_TCP_CONNECTING + 1)
SPOIL(flags, "in no known state", t[1].flags |= 1u << 20)
SPOIL(backlog, "in no known state", t[0].backlog = UINT32_MAX)
SPOIL(free_bytes, "has got something", t[0].n_unread = 1)
SPOIL(bytes, "holds", t[1].n_unsent = CKPT_TCP_QUEUE_MAX + 1)
SPOIL(scale, "what cannot be", t[1].scale_out = 15)
SPOIL(mss, "what cannot be", t[2].mss = 1)
SPOIL(nobody, "connected with nobody", t[3].flags = 0)
SPOIL(alone_sends, "connected with nobody", t[3].n_unsent = 1)
SPOIL(no_address, "no sound address", t[0].local_len = 0)
SPOIL(family, "no sound address", s.sockets[0].family = AF_INET6)
SPOIL(foreign, "no sound address", s.here.sin_family = AF_INET6)
SPOIL(nowhere, "leads to no sound address", t[1].remote_len = 3)
SPOIL(no_peer, "has no other end", t[1].peer = CKPT_NONE)
SPOIL(peer, "has not two ends", t[1].peer = N)
SPOIL(self, "has not two ends", t[1].peer = 1)
SPOIL(others_peer, "has not two ends", t[2].peer = 0)
SPOIL(agreed, "have not agreed", t[1].flags |= CKPT_TCP_F_SACK)
SPOIL(scales, "have not agreed", t[1].scale_in = 3)
SPOIL(known_pair, "cannot have been so", t[1].flags |= CKPT_TCP_F_KNOWN)
SPOIL(known_ended, "cannot have been so", t[4].flags |= CKPT_TCP_F_GOT_END)
SPOIL(known_shut, "cannot have been so", t[4].flags |= CKPT_TCP_F_SENT_END)
SPOIL(known_blind, "cannot have been so", t[4].flags &= ~CKPT_TCP_F_SACK)
SPOIL(known_sent, "cannot have been so", t[4].n_sent = 9)
SPOIL(known_window, "cannot have been so", t[4].out_window++)
SPOIL(known_wide, "cannot have been so", t[4].in_window = CKPT_TCP_QUEUE_MAX + 1)
SPOIL(known_update, "cannot have been so", t[4].out_wl1 = 1001)
SPOIL(known_acked, "cannot have been so", t[4].in_wup = 1)
SPOIL(known_nowhere, "leads to no sound address", t[4].remote_len = 3)
SPOIL(known_free, "has got something", t[0].flags |= CKPT_TCP_F_KNOWN)
SPOIL(reset_pair, "have not agreed", t[1].flags |= CKPT_TCP_F_RESET)

int main(void)
{
#define BAD_TEST(name) cmocka_unit_test(test_bad_##name)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sound),
		BAD_TEST(part), BAD_TEST(shared), BAD_TEST(loose), BAD_TEST(state),
		BAD_TEST(flags), BAD_TEST(backlog), BAD_TEST(free_bytes), BAD_TEST(bytes),
		BAD_TEST(scale), BAD_TEST(mss), BAD_TEST(nobody), BAD_TEST(alone_sends),
		BAD_TEST(no_address), BAD_TEST(family), BAD_TEST(foreign), BAD_TEST(nowhere),
		BAD_TEST(no_peer), BAD_TEST(peer), BAD_TEST(self), BAD_TEST(others_peer),
		BAD_TEST(agreed), BAD_TEST(scales), BAD_TEST(reset_pair),
		BAD_TEST(known_pair), BAD_TEST(known_ended), BAD_TEST(known_shut),
		BAD_TEST(known_blind), BAD_TEST(known_sent), BAD_TEST(known_window),
		BAD_TEST(known_wide), BAD_TEST(known_update), BAD_TEST(known_acked),
		BAD_TEST(known_nowhere), BAD_TEST(known_free),
	};

	return cmocka_run_group_tests_name("proc image tcp", tests, NULL, NULL);
}
