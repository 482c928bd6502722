// SPDX-License-Identifier: GPL-2.0-or-later
/* Network namespace of a tree's own: lo and its addresses, as they are and made so. */
#include <errno.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "proc/image-fields.h"
#include "proc/net.h"
#include "proc/netlink.h"
#include "proc/procfs.h"

#ifndef IFA_PROTO
#define IFA_PROTO 11
#endif

#define KERNEL_PROTOCOLS 3	/* IFAPROT_KERNEL_LO, _RA and _LL, and none */
#define LO 1	/* the number of lo in every namespace */
#define TRIES 8
#define SETTLE_TRIES 200
/* Flags of an address that are asked for; the others come by themselves. */
#define ASKED (IFA_F_NODAD | IFA_F_HOMEADDRESS | IFA_F_MANAGETEMPADDR | IFA_F_NOPREFIXROUTE | \
	       IFA_F_MCAUTOJOIN | IFA_F_STABLE_PRIVACY)

void ckpt_net_done(struct ckpt_net *net)
{
	ckpt_shape_done(&ckpt_net_shape, net);
}

static bool copy_bytes(const uint8_t *data, size_t len, uint8_t **ret, size_t *ret_len)
{
	*ret = malloc(len + 1);
	*ret_len = len;
	if (*ret && len)
		memcpy(*ret, data, len);
	return *ret;
}

static bool copy_text(const char *text, char **ret)
{
	*ret = text ? strdup(text) : NULL;
	return !text || *ret;
}

static bool copy_address(const struct ckpt_net_address *from, struct ckpt_net_address *to)
{
	to->family = from->family;
	to->prefix = from->prefix;
	to->scope = from->scope;
	to->flags = from->flags;
	to->metric = from->metric;
	to->protocol = from->protocol;
	return copy_bytes(from->address, from->address_len, &to->address, &to->address_len) &&
	       copy_bytes(from->local, from->local_len, &to->local, &to->local_len) &&
	       copy_bytes(from->broadcast, from->broadcast_len, &to->broadcast,
			  &to->broadcast_len) && copy_text(from->label, &to->label);
}

int ckpt_net_copy(const struct ckpt_net *net, struct ckpt_net *ret, struct ckpt_err *err)
{
	*ret = (struct ckpt_net){ .up = net->up, .mtu = net->mtu, .queue = net->queue };
	ret->addresses = calloc(net->n_addresses + 1, sizeof(*ret->addresses));
	ret->settings = calloc(net->n_settings + 1, sizeof(*ret->settings));
	if (!ret->addresses || !ret->settings)
		goto fail;
	for (; ret->n_addresses < net->n_addresses; ret->n_addresses++) {
		if (!copy_address(&net->addresses[ret->n_addresses],
				  &ret->addresses[ret->n_addresses]))
			goto fail;
	}
	for (; ret->n_settings < net->n_settings; ret->n_settings++) {
		const struct ckpt_net_setting *from = &net->settings[ret->n_settings];
		struct ckpt_net_setting *to = &ret->settings[ret->n_settings];

		to->usual = from->usual;
		if (!copy_text(from->name, &to->name) || !copy_text(from->value, &to->value))
			goto fail;
	}
	return 0;
fail:
	ckpt_net_done(ret);
	return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a network namespace");
}

static int get_link(const struct nlmsghdr *m, void *arg, struct ckpt_err *err)
{
	const struct ifinfomsg *info = NLMSG_DATA(m);
	struct ckpt_net *net = arg;
	const struct rtattr *a;
	int left;

	(void)err;
	if (m->nlmsg_type != RTM_NEWLINK || info->ifi_index != LO)
		return 0;
	net->up = info->ifi_flags & IFF_UP;
	CKPT_NETLINK_EACH(a, left, m, sizeof(*info)) {
		if (a->rta_type == IFLA_MTU)
			memcpy(&net->mtu, RTA_DATA(a), sizeof(net->mtu));
		if (a->rta_type == IFLA_TXQLEN)
			memcpy(&net->queue, RTA_DATA(a), sizeof(net->queue));
	}
	return 0;
}

/* Return: whether there was memory for it. */
static bool take_attribute(struct ckpt_net_address *to, const struct rtattr *a)
{
	const uint8_t *data = RTA_DATA(a);
	size_t len = RTA_PAYLOAD(a);

	switch (a->rta_type) {
	case IFA_ADDRESS:
		return copy_bytes(data, len, &to->address, &to->address_len);
	case IFA_LOCAL:
		return copy_bytes(data, len, &to->local, &to->local_len);
	case IFA_BROADCAST:
		return copy_bytes(data, len, &to->broadcast, &to->broadcast_len);
	case IFA_LABEL:
		to->label = strndup((const char *)data, len);
		return to->label;
	case IFA_FLAGS:
		memcpy(&to->flags, data, sizeof(to->flags));
		break;
	case IFA_RT_PRIORITY:
		memcpy(&to->metric, data, sizeof(to->metric));
		break;
	case IFA_PROTO:
		to->protocol = *data;
		break;
	}
	return true;
}

