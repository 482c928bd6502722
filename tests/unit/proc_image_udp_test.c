// SPDX-License-Identifier: GPL-2.0-or-later
/* UDP and netlink sockets in an image: as they were, and what cannot be so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "proc/image-check.h"
#include "proc/nlsock.h"
#include "proc/udp.h"

#define N 3	/* two of UDP, one of netlink */

struct sample {
	struct ckpt_image image;
	struct ckpt_file files[N];
	struct ckpt_socket sockets[N];
	struct ckpt_udp udps[2];
	struct ckpt_nlsock nlsock;
	struct ckpt_multicast group;
	struct ckpt_datagram datagram;
	struct sockaddr_in here, there, many;
	uint8_t source[1][16];
	char interface[8];
	uint32_t groups[2];
	uint8_t bytes[8];
};

static void make(struct sample *s)
{
	memset(s, 0, sizeof(*s));
	s->image.files = s->files;
	s->image.sockets = s->sockets;
	s->image.udps = s->udps;
	s->image.nlsocks = &s->nlsock;
	s->image.n_files = s->image.n_sockets = N;
	s->image.n_udps = 2;
	s->image.n_nlsocks = 1;
	s->here = s->there = s->many = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = 1 };
	for (uint32_t i = 0; i < N; i++) {
		s->sockets[i] = (struct ckpt_socket){
			.family = i < 2 ? AF_INET : AF_NETLINK, .type = SOCK_DGRAM,
			.protocol = i < 2 ? IPPROTO_UDP : 0, .part = i % 2,
		};
		s->files[i] = (struct ckpt_file){ .kind = CKPT_FILE_SOCKET, .object = i };
	}
	strcpy(s->interface, "lo");
	s->group = (struct ckpt_multicast){
		.interface = s->interface, .group = (uint8_t *)&s->many,
		.group_len = sizeof(s->many), .excludes = true, .sources = s->source,
		.n_sources = 1,
	};
	s->datagram = (struct ckpt_datagram){ (uint8_t *)&s->there, sizeof(s->there), s->bytes, 8 };
	s->udps[1] = (struct ckpt_udp){
		.local = (uint8_t *)&s->here, .local_len = sizeof(s->here),
		.remote = (uint8_t *)&s->there, .remote_len = sizeof(s->there), .shutdown = 1,
		.groups = &s->group, .n_groups = 1, .datagrams = &s->datagram, .n_datagrams = 1,
	};
	s->groups[1] = 5;
	s->nlsock = (struct ckpt_nlsock){ .port = 7, .groups = s->groups, .n_groups = 2 };
}

static int check(const struct ckpt_image *image, struct ckpt_err *err)
{
	return ckpt_udps_check(image, err) || ckpt_nlsocks_check(image, err) ? -1 : 0;
}

static void test_sound(void **state)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	struct sample s;

	(void)state;
	make(&s);
	if (check(&s.image, &err))
		fail_msg("%s", err.text);
}

#define SPOIL(name, says, change) \
static void test_bad_##name(void **state) \
{ \
	struct ckpt_err err = CKPT_ERR_INIT; \
	struct sample s; \
	\
	(void)state; \
	make(&s); \
	change; \
	assert_int_equal(check(&s.image, &err), -1); \
	assert_int_equal(err.status, CKPT_DAMAGED); \
	if (!strstr(err.text, says)) \
		fail_msg("%s", err.text); \
}

SPOIL(part, "is not described", s.sockets[1].part = 2)
SPOIL(shared, "two are one", s.sockets[1].part = 0)
SPOIL(loose, "is no socket", s.image.n_udps++)
SPOIL(local, "no sound address", s.udps[1].local_len = 3)
SPOIL(remote, "no sound address", s.there.sin_family = AF_INET6)
SPOIL(family, "no sound address", s.sockets[1].family = AF_INET6)
SPOIL(shut, "shut in no known way", s.udps[1].shutdown = 4)
SPOIL(sender, "cannot have come", s.datagram.from_len = 0)
SPOIL(nowhere, "cannot have come", s.udps[1].local_len = 0)
SPOIL(too_long, "cannot have come", s.datagram.len = CKPT_UDP_DATAGRAM_MAX + 1)
SPOIL(group, "group that is none", s.group.group_len = 4)
SPOIL(interface, "group that is none", s.group.interface = NULL)
SPOIL(sources, "group that is none", s.group.n_sources = CKPT_UDP_SOURCES_MAX + 1)
SPOIL(nl_part, "is not described", s.sockets[2].part = 1)
SPOIL(nl_loose, "is no socket", s.image.n_nlsocks++)
SPOIL(nl_groups, "groups", s.nlsock.n_groups = CKPT_NLSOCK_WORDS_MAX + 1)

int main(void)
{
#define BAD_TEST(name) cmocka_unit_test(test_bad_##name)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sound),
		BAD_TEST(part), BAD_TEST(shared), BAD_TEST(loose), BAD_TEST(local),
		BAD_TEST(remote), BAD_TEST(family), BAD_TEST(shut), BAD_TEST(sender),
		BAD_TEST(nowhere), BAD_TEST(too_long), BAD_TEST(group), BAD_TEST(interface),
		BAD_TEST(sources), BAD_TEST(nl_part), BAD_TEST(nl_loose), BAD_TEST(nl_groups),
	};

	return cmocka_run_group_tests_name("proc image udp", tests, NULL, NULL);
}
