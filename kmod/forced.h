/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What was written by force
 */
#ifndef _CKPT_FORCED_H
#define _CKPT_FORCED_H

#include <linux/types.h>

void ckpt_forced_init(void);
void ckpt_forced_exit(void);
bool ckpt_forced_heard(void);
unsigned long ckpt_forced_missed(void);

#endif
