// SPDX-License-Identifier: GPL-2.0
/* 7.2 API change: the link among the names of an inode is in an unnamed union. */
#include <linux/dcache.h>

struct hlist_node *probe(struct dentry *dentry);
struct hlist_node *probe(struct dentry *dentry)
{
	return &dentry->d_alias;
}
