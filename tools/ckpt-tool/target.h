/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Target: the group, or the tree below a pid, that a verb looks at. */
#ifndef CKPT_TOOL_TARGET_H
#define CKPT_TOOL_TARGET_H

#include "cmd.h"
#include "flow/tagged.h"

#define TARGET_MAX_ROOTS 64

/**
 * struct target - what was named
 * @name: of the group; with a pid, of what is kept of it, or NULL
 * @pid: --pid; 0: none
 * @roots: --root, with a pid alone
 */
struct target {
	const char *name;
	int64_t pid;
	const char *roots[TARGET_MAX_ROOTS];
	size_t n_roots;
};

#define TARGET_OPTIONS \
	{ "pid", required_argument, NULL, 'p' }, { "root", required_argument, NULL, 'r' }

/**
 * target_take - take an option of TARGET_OPTIONS, and optarg
 * @ret_status: what the verb returns where it was a bad one
 *
 * Return: whether it was one of them.
 */
bool target_take(const struct cmd *cmd, struct target *t, int opt, int *ret_status,
		 struct ckpt_err *err);

/* Take the name, where no pid is given, and refuse what else was. Return: CKPT_OK or CKPT_USAGE. */
int target_finish(const struct cmd *cmd, struct target *t, int argc, char **argv,
		  struct ckpt_err *err);

/* The group, or one made of the tree, without a cgroup. Return: 0 or -1. */
int target_load(const struct target *t, struct ckpt_tagged *ret, struct ckpt_err *err);

#endif
