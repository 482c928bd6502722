/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where memory has moved to
 */
#ifndef _CKPT_MOVES_H
#define _CKPT_MOVES_H

#include <linux/types.h>

void ckpt_moves_init(void);
void ckpt_moves_exit(void);
bool ckpt_moves_heard(void);
unsigned long ckpt_moves_missed(void);

#endif
