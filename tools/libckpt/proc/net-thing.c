// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is in a network namespace, thing by thing, so that two can be compared
 *
 * Nothing here knows what a route means: what a restore makes it makes in a namespace for a
 * trial as well, and what is the same there is the same after a restore.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/if.h>
#include <linux/if_addrlabel.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/net_namespace.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/nexthop.h>
#include <linux/xfrm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/net.h"
#include "proc/netlink.h"
#include "proc/procfs.h"

#define LO 1
#define TRIES 8
#define BIT(n) (1ull << (n))

enum naming { NO_NAME, TEXT, ADDRESS, NUMBER };

/**
 * struct kind - things that are listed by netlink
 * @type: of the question; @answer: of a thing
 * @head: bytes of the header of the family; @family: in it
 * @volatile_: attributes that change by themselves, or are elsewhere
 * @named: attribute that names it
 * @ask: how all is asked for
 * @bare: a question for all has no such header
 * @tidy: take out of the header what changes by itself. Return: false when it is not to be noted
 */
struct kind {
	const char *what;
	int protocol;
	uint16_t type, answer;
	uint8_t head, family;
	uint64_t volatile_;
	uint16_t named;
	enum naming naming;
	bool (*tidy)(void *head, const struct nlmsghdr *m);
	uint16_t ask;
	bool bare;
};

/* A list, or one answer with an end behind it. */
#define LIST NLM_F_DUMP
#define ONE NLM_F_ACK

static const struct rtattr *attribute(const struct nlmsghdr *m, size_t head, uint16_t type)
{
	const struct rtattr *a;
	int left;

	CKPT_NETLINK_EACH(a, left, m, head) {
		if ((a->rta_type & NLA_TYPE_MASK) == type)
			return a;
	}
	return NULL;
}

/* Of links that come and go with modules the number is a matter of chance. */
static bool tidy_link(void *head, const struct nlmsghdr *m)
{
	struct ifinfomsg *i = head;

	(void)m;
	i->ifi_flags &= ~(IFF_RUNNING | IFF_LOWER_UP | IFF_DORMANT);
	i->ifi_change = 0;
	if (i->ifi_index != LO)
		i->ifi_index = 0;
	return true;
}

/* Those of lo are not compared but made: net.c. */
static bool tidy_address(void *head, const struct nlmsghdr *m)
{
	(void)m;
	return ((struct ifaddrmsg *)head)->ifa_index != LO;
}

/* What the kernel has found out it finds out again. */
static bool tidy_neighbour(void *head, const struct nlmsghdr *m)
{
	struct ndmsg *n = head;
	const struct rtattr *a = attribute(m, sizeof(*n), NDA_LLADDR);
	bool group = a && RTA_PAYLOAD(a) && *(const uint8_t *)RTA_DATA(a) & 1;

	return (n->ndm_state & NUD_PERMANENT || n->ndm_flags & (NTF_PROXY | NTF_EXT_LEARNED)) &&
	       !(n->ndm_family == AF_BRIDGE && group);
}

/* A link without a queue says so only once it has been up. */
static bool tidy_queue(void *head, const struct nlmsghdr *m)
{
	struct tcmsg *t = head;
	const struct rtattr *a = attribute(m, sizeof(*t), TCA_KIND);

	t->tcm_info = 0;
	if (t->tcm_ifindex != LO)
		t->tcm_ifindex = 0;
	return !a || strncmp(RTA_DATA(a), "noqueue", RTA_PAYLOAD(a));
}

static bool tidy_label(void *head, const struct nlmsghdr *m)
{
	struct ifaddrlblmsg *l = head;

	(void)m;
	l->ifal_seq = 0;
	return true;
}

#define ROUTE_KIND(what_, type_, head_, family_, volatile__, named_, naming_, tidy_) \
	{ what_, NETLINK_ROUTE, RTM_GET##type_, RTM_NEW##type_, sizeof(struct head_), family_, \
	  volatile__, named_, naming_, tidy_, LIST, false }

