// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Allocations of the kernel that fail, for tests on the debug kernel
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <netlink/genl/genl.h>
#include <netlink/netlink.h>

#include "lib/nomem.h"
#include "lib/world.h"

#define LIMIT 2000	/* more allocations than any request makes */

static int nth_fd = -1;

void nomem_set_up(void)
{
	static const char *const files[][2] = {
		{ "failslab/ignore-gfp-wait", "N" }, { "failslab/verbose", "0" },
		{ "fail_page_alloc/ignore-gfp-wait", "N" },
		{ "fail_page_alloc/ignore-gfp-highmem", "N" },
		{ "fail_page_alloc/min-order", "0" }, { "fail_page_alloc/verbose", "0" },
	};
	char path[128];
	size_t i;

	for (i = 0; i < sizeof(files) / sizeof(*files); i++) {
		snprintf(path, sizeof(path), "/sys/kernel/debug/%s", files[i][0]);
		if (put(path, files[i][1]))
			die("%s", path);
	}
}

void nomem_inject(unsigned int n)
{
	char text[16];

	if (nth_fd < 0)
		nth_fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	snprintf(text, sizeof(text), "%u", n);
	if (pwrite(nth_fd, text, strlen(text), 0) < 0)
		die("fail-nth");
}

bool nomem_injected(void)
{
	char text[16] = "";

	if (pread(nth_fd, text, sizeof(text) - 1, 0) < 0)
		die("fail-nth");
	nomem_inject(0);
	return atoi(text) == 0;
}

void nomem_each(const char *what, bool (*attempt)(unsigned int n, bool *good))
{
	unsigned int n = 1;
	bool good = true;

	while (n < LIMIT && attempt(n, &good))
		n++;
	/* one allocation at least, or nothing was tested; and the last try was without */
	check(good && n > 1 && n < LIMIT, "%s: of %u allocations each has failed", what, n - 1);
}

void nomem_reopen(struct client *c)
{
	struct timeval limit = { .tv_sec = 20 };

	if (c->sk)
		client_close(c);
	if (client_open(c))
		die("open");
	/* an answer that finds no memory never comes */
	setsockopt(nl_socket_get_fd(c->sk), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
}

static void read_round(struct nlmsghdr *h, struct round *ret)
{
	struct nlattr *attrs[CKPT_A_MAX + 1];

	if (genlmsg_parse(h, 0, attrs, CKPT_A_MAX, NULL) || !attrs[CKPT_A_ROUND])
		return;
	ret->epoch = nla_get_u64(attrs[CKPT_A_EPOCH]);
	ret->round = nla_get_u32(attrs[CKPT_A_ROUND]);
	ret->lost = nla_get_u64(attrs[CKPT_A_LOST]);
}

bool nomem_late(struct client *c, struct round *ret)
{
	static char buf[1 << 16] __attribute__((aligned(8)));
	struct nlmsghdr *h;
	ssize_t len;

	while ((len = recv(nl_socket_get_fd(c->sk), buf, sizeof(buf), MSG_DONTWAIT)) >= 0 ||
	       errno == ENOBUFS)
		for (h = (struct nlmsghdr *)buf; NLMSG_OK(h, len); h = NLMSG_NEXT(h, len))
			if (h->nlmsg_type == c->family && ret)
				read_round(h, ret);
	return ret && ret->round;
}
