/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Multicast groups: what is joined, as the kernel tells it of a socket that is asked for it. */
#ifndef CKPT_PROC_UDP_GROUP_H
#define CKPT_PROC_UDP_GROUP_H

#include <netinet/in.h>

#include "proc/udp.h"

/* Room for a filter with as many sources as can be kept. */
union ckpt_group_filter {
	struct group_filter filter;
	char room[GROUP_FILTER_SIZE(CKPT_UDP_SOURCES_MAX)];
};

/* udp-group-read.c: has @own joined @group on an interface? 1 with its sources, 0, -1 */
int ckpt_udp_group(int own, uint32_t interface, const union ckpt_inet_address *group,
		   union ckpt_group_filter *ret, struct ckpt_err *err);

#endif
