/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which files of a tree must be read quietly (base/quiet.h). */
#ifndef CKPT_PROC_QUIET_H
#define CKPT_PROC_QUIET_H

#include "base/quiet.h"

/**
 * ckpt_quiet_read - what processes watch, and which leases there are
 * @pids: of the tree, which may run; who is gone is passed over
 * @ret: as it was, but for what is found: emptied first
 */
int ckpt_quiet_read(const int32_t *pids, size_t n, struct ckpt_quiet *ret, struct ckpt_err *err);
/* The same of leases alone, of all processes; what is watched stays. */
int ckpt_quiet_read_leases(const int32_t *pids, size_t n, struct ckpt_quiet *ret,
			   struct ckpt_err *err);

/* A process and all below it. @ret: allocated. */
int ckpt_quiet_tree(int32_t root, int32_t **ret, size_t *ret_n, struct ckpt_err *err);

#endif
