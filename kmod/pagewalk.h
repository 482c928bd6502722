/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One walk over an address space: read and clear
 */
#ifndef _CKPT_PAGEWALK_H
#define _CKPT_PAGEWALK_H

#include <linux/types.h>

struct ckpt_mm;
struct ckpt_told;

int ckpt_walk_mm(struct ckpt_mm *m, bool final, struct ckpt_told *told);

#endif
