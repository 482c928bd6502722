/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where memory has moved to
 */
#ifndef _CKPT_MOVES_H
#define _CKPT_MOVES_H

struct ckpt_mm;

void ckpt_moves_init(void);
void ckpt_moves_exit(void);
void ckpt_moves_take(struct ckpt_mm *m);

#endif
