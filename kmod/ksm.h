/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where KSM begins to work on an address space
 */
#ifndef _CKPT_KSM_H
#define _CKPT_KSM_H

int ckpt_ksm_init(void);
void ckpt_ksm_exit(void);

#endif
