/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stand-ins: see stand-in-build.c. */
#ifndef CKPT_PROC_STAND_IN_H
#define CKPT_PROC_STAND_IN_H

#include "proc/build.h"

/**
 * struct ckpt_stand_in - a process that plays another one while files are made
 * @site: it makes calls; its descriptors are those of init
 * @pid: in the tree, 0: any
 * @there: it exists
 */
struct ckpt_stand_in {
	struct ckpt_site site;
	int32_t pid;
	bool there;
};

/* @flags: CLONE_* beside those that it always has */
int ckpt_stand_in_raise(struct ckpt_restore *r, int32_t pid, uint64_t flags,
			struct ckpt_stand_in *ret, struct ckpt_err *err);
int ckpt_stand_in_dress(const struct ckpt_stand_in *in, uint32_t uid, uint32_t gid,
			const uint32_t *groups, size_t n, struct ckpt_err *err);
/* End it; nothing to do where it is not there. */
int ckpt_stand_in_lay(struct ckpt_restore *r, struct ckpt_stand_in *in, struct ckpt_err *err);

#endif
