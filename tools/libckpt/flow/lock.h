/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lock of a name: one ckpt-tool at a time starts, restores, checkpoints or tags a group. */
#ifndef CKPT_FLOW_LOCK_H
#define CKPT_FLOW_LOCK_H

#include "base/err.h"

/**
 * ckpt_lock_name - take the lock of a group, or fail at once
 * @ret_fd: to be closed; the lock goes with it and with the process
 *
 * The keeper of a checkpoint has it open as well (proc/stop.h, keep_fd), so that
 * it is held until the keeper of a killed ckpt-tool has put everything back.  Init
 * does not.
 *
 * Return: 0, or -1 with CKPT_REFUSED when somebody else works on the group.
 */
int ckpt_lock_name(const char *name, int *ret_fd, struct ckpt_err *err);

#endif
