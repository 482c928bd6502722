/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the two files of the sysfs door share
 */
#ifndef _CKPT_SYSFS_PARTS_H
#define _CKPT_SYSFS_PARTS_H

#include <linux/types.h>

struct kobject;

extern struct kobject *ckpt_sysfs_groups;
bool ckpt_sysfs_may_change(void);

#endif
