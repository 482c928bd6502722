/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An argument that no call has: the result of the call before; as a word of 32 bits, extended. */
#ifndef CKPT_PROC_INJECT_VALUE_H
#define CKPT_PROC_INJECT_VALUE_H

#define CKPT_INJECT_LAST_VALUE (-0x7fffffff - 1)

#endif
