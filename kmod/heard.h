/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What only probes tell of an address space
 */
#ifndef _CKPT_HEARD_H
#define _CKPT_HEARD_H

struct ckpt_mm;

void ckpt_heard_init(void);
void ckpt_heard_exit(void);
void ckpt_heard_take(struct ckpt_mm *m);

#endif
