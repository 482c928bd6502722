// SPDX-License-Identifier: GPL-2.0
/* 6.9 API change: a mark is added to an object instead of its connector. */
#include <linux/fsnotify_backend.h>

int probe(struct fsnotify_mark *mark, struct super_block *sb);
int probe(struct fsnotify_mark *mark, struct super_block *sb)
{
	return fsnotify_add_mark(mark, sb, FSNOTIFY_OBJ_TYPE_SB, 0);
}