static const struct kind kinds[] = {
	ROUTE_KIND("link", LINK, ifinfomsg, AF_UNSPEC,
		   BIT(IFLA_QDISC) | BIT(IFLA_STATS) | BIT(IFLA_OPERSTATE) | BIT(IFLA_STATS64) |
		   BIT(IFLA_AF_SPEC) | BIT(IFLA_CARRIER_CHANGES) | BIT(IFLA_CARRIER_UP_COUNT) |
		   BIT(IFLA_CARRIER_DOWN_COUNT), IFLA_IFNAME, TEXT, tidy_link),
	ROUTE_KIND("address", ADDR, ifaddrmsg, AF_UNSPEC, BIT(IFA_CACHEINFO), IFA_ADDRESS, ADDRESS,
		   tidy_address),
	ROUTE_KIND("route", ROUTE, rtmsg, AF_UNSPEC, BIT(RTA_CACHEINFO), RTA_DST, ADDRESS, NULL),
	ROUTE_KIND("rule", RULE, fib_rule_hdr, AF_UNSPEC, 0, FRA_PRIORITY, NUMBER, NULL),
	ROUTE_KIND("neighbour", NEIGH, ndmsg, AF_UNSPEC, BIT(NDA_CACHEINFO) | BIT(NDA_PROBES),
		   NDA_DST, ADDRESS, tidy_neighbour),
	ROUTE_KIND("entry of a bridge", NEIGH, ndmsg, AF_BRIDGE,
		   BIT(NDA_CACHEINFO) | BIT(NDA_PROBES), 0, NO_NAME, tidy_neighbour),
	ROUTE_KIND("nexthop", NEXTHOP, nhmsg, AF_UNSPEC, 0, NHA_ID, NUMBER, NULL),
	ROUTE_KIND("queueing discipline", QDISC, tcmsg, AF_UNSPEC,
		   BIT(TCA_STATS) | BIT(TCA_XSTATS) | BIT(TCA_STATS2), TCA_KIND, TEXT, tidy_queue),
	ROUTE_KIND("address label", ADDRLABEL, ifaddrlblmsg, AF_INET6, 0, IFAL_ADDRESS, ADDRESS,
		   tidy_label),
	ROUTE_KIND("number of another network namespace", NSID, rtgenmsg, AF_UNSPEC, 0,
		   NETNSA_NSID, NUMBER, NULL),
	{ "policy of xfrm", NETLINK_XFRM, XFRM_MSG_GETPOLICY, XFRM_MSG_NEWPOLICY,
	  sizeof(struct xfrm_userpolicy_id), AF_UNSPEC, 0, 0, NO_NAME, NULL, LIST, false },
	{ "state of xfrm", NETLINK_XFRM, XFRM_MSG_GETSA, XFRM_MSG_NEWSA,
	  sizeof(struct xfrm_usersa_id), AF_UNSPEC, 0, 0, NO_NAME, NULL, LIST, true },
	{ "default policy of xfrm", NETLINK_XFRM, XFRM_MSG_GETDEFAULT, XFRM_MSG_GETDEFAULT,
	  sizeof(struct xfrm_userpolicy_default), AF_UNSPEC, 0, 0, NO_NAME, NULL, ONE, false },
	{ "threshold of xfrm", NETLINK_XFRM, XFRM_MSG_GETSPDINFO, XFRM_MSG_NEWSPDINFO,
	  sizeof(uint32_t), AF_UNSPEC, BIT(XFRMA_SPD_INFO) | BIT(XFRMA_SPD_HINFO), 0, NO_NAME, NULL,
	  ONE, false },
	{ "table of nftables", NETLINK_NETFILTER, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETTABLE,
	  NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWTABLE, sizeof(struct nfgenmsg), AF_UNSPEC, 0,
	  NFTA_TABLE_NAME, TEXT, NULL, LIST, false },
};

/* Neighbours that we answer for are another list. */
static const struct kind proxies = ROUTE_KIND("proxied neighbour", NEIGH, ndmsg, AF_UNSPEC,
	BIT(NDA_CACHEINFO) | BIT(NDA_PROBES), NDA_DST, ADDRESS, tidy_neighbour);

struct ckpt_net_thing *ckpt_net_thing_add(struct ckpt_net_things *all, const char *what,
					  const void *bytes, size_t len, struct ckpt_err *err)
{
	struct ckpt_net_thing *list = ckpt_grow(all->list, &all->n, sizeof(*list));

	if (list) {
		all->list = list;
		list += all->n - 1;
		list->what = what;
		list->bytes = malloc(len + 1);
	}
	if (!list || !list->bytes) {
		ckpt_fail(err, CKPT_FAILED, 0, "no memory for what is in a network namespace");
		return NULL;
	}
	if (len)
		memcpy(list->bytes, bytes, len);
	list->len = len;
	return list;
}

static void set_name(struct ckpt_net_thing *t, enum naming naming, const struct rtattr *a)
{
	size_t len = RTA_PAYLOAD(a);
	uint32_t number = 0;

	if (naming == TEXT)
		snprintf(t->name, sizeof(t->name), "%.*s", (int)len, (const char *)RTA_DATA(a));
	else if (naming == ADDRESS && (len == 4 || len == 16))
		inet_ntop(len == 4 ? AF_INET : AF_INET6, RTA_DATA(a), t->name, sizeof(t->name));
	else if (naming == NUMBER && len == sizeof(number))
		snprintf(t->name, sizeof(t->name), "%u",
			 *(const uint32_t *)memcpy(&number, RTA_DATA(a), sizeof(number)));
}

