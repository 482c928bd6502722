// SPDX-License-Identifier: GPL-2.0-or-later
/* Network namespace of a tree's own: lo and its addresses, as they are. */
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

#define LO 1	/* the number of lo in every namespace */
#define TRIES 8
#define SETTLE_MS 200

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

static int get_lists(int fd, struct ckpt_net *net, struct ckpt_err *err)
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
	return 0;
}

/**
 * struct routes - which addresses of lo have the route that comes with them
 * @found: by the number of the address
 */
struct routes {
	const struct ckpt_net *net;
	bool *found;
};

static int get_route(const struct nlmsghdr *m, void *arg, struct ckpt_err *err)
{
	const struct rtmsg *info = NLMSG_DATA(m);
	const struct routes *r = arg;
	const struct rtattr *a;
	int left;

	(void)err;
	if (m->nlmsg_type != RTM_NEWROUTE || info->rtm_type != RTN_LOCAL)
		return 0;
	CKPT_NETLINK_EACH(a, left, m, sizeof(*info)) {
		for (size_t i = 0; a->rta_type == RTA_DST && i < r->net->n_addresses; i++) {
			const struct ckpt_net_address *one = &r->net->addresses[i];
			const uint8_t *own = one->local_len ? one->local : one->address;

			if (RTA_PAYLOAD(a) == 16 && one->family == AF_INET6 &&
			    !memcmp(RTA_DATA(a), own, 16))
				r->found[i] = true;
		}
	}
	return 0;
}

/* Return: 1 when each address in use has its route, 0 when one has not; or -1. */
static int have_routes(int fd, const struct ckpt_net *net, struct ckpt_err *err)
{
	const struct rtmsg any = { .rtm_family = AF_INET6 };
	cleanup_free bool *found = calloc(net->n_addresses + 1, sizeof(*found));
	struct routes r = { .net = net, .found = found };
	struct ckpt_netlink_message m;
	bool all = true, again = false;
	int e;

	if (!found)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for addresses");
	ckpt_netlink_begin(&m, RTM_GETROUTE, NLM_F_DUMP, &any, sizeof(any));
	e = ckpt_netlink_list(fd, &m, get_route, &r, &again, err);
	for (size_t i = 0; i < net->n_addresses; i++)
		all &= found[i] || net->addresses[i].family != AF_INET6 ||
		       net->addresses[i].flags & IFA_F_DADFAILED;
	return e < 0 ? -1 : e || (all && !again);
}

/*
 * Lo as one moment shows it. @ret_settled: none of its addresses is about to be taken in use: of
 * one without DAD no flag says so, but its route is not there.
 */
static int get_once(int fd, struct ckpt_net *net, bool *ret_settled, struct ckpt_err *err)
{
	bool tentative = false;
	int routes = 1;

	if (get_lists(fd, net, err))
		return -1;
	for (size_t i = 0; i < net->n_addresses; i++) {
		tentative |= net->addresses[i].flags & IFA_F_TENTATIVE;
		net->addresses[i].flags &= ~IFA_F_TENTATIVE;
	}
	if (net->up && !tentative)
		routes = have_routes(fd, net, err);
	*ret_settled = !net->up || (!tentative && routes);
	return routes < 0 ? -1 : 0;
}

/* The kernel takes an IPv6 address in use, and makes its route, a moment after it was asked. */
int ckpt_net_lo_get(int fd, unsigned int ms, struct ckpt_net *net, struct ckpt_err *err)
{
	bool settled = false;

	for (unsigned int tries = 0; !settled && tries < ms; tries++) {
		if (tries)
			ckpt_sleep_us(1000);
		if (get_once(fd, net, &settled, err))
			return -1;
	}
	return 0;
}

int ckpt_net_open(struct ckpt_err *err)
{
	int fd = ckpt_netlink_open(NETLINK_ROUTE);

	return fd < 0 ? ckpt_fail(err, CKPT_FAILED, errno, "cannot ask about networks") : fd;
}

int ckpt_net_get(struct ckpt_net *ret, struct ckpt_err *err)
{
	cleanup_close int fd = ckpt_net_open(err);

	return fd < 0 || ckpt_net_lo_get(fd, SETTLE_MS, ret, err) ||
	       ckpt_net_settings_get(ret, err) ? -1 : 0;
}
