// SPDX-License-Identifier: GPL-2.0-or-later
/* Network namespace of a tree's own: lo and its addresses made as they were, and compared. */
#include <linux/if.h>
#include <linux/if_addr.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "proc/net.h"
#include "proc/netlink.h"

#ifndef IFA_PROTO
#define IFA_PROTO 11
#endif

#define KERNEL_PROTOCOLS 3	/* IFAPROT_KERNEL_LO, _RA and _LL, and none */
#define LO 1	/* the number of lo in every namespace */
#define SETTLE_MS 5000	/* what we ask for comes, however busy the machine is */
/* Flags of an address that are asked for; the others come by themselves. */
#define ASKED (IFA_F_NODAD | IFA_F_HOMEADDRESS | IFA_F_MANAGETEMPADDR | IFA_F_NOPREFIXROUTE | \
	       IFA_F_MCAUTOJOIN | IFA_F_STABLE_PRIVACY)

static int set_link(int fd, const struct ckpt_net *net, struct ckpt_err *err)
{
	const struct ifinfomsg lo = {
		.ifi_family = AF_UNSPEC, .ifi_index = LO, .ifi_change = IFF_UP,
		.ifi_flags = net->up ? IFF_UP : 0,
	};
	struct ckpt_netlink_message m;
	int e;

	ckpt_netlink_begin(&m, RTM_NEWLINK, 0, &lo, sizeof(lo));
	ckpt_netlink_put(&m, IFLA_MTU, &net->mtu, sizeof(net->mtu));
	ckpt_netlink_put(&m, IFLA_TXQLEN, &net->queue, sizeof(net->queue));
	e = ckpt_netlink_tell(fd, &m);
	return e ? ckpt_fail(err, CKPT_REFUSED, e, "the lo of the tree's network namespace (%s, "
			     "mtu %u) cannot be made here", net->up ? "up" : "down", net->mtu) : 0;
}

static int order(int fd, uint16_t type, uint16_t flags, const struct ckpt_net_address *a)
{
	const struct ifaddrmsg to = {
		.ifa_family = a->family, .ifa_prefixlen = a->prefix, .ifa_scope = a->scope,
		.ifa_index = LO,
	};
	uint32_t asked = a->flags & ASKED;
	uint8_t protocol = a->protocol;
	struct ckpt_netlink_message m;

	ckpt_netlink_begin(&m, type, flags, &to, sizeof(to));
	if (a->address_len)
		ckpt_netlink_put(&m, IFA_ADDRESS, a->address, a->address_len);
	if (a->local_len)
		ckpt_netlink_put(&m, IFA_LOCAL, a->local, a->local_len);
	if (a->broadcast_len)
		ckpt_netlink_put(&m, IFA_BROADCAST, a->broadcast, a->broadcast_len);
	if (a->label)
		ckpt_netlink_put(&m, IFA_LABEL, a->label, strlen(a->label) + 1);
	if (asked)
		ckpt_netlink_put(&m, IFA_FLAGS, &asked, sizeof(asked));
	if (a->metric)
		ckpt_netlink_put(&m, IFA_RT_PRIORITY, &a->metric, sizeof(a->metric));
	if (protocol)
		ckpt_netlink_put(&m, IFA_PROTO, &protocol, sizeof(protocol));
	return ckpt_netlink_tell(fd, &m);
}

static bool same_bytes(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
	return a_len == b_len && (!a_len || !memcmp(a, b, a_len));
}

/* Not every kernel says that one is its own. */
static bool same_protocol(const struct ckpt_net_address *a, const struct ckpt_net_address *b)
{
	return a->protocol == b->protocol ||
	       (a->protocol <= KERNEL_PROTOCOLS && b->protocol <= KERNEL_PROTOCOLS);
}

