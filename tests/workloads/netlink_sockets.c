// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A program with netlink sockets: free, with a number, in a group, connected
 *
 * Prints "ready" once all is set up, waits until there is a file "go" in its directory, checks
 * that everything is as it was, and prints what is wrong, or "all well".
 */
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ok.h"

#ifndef SOL_NETLINK
#define SOL_NETLINK 270
#endif
#define NUMBER 0x70000007u

static int nothing, numbered, member, events, peered;
static uint32_t member_number;

static int netlink(int protocol)
{
	return MUST(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
}

static struct sockaddr_nl local(int fd)
{
	struct sockaddr_nl a;
	socklen_t len = sizeof(a);

	MUST(getsockname(fd, (struct sockaddr *)&a, &len));
	return a;
}

static void number(int fd, uint32_t as)
{
	struct sockaddr_nl a = { .nl_family = AF_NETLINK, .nl_pid = as };

	MUST(bind(fd, (struct sockaddr *)&a, sizeof(a)));
}

/* Ask for lo; the answer is for this socket. */
static int answers(int fd)
{
	struct {
		struct nlmsghdr h;
		struct ifinfomsg i;
	} ask = { { sizeof(ask), RTM_GETLINK, NLM_F_REQUEST, 7, 0 }, { .ifi_index = 1 } };
	char buf[16384];
	struct nlmsghdr *h = (struct nlmsghdr *)buf;

	return send(fd, &ask, sizeof(ask), 0) == sizeof(ask) &&
	       recv(fd, buf, sizeof(buf), 0) > 0 && h->nlmsg_type == RTM_NEWLINK &&
	       h->nlmsg_seq == 7 && h->nlmsg_pid == local(fd).nl_pid;
}

int main(void)
{
	const int on = 1, link = RTNLGRP_LINK, mpls = RTNLGRP_MPLS_ROUTE;
	uint32_t words[4] = { 0 };
	socklen_t len = sizeof(words);
	struct sockaddr_nl peer = { .nl_family = AF_NETLINK, .nl_pid = NUMBER }, is;
	int value = 0;

	nothing = netlink(NETLINK_ROUTE);
	numbered = netlink(NETLINK_ROUTE);
	number(numbered, NUMBER);
	member = netlink(NETLINK_ROUTE);
	number(member, 0);
	MUST(setsockopt(member, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &mpls, sizeof(mpls)));
	MUST(setsockopt(member, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &link, sizeof(link)));
	MUST(setsockopt(member, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on)));
	member_number = local(member).nl_pid;
	events = netlink(NETLINK_KOBJECT_UEVENT);
	number(events, 0);
	peered = netlink(NETLINK_ROUTE);
	number(peered, 0);
	MUST(connect(peered, (struct sockaddr *)&peer, sizeof(peer)));
	OK(answers(numbered) && answers(member) && member_number);
	printf("ready\n");
	fflush(stdout);
	while (access("go", F_OK))
		usleep(10000);
	OK(!local(nothing).nl_pid && local(numbered).nl_pid == NUMBER);
	OK(local(member).nl_pid == member_number);
	OK(local(events).nl_pid);
	len = sizeof(is);
	MUST(getpeername(peered, (struct sockaddr *)&is, &len));
	OK(is.nl_pid == NUMBER && !is.nl_groups);
	len = sizeof(words);
	MUST(getsockopt(member, SOL_NETLINK, NETLINK_LIST_MEMBERSHIPS, words, &len));
	OK(words[0] == (1u << (RTNLGRP_LINK - 1) | 1u << (RTNLGRP_MPLS_ROUTE - 1)));
	len = sizeof(value);
	MUST(getsockopt(member, SOL_NETLINK, NETLINK_EXT_ACK, &value, &len));
	OK(value == 1);
	OK(answers(nothing) && answers(numbered) && answers(member));
	printf(wrong ? "%d wrong\n" : "all well\n", wrong);
	return !!wrong;
}
