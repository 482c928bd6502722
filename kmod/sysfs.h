/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The module's folder in sysfs
 */
#ifndef _CKPT_SYSFS_H
#define _CKPT_SYSFS_H

struct ckpt_group;

int ckpt_sysfs_init(void);
void ckpt_sysfs_close_doors(void);
void ckpt_sysfs_exit(void);

void ckpt_sysfs_group_init(struct ckpt_group *group);
int ckpt_sysfs_group_add(struct ckpt_group *group);
void ckpt_sysfs_group_del(struct ckpt_group *group);

#endif
