/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Limits of a group's cgroup: kept with a checkpoint, put back by a restore
 *
 * As text: a line "FILE VALUE" for each line of a file that is not its default.
 */
#ifndef CKPT_FLOW_LIMITS_H
#define CKPT_FLOW_LIMITS_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

/* Append the limits of @cgroup to @ret. */
int ckpt_limits_read(const char *cgroup, struct ckpt_buf *ret, struct ckpt_err *err);
/**
 * ckpt_limits_check - can @cgroup, made anew, have these limits?
 * @dry: change nothing; what needs a parent or a controller that a restore would
 *	make or enable is then not tried
 *
 * Makes the parents of @cgroup, enables in them the controllers that are needed,
 * and writes every limit into a cgroup "<@cgroup>+limits", which is removed again.
 *
 * Return: 0, or -1 with CKPT_REFUSED naming the file, its value and why not.
 */
int ckpt_limits_check(const char *cgroup, const char *text, size_t len, bool dry,
		      struct ckpt_err *err);
/* The value of @file among them, allocated; *ret NULL: it is not limited. */
int ckpt_limits_find(const char *text, size_t len, const char *file, char **ret,
		     struct ckpt_err *err);
/* Before the tree is built: all but what would bound the building as well. */
int ckpt_limits_write(const char *cgroup, const char *text, size_t len, struct ckpt_err *err);
/* The rest (pids.max, cgroup.max.*), once it is built. */
int ckpt_limits_write_late(const char *cgroup, const char *text, size_t len, struct ckpt_err *err);

#endif
