// SPDX-License-Identifier: GPL-2.0-or-later
/* Multicast groups: joined again, and compared. */
#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>

#include "proc/udp-group.h"

static int level_of(const struct ckpt_multicast *m)
{
	return m->group_len == sizeof(struct sockaddr_in6) ? IPPROTO_IPV6 : IPPROTO_IP;
}

static void get_source(const struct ckpt_multicast *m, size_t i, struct sockaddr_storage *to)
{
	const uint8_t *from = m->sources[i];

	*to = (struct sockaddr_storage){ .ss_family = AF_INET };
	if (level_of(m) == IPPROTO_IPV6) {
		to->ss_family = AF_INET6;
		memcpy(&((struct sockaddr_in6 *)to)->sin6_addr, from, 16);
	} else {
		memcpy(&((struct sockaddr_in *)to)->sin_addr, from, sizeof(struct in_addr));
	}
}

static void filter_of(const struct ckpt_multicast *m, uint32_t interface,
		      union ckpt_group_filter *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->filter.gf_interface = interface;
	memcpy(&ret->filter.gf_group, m->group, m->group_len);
	ret->filter.gf_fmode = m->excludes ? MCAST_EXCLUDE : MCAST_INCLUDE;
	ret->filter.gf_numsrc = m->n_sources;
	for (size_t i = 0; i < m->n_sources; i++)
		get_source(m, i, &ret->filter.gf_slist[i]);
}

static int join(int own, const struct ckpt_multicast *m, struct ckpt_err *err)
{
	union ckpt_group_filter f;
	struct group_req req = { .gr_interface = if_nametoindex(m->interface) };

	if (!req.gr_interface)
		return ckpt_fail(err, CKPT_REFUSED, errno,
				 "a UDP socket is in a multicast group on %s, which is not here",
				 m->interface);
	memcpy(&req.gr_group, m->group, m->group_len);
	filter_of(m, req.gr_interface, &f);
	if (setsockopt(own, level_of(m), MCAST_JOIN_GROUP, &req, sizeof(req)) ||
	    ((m->n_sources || !m->excludes) &&
	     setsockopt(own, level_of(m), MCAST_MSFILTER, &f, GROUP_FILTER_SIZE(m->n_sources))))
		return ckpt_fail(err, CKPT_REFUSED, errno,
				 "a UDP socket cannot join its multicast group on %s",
				 m->interface);
	return 0;
}

int ckpt_udp_join(int own, const struct ckpt_udp *udp, struct ckpt_err *err)
{
	for (size_t i = 0; i < udp->n_groups; i++) {
		if (join(own, &udp->groups[i], err))
			return -1;
	}
	return 0;
}

int ckpt_udp_verify_groups(int own, const struct ckpt_udp *udp, struct ckpt_err *err)
{
	for (size_t i = 0; i < udp->n_groups; i++) {
		const struct ckpt_multicast *m = &udp->groups[i];
		union ckpt_inet_address group = { 0 };
		union ckpt_group_filter is, wanted;
		int joined;

		memcpy(&group, m->group, m->group_len);
		joined = ckpt_udp_group(own, if_nametoindex(m->interface), &group, &is, err);
		if (joined < 0)
			return -1;
		filter_of(m, is.filter.gf_interface, &wanted);
		if (!joined || is.filter.gf_numsrc != wanted.filter.gf_numsrc ||
		    is.filter.gf_fmode != wanted.filter.gf_fmode ||
		    (m->n_sources && memcmp(is.filter.gf_slist, wanted.filter.gf_slist,
					    m->n_sources * sizeof(is.filter.gf_slist[0]))))
			return NOT_AS_CAPTURED("a UDP socket is not in its multicast group on %s",
					       m->interface);
	}
	return 0;
}
