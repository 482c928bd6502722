// SPDX-License-Identifier: GPL-2.0-or-later
/* Targets of verbs. */
#include "target.h"

bool target_take(const struct cmd *cmd, struct target *t, int opt, int *ret_status,
		 struct ckpt_err *err)
{
	*ret_status = CKPT_OK;
	if (opt == 'p') {
		/* one that is too large must not become that of another process */
		if (!parse_number(optarg, INT32_MAX, &t->pid))
			*ret_status = usage(cmd, err, "'%s' is no pid", optarg);
		return true;
	}
	if (opt != 'r')
		return false;
	if (t->n_roots == TARGET_MAX_ROOTS)
		*ret_status = usage(cmd, err, "more than %d roots", TARGET_MAX_ROOTS);
	else
		t->roots[t->n_roots++] = optarg;
	return true;
}

int target_finish(const struct cmd *cmd, struct target *t, int argc, char **argv,
		  struct ckpt_err *err)
{
	if (optind < argc && !t->pid)
		t->name = argv[optind++];
	if (optind < argc || (!t->name && !t->pid))
		return usage(cmd, err, "one group, or one --pid, is named");
	if (!t->pid && t->n_roots)
		return usage(cmd, err, "--root goes with --pid");
	return CKPT_OK;
}

int target_load(const struct target *t, struct ckpt_tagged *ret, struct ckpt_err *err)
{
	if (!t->pid)
		return ckpt_tagged_load(t->name, ret, err);
	/* without a name nothing is kept: it stands in messages alone */
	if (ckpt_tagged_init(ret, t->name ? t->name : "pid", NULL, err))
		return -1;
	ret->root_pid = t->pid;
	for (size_t i = 0; i < t->n_roots; i++)
		if (ckpt_tagged_add_root(ret, t->roots[i], err))
			return -1;
	return 0;
}