static bool same_address(const struct ckpt_net_address *a, const struct ckpt_net_address *b)
{
	return a->family == b->family && a->prefix == b->prefix && a->scope == b->scope &&
	       a->flags == b->flags && a->metric == b->metric && same_protocol(a, b) &&
	       same_bytes(a->address, a->address_len, b->address, b->address_len) &&
	       same_bytes(a->local, a->local_len, b->local, b->local_len) &&
	       same_bytes(a->broadcast, a->broadcast_len, b->broadcast, b->broadcast_len) &&
	       !strcmp(a->label ? a->label : "", b->label ? b->label : "");
}

bool ckpt_net_same_lo(const struct ckpt_net *a, const struct ckpt_net *b)
{
	if (a->up != b->up || a->mtu != b->mtu || a->queue != b->queue ||
	    a->n_addresses != b->n_addresses)
		return false;
	for (size_t i = 0; i < a->n_addresses; i++) {
		if (!same_address(&a->addresses[i], &b->addresses[i]))
			return false;
	}
	return true;
}

static const struct ckpt_net_address *find(const struct ckpt_net *net,
					   const struct ckpt_net_address *a)
{
	for (size_t i = 0; i < net->n_addresses; i++) {
		if (same_address(&net->addresses[i], a))
			return &net->addresses[i];
	}
	return NULL;
}

static int add(int fd, const struct ckpt_net *now, const struct ckpt_net_address *a,
	       uint32_t family, bool all)
{
	return a->family == family && (all || !find(now, a)) ?
	       order(fd, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, a) : 0;
}

/*
 * From addresses @now to those of @net, where a new one is the last (IPv4) or the first (IPv6).
 * @all: none stays, for the sake of their order.
 * Return: 0 or an errno.
 */
static int replace(int fd, const struct ckpt_net *now, const struct ckpt_net *net, bool all)
{
	int e = 0;

	for (size_t i = 0; i < now->n_addresses && !e; i++) {
		if (all || !find(net, &now->addresses[i]))
			e = order(fd, RTM_DELADDR, 0, &now->addresses[i]);
		/* it has gone with the one before */
		e = e == EADDRNOTAVAIL ? 0 : e;
	}
	for (size_t i = 0; i < net->n_addresses && !e; i++)
		e = add(fd, now, &net->addresses[i], AF_INET, all);
	for (size_t i = net->n_addresses; i-- && !e;)
		e = add(fd, now, &net->addresses[i], AF_INET6, all);
	return e;
}

/* Lo came with some; as few as possible are made by us, who cannot do all that the kernel can. */
static int set_addresses(int fd, const struct ckpt_net *net, struct ckpt_err *err)
{
	int e = 0;

	for (int tries = 0; tries < 3; tries++) {
		cleanup_with(ckpt_net_done) struct ckpt_net now = { 0 };

		if (ckpt_net_lo_get(fd, SETTLE_MS, &now, err))
			return -1;
		if (ckpt_net_same_lo(&now, net))
			return 0;
		e = tries < 2 ? replace(fd, &now, net, tries) : e;
	}
	return ckpt_fail(err, CKPT_REFUSED, e, "the addresses of the tree's network namespace "
			 "cannot be made here");
}

int ckpt_net_set(const struct ckpt_net *net, struct ckpt_err *err)
{
	cleanup_close int fd = ckpt_net_open(err);

	/* a new size of packets makes some settings anew, and some settings take addresses away */
	return fd < 0 || set_link(fd, net, err) || ckpt_net_settings_set(net, err) ||
	       set_addresses(fd, net, err) ? -1 : 0;
}

int ckpt_net_verify(const struct ckpt_net *net, struct ckpt_err *err)
{
	cleanup_with(ckpt_net_done) struct ckpt_net now = { 0 };
	cleanup_close int fd = ckpt_net_open(err);

	if (fd < 0 || ckpt_net_lo_get(fd, SETTLE_MS, &now, err))
		return -1;
	return ckpt_net_same_lo(&now, net) ? ckpt_net_settings_verify(net, err) :
	       ckpt_fail(err, CKPT_DAMAGED, 0,
			 "lo of its network namespace, or an address, is another one");
}
