/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Host and domain name of a tree in a uts namespace of its own. */
#ifndef CKPT_PROC_UTS_H
#define CKPT_PROC_UTS_H

#include "proc/image.h"
#include "proc/inside.h"

/* Those of this process. Return: 0, or -1. */
int ckpt_uts_get(struct ckpt_uts *ret, struct ckpt_err *err);
/* Of this process, and all who share its uts namespace. Return: 0, or -1 with errno. */
int ckpt_uts_set(const struct ckpt_uts *uts);

#endif
