/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Settings of an ipc namespace: those of /proc/sys that each has for itself. */
#ifndef CKPT_PROC_IPC_H
#define CKPT_PROC_IPC_H

#include "proc/image.h"

/* The longest value. */
#define CKPT_IPC_VALUE_MAX 64
/* Segments that a new namespace takes; it has no limit else that one could exceed. */
#define CKPT_IPC_SEGMENTS 4096

/* Place of a setting in the order of the image, or -1: there is no such. */
int ckpt_ipc_place(const char *name);
/* Of the namespace that this thread is in; what this kernel lacks is left out. */
int ckpt_ipc_get(struct ckpt_ipc *ret, struct ckpt_err *err);
/* Write those that are not so yet. */
int ckpt_ipc_set(const struct ckpt_ipc *ipc, struct ckpt_err *err);

#endif
