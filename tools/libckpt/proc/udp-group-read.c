// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Multicast groups of a socket
 *
 * The kernel lists what each interface has joined, and not for whom; a socket tells of a group
 * that it is asked for whether it has joined it.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "proc/procfs.h"
#include "proc/udp-group.h"

int ckpt_udp_group(int own, uint32_t interface, const union ckpt_inet_address *group,
		   union ckpt_group_filter *ret, struct ckpt_err *err)
{
	bool v6 = group->any.sa_family == AF_INET6;
	socklen_t len = sizeof(*ret);

	memset(ret, 0, sizeof(*ret));
	ret->filter.gf_interface = interface;
	memcpy(&ret->filter.gf_group, group, v6 ? sizeof(group->v6) : sizeof(group->v4));
	ret->filter.gf_numsrc = CKPT_UDP_SOURCES_MAX;
	if (!getsockopt(own, v6 ? IPPROTO_IPV6 : IPPROTO_IP, MCAST_MSFILTER, ret, &len))
		return 1;
	/* not joined, or a socket of the other family */
	if (errno == EADDRNOTAVAIL || errno == ENOPROTOOPT || errno == EOPNOTSUPP ||
	    errno == EINVAL)
		return 0;
	return ckpt_fail(err, CKPT_FAILED, errno,
			 "cannot look at the multicast groups of a socket");
}

static void put_source(uint8_t to[16], const struct sockaddr_storage *from)
{
	if (from->ss_family == AF_INET6)
		memcpy(to, &((const struct sockaddr_in6 *)from)->sin6_addr, 16);
	else
		memcpy(to, &((const struct sockaddr_in *)from)->sin_addr, sizeof(struct in_addr));
}

static int keep(struct ckpt_udp *u, uint32_t interface, const union ckpt_inet_address *group,
		const union ckpt_group_filter *f, struct ckpt_err *err)
{
	struct ckpt_multicast *list = ckpt_grow(u->groups, &u->n_groups, sizeof(*list));
	size_t len = group->any.sa_family == AF_INET6 ? sizeof(group->v6) : sizeof(group->v4);
	char name[IF_NAMESIZE];

	if (!list)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a multicast group");
	u->groups = list;
	list += u->n_groups - 1;
	if (f->filter.gf_numsrc > CKPT_UDP_SOURCES_MAX)
		return ckpt_fail(err, CKPT_REFUSED, 0,
			"a UDP socket has joined a multicast group with %u sources, of which this "
			"version restores %u", f->filter.gf_numsrc, CKPT_UDP_SOURCES_MAX);
	list->interface = if_indextoname(interface, name) ? strdup(name) : NULL;
	list->group = malloc(len);
	list->sources = calloc(f->filter.gf_numsrc + 1, sizeof(*list->sources));
	if (!list->interface || !list->group || !list->sources)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a multicast group");
	memcpy(list->group, group, len);
	list->group_len = len;
	list->excludes = f->filter.gf_fmode == MCAST_EXCLUDE;
	list->n_sources = f->filter.gf_numsrc;
	for (uint32_t i = 0; i < f->filter.gf_numsrc; i++)
		put_source(list->sources[i], &f->filter.gf_slist[i]);
	return 0;
}

static int ask(int own, struct ckpt_udp *u, uint32_t interface,
	       const union ckpt_inet_address *group, struct ckpt_err *err)
{
	union ckpt_group_filter f;
	int joined = ckpt_udp_group(own, interface, group, &f, err);

	return joined <= 0 ? joined : keep(u, interface, group, &f, err);
}

/* Lines of /proc/net/igmp: an interface, and below it a group for each line. */
static int read_v4(int own, struct ckpt_udp *u, const char *text, struct ckpt_err *err)
{
	uint32_t interface = 0;
	char line[256];

	for (const char *at = text; *at; at += strcspn(at, "\n"), at += *at == '\n') {
		union ckpt_inet_address group = { .v4 = { .sin_family = AF_INET } };
		size_t n = strcspn(at, "\n");
		uint32_t address;

		snprintf(line, sizeof(line), "%.*s", (int)n, at);
		if (line[0] != '\t') {
			interface = strtoul(line, NULL, 10);
			continue;
		}
		if (sscanf(line, " %8x", &address) != 1)
			continue;
		group.v4.sin_addr.s_addr = address;
		if (ask(own, u, interface, &group, err))
			return -1;
	}
	return 0;
}

/* A line of /proc/net/igmp6: index, name, group, users, ... */
static int read_v6(int own, struct ckpt_udp *u, const char *text, struct ckpt_err *err)
{
	for (const char *at = text; *at; at += strcspn(at, "\n"), at += *at == '\n') {
		union ckpt_inet_address group = { .v6 = { .sin6_family = AF_INET6 } };
		uint32_t interface;
		char hex[33];

		if (sscanf(at, "%u %*s %32s", &interface, hex) != 2 || strlen(hex) != 32)
			continue;
		for (int i = 0; i < 16; i++) {
			char byte[3] = { hex[2 * i], hex[2 * i + 1] };

			group.v6.sin6_addr.s6_addr[i] = strtoul(byte, NULL, 16);
		}
		if (ask(own, u, interface, &group, err))
			return -1;
	}
	return 0;
}

/* Of the network namespace that this thread is in, which is that of the tree. */
static int list(const char *path, struct ckpt_buf *text, struct ckpt_err *err)
{
	int r = ckpt_procfs_read(AT_FDCWD, path, text);

	/* a kernel without the family has no such list */
	if (r == -ENOENT)
		return 0;
	return r ? ckpt_fail(err, CKPT_FAILED, -r, "cannot read %s", path) : 1;
}

int ckpt_udp_groups(int own, struct ckpt_udp *ret, struct ckpt_err *err)
{
	cleanup_buf struct ckpt_buf text = CKPT_BUF_INIT;
	int there = list("/proc/thread-self/net/igmp", &text, err);

	if (there < 0 || (there && read_v4(own, ret, (const char *)text.data, err)))
		return -1;
	there = list("/proc/thread-self/net/igmp6", &text, err);
	return there < 0 || (there && read_v6(own, ret, (const char *)text.data, err)) ? -1 : 0;
}