/**
 * struct listing - of one kind
 * @all: where it goes
 */
struct listing {
	const struct kind *kind;
	struct ckpt_net_things *all;
};

static int take(const struct nlmsghdr *m, void *arg, struct ckpt_err *err)
{
	cleanup_buf struct ckpt_buf b = CKPT_BUF_INIT;
	const struct listing *l = arg;
	const struct kind *k = l->kind;
	struct ckpt_net_thing *t;
	const struct rtattr *a;
	int left;

	if (m->nlmsg_type != k->answer || m->nlmsg_len < (uint32_t)NLMSG_LENGTH(k->head))
		return 0;
	ckpt_buf_put(&b, NLMSG_DATA(m), k->head);
	if (b.failed)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for an answer");
	if (k->tidy && !k->tidy(b.data, m))
		return 0;
	CKPT_NETLINK_EACH(a, left, m, k->head) {
		uint16_t type = a->rta_type & NLA_TYPE_MASK;

		if (type >= 64 || !(k->volatile_ & BIT(type)))
			ckpt_buf_put(&b, a, a->rta_len);
	}
	t = b.failed ? NULL : ckpt_net_thing_add(l->all, k->what, b.data, b.len, err);
	if (!t)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for an answer");
	a = k->naming ? attribute(m, k->head, k->named) : NULL;
	if (a)
		set_name(t, k->naming, a);
	return 0;
}

static void cut(struct ckpt_net_things *all, size_t n)
{
	while (all->n > n)
		free(all->list[--all->n].bytes);
}

/* What this kernel cannot list it does not have; a want of memory says nothing. */
static bool has_none(int e)
{
	return !e || e == EOPNOTSUPP || e == EPROTONOSUPPORT || e == EAFNOSUPPORT || e == EINVAL ||
	       e == ENOENT || e == ENODEV;
}

static int list_kind(struct ckpt_net_things *all, const struct kind *k, uint8_t flags,
		     struct ckpt_err *err)
{
	cleanup_close int fd = ckpt_netlink_open(k->protocol);
	struct listing l = { .kind = k, .all = all };
	struct ckpt_netlink_message m;
	uint8_t head[64] = { k->family };
	size_t before = all->n;
	bool again = true;
	int e = 0;

	if (fd < 0)
		return has_none(errno) ? 0 :
		       ckpt_fail(err, CKPT_FAILED, errno, "cannot ask for each %s", k->what);
	if (flags)
		((struct ndmsg *)head)->ndm_flags = flags;
	for (int tries = 0; again && tries < TRIES && !e; tries++) {
		cut(all, before);
		ckpt_netlink_begin(&m, k->type, k->ask, head, k->bare ? 0 : k->head);
		e = ckpt_netlink_list(fd, &m, take, &l, &again, err);
	}
	if (e < 0)
		return -1;
	if (again || !has_none(e))
		return ckpt_fail(err, CKPT_FAILED, e, "cannot list each %s", k->what);
	return 0;
}

static int compare(const struct ckpt_net_thing *a, const struct ckpt_net_thing *b)
{
	size_t len = a->len < b->len ? a->len : b->len;
	int order = strcmp(a->what, b->what);

	if (!order)
		order = strcmp(a->name, b->name);
	if (!order)
		order = memcmp(a->bytes, b->bytes, len);
	return order ? order : (a->len > b->len) - (a->len < b->len);
}

static int by_all(const void *a, const void *b)
{
	return compare(a, b);
}

int ckpt_net_things_get(struct ckpt_net_things *ret, struct ckpt_err *err)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (list_kind(ret, &kinds[i], 0, err))
			return -1;
	}
	if (list_kind(ret, &proxies, NTF_PROXY, err) || ckpt_net_unlisted_get(ret, err))
		return -1;
	if (ret->n)
		qsort(ret->list, ret->n, sizeof(*ret->list), by_all);
	return 0;
}

void ckpt_net_things_done(struct ckpt_net_things *things)
{
	cut(things, 0);
	free(things->list);
	*things = (struct ckpt_net_things){ 0 };
}

int ckpt_net_things_differ(const struct ckpt_net_things *a, size_t *i,
			   const struct ckpt_net_things *b, size_t *j,
			   const struct ckpt_net_thing **ret_a,
			   const struct ckpt_net_thing **ret_b)
{
	while (*i < a->n || *j < b->n) {
		int order = *i == a->n ? 1 : *j == b->n ? -1 :
			    compare(&a->list[*i], &b->list[*j]);

		*ret_a = order <= 0 ? &a->list[(*i)++] : NULL;
		*ret_b = order >= 0 ? &b->list[(*j)++] : NULL;
		if (order)
			return 1;
	}
	return 0;
}
