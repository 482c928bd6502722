// SPDX-License-Identifier: GPL-2.0
/* 6.7 API change: a dump finds its attributes through genl_info_dump. */
#include <net/genetlink.h>

struct nlattr **probe(struct netlink_callback *cb);
struct nlattr **probe(struct netlink_callback *cb)
{
	return genl_info_dump(cb)->attrs;
}