/* Of one that is deprecated already the flag says so; one that ends is refused for that. */
static bool for_ever(const struct ckpt_net_address *address, const void *cache)
{
	struct ifa_cacheinfo times;

	memcpy(&times, cache, sizeof(times));
	return times.ifa_valid != UINT32_MAX || times.ifa_prefered == UINT32_MAX ||
	       address->flags & IFA_F_DEPRECATED;
}

static int get_address(const struct nlmsghdr *m, void *arg, struct ckpt_err *err)
{
	const struct ifaddrmsg *info = NLMSG_DATA(m);
	struct ckpt_net *net = arg;
	struct ckpt_net_address *list;
	const struct rtattr *a;
	int left;

	if (m->nlmsg_type != RTM_NEWADDR || info->ifa_index != LO)
		return 0;
	list = ckpt_grow(net->addresses, &net->n_addresses, sizeof(*list));
	if (!list)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for addresses");
	net->addresses = list;
	list += net->n_addresses - 1;
	list->family = info->ifa_family;
	list->prefix = info->ifa_prefixlen;
	list->scope = info->ifa_scope;
	list->flags = info->ifa_flags;
	CKPT_NETLINK_EACH(a, left, m, sizeof(*info)) {
		if (!take_attribute(list, a))
			return ckpt_fail(err, CKPT_FAILED, 0, "no memory for addresses");
		if (a->rta_type == IFA_CACHEINFO && !for_ever(list, RTA_DATA(a)))
			return ckpt_fail(err, CKPT_REFUSED, 0,
				"the tree has a network namespace of its own with an address of lo "
				"that is preferred for a time only, which cannot be made again");
	}
	return 0;
}

static void forget_addresses(struct ckpt_net *net)
{
	struct ckpt_net all = { .addresses = net->addresses, .n_addresses = net->n_addresses };

	ckpt_net_done(&all);
	net->addresses = NULL;
	net->n_addresses = 0;
}

/* Lo as one moment shows it. @ret_settled: none of its addresses is about to be taken in use. */
static int get_once(int fd, struct ckpt_net *net, bool *ret_settled, struct ckpt_err *err)
{
	const struct ifinfomsg any_link = { .ifi_family = AF_UNSPEC };
	const struct ifaddrmsg any_address = { .ifa_family = AF_UNSPEC };
	struct ckpt_netlink_message links, addresses;
	bool again = true;
	int e = 0;

	ckpt_netlink_begin(&links, RTM_GETLINK, NLM_F_DUMP, &any_link, sizeof(any_link));
	ckpt_netlink_begin(&addresses, RTM_GETADDR, NLM_F_DUMP, &any_address,
			   sizeof(any_address));
	for (int tries = 0; again && tries < TRIES && !e; tries++) {
		bool moved;

		forget_addresses(net);
		e = ckpt_netlink_list(fd, &links, get_link, net, &moved, err);
		if (!e)
			e = ckpt_netlink_list(fd, &addresses, get_address, net, &again, err);
		again |= moved;
	}
	if (e < 0)
		return -1;
	if (e > 0 || again)
		return ckpt_fail(err, CKPT_FAILED, e,
				 "cannot read the addresses of the tree's network namespace");
	*ret_settled = true;
	for (size_t i = 0; i < net->n_addresses; i++) {
		if (net->addresses[i].flags & IFA_F_TENTATIVE)
			*ret_settled = !net->up;
		net->addresses[i].flags &= ~IFA_F_TENTATIVE;
	}
	return 0;
}

/* The kernel takes an IPv6 address in use, and makes its route, a moment after it was asked. */
static int get_lo(int fd, struct ckpt_net *net, struct ckpt_err *err)
{
	bool settled = false;

	for (int tries = 0; !settled && tries < SETTLE_TRIES; tries++) {
		if (tries)
			ckpt_sleep_us(1000);
		if (get_once(fd, net, &settled, err))
			return -1;
	}
	return 0;
}

static int open_route(struct ckpt_err *err)
{
	int fd = ckpt_netlink_open(NETLINK_ROUTE);

	return fd < 0 ? ckpt_fail(err, CKPT_FAILED, errno, "cannot ask about networks") : fd;
}

int ckpt_net_get(struct ckpt_net *ret, struct ckpt_err *err)
{
	cleanup_close int fd = open_route(err);

	return fd < 0 || get_lo(fd, ret, err) || ckpt_net_settings_get(ret, err) ? -1 : 0;
}

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

		if (get_lo(fd, &now, err))
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
	cleanup_close int fd = open_route(err);

	/* a new size of packets makes some settings anew, and some settings take addresses away */
	return fd < 0 || set_link(fd, net, err) || ckpt_net_settings_set(net, err) ||
	       set_addresses(fd, net, err) ? -1 : 0;
}

int ckpt_net_verify(const struct ckpt_net *net, struct ckpt_err *err)
{
	cleanup_with(ckpt_net_done) struct ckpt_net now = { 0 };
	cleanup_close int fd = open_route(err);

	if (fd < 0 || get_lo(fd, &now, err))
		return -1;
	return ckpt_net_same_lo(&now, net) ? ckpt_net_settings_verify(net, err) :
	       ckpt_fail(err, CKPT_DAMAGED, 0,
			 "lo of its network namespace, or an address, is another one");
}
