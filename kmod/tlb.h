/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The TLB flush that ends a round
 */
#ifndef _CKPT_TLB_H
#define _CKPT_TLB_H

void ckpt_tlb_flush(void);

#endif
