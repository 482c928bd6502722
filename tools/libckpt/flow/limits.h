/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Limits of a group's cgroup: kept with a checkpoint, put back by a restore
 *
 * As text: a line "FILE VALUE" for each line of a file that is not its default.
 */
#ifndef CKPT_FLOW_LIMITS_H
#define CKPT_FLOW_LIMITS_H

#include "base/buf.h"
#include "base/err.h"

/* Append the limits of @cgroup to @ret. */
int ckpt_limits_read(const char *cgroup, struct ckpt_buf *ret, struct ckpt_err *err);
/*
 * Can @cgroup, made anew, have these limits?
 * Return: 0, or -1 with CKPT_REFUSED naming the controller that is missing.
 */
int ckpt_limits_check(const char *cgroup, const char *text, size_t len, struct ckpt_err *err);
int ckpt_limits_write(const char *cgroup, const char *text, size_t len, struct ckpt_err *err);

#endif
