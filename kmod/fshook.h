/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Hooks at the kernel's event functions
 */
#ifndef _CKPT_FSHOOK_H
#define _CKPT_FSHOOK_H

#include <linux/fs.h>

bool ckpt_fshook_get(void);
void ckpt_fshook_put(void);
bool ckpt_fshook_hears(struct super_block *sb);
void ckpt_fshook_exit(void);

#endif
