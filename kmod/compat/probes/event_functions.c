// SPDX-License-Identifier: GPL-2.0
/* The functions that every event passes, with the arguments that fshook.c takes from them. */
#include <linux/fsnotify_backend.h>

int (*probe_parent)(struct dentry *dentry, __u32 mask, const void *data,
		    int data_type) = __fsnotify_parent;
int (*probe_event)(__u32 mask, const void *data, int data_type, struct inode *dir,
		   const struct qstr *name, struct inode *inode, u32 cookie) = fsnotify;
