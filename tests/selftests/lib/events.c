// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Listening to the events of the module, for tests
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/netlink.h>

#include "lib/events.h"
#include "lib/world.h"

/* Waits for what must come, and for what must not. */
#define SOON 5000
#define NEVER 300

int events_listen(void)
{
	/* kept to the end of the program */
	struct nl_sock *sk = nl_socket_alloc();
	int group;

	if (!sk || genl_connect(sk) < 0)
		die("a netlink socket");
	group = genl_ctrl_resolve_grp(sk, CKPT_GENL_NAME, CKPT_MCGRP_EVENTS);
	if (group < 0 || nl_socket_add_membership(sk, group) < 0)
		die("join the group of events");
	return nl_socket_get_fd(sk);
}

int events_next(int fd, int timeout_ms, struct event *ret)
{
	static char buf[8192] __attribute__((aligned(8)));
	struct nlmsghdr *h = (struct nlmsghdr *)buf;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct nlattr *attrs[CKPT_A_MAX + 1];
	ssize_t len;

	if (poll(&p, 1, timeout_ms) != 1)
		return 0;
	len = recv(fd, buf, sizeof(buf), 0);
	if (len < 0 || !NLMSG_OK(h, len) || genlmsg_parse(h, 0, attrs, CKPT_A_MAX, NULL) ||
	    genlmsg_hdr(h)->cmd != CKPT_CMD_EVENT_NTF || !attrs[CKPT_A_GROUP_NAME] ||
	    !attrs[CKPT_A_EVENT] || !attrs[CKPT_A_EVENT_VALUE])
		die("an event that is none");
	ret->what = nla_get_u32(attrs[CKPT_A_EVENT]);
	ret->value = nla_get_u64(attrs[CKPT_A_EVENT_VALUE]);
	snprintf(ret->group, sizeof(ret->group), "%s", nla_get_string(attrs[CKPT_A_GROUP_NAME]));
	return 1;
}

uint64_t events_want(int fd, const char *group, uint32_t what, uint64_t min, uint64_t max,
		     const char *why)
{
	struct event e = { 0 };

	if (!check(events_next(fd, SOON, &e) && e.what == what && !strcmp(e.group, group) &&
		   e.value >= min && e.value <= max, "%s", why))
		note("event %u of group '%s', value %lu", e.what, e.group, e.value);
	return e.value;
}

void events_want_none(int fd, const char *why)
{
	struct event e = { 0 };

	if (!check(!events_next(fd, NEVER, &e), "%s", why))
		note("event %u of group '%s', value %lu", e.what, e.group, e.value);
}
