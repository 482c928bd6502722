/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Run: a command in a group of its own, in its plainest form. */
#ifndef CKPT_FLOW_RUN_H
#define CKPT_FLOW_RUN_H

#include <stddef.h>

#include "base/err.h"

#define CKPT_PRIVATE_DIR "/var/tmp/ckpt"	/* NAME/{tmp,log} below it */
#define CKPT_CGROUP_TOP "/ckpt"			/* groups started by run live below it */

/**
 * struct ckpt_run_params - a command to run under protection
 * @name: the new group
 * @roots: directories that belong to it
 * @private_dir: parent of the group's own directory; NULL: CKPT_PRIVATE_DIR
 * @argv: the command, NULL at the end
 */
struct ckpt_run_params {
	const char *name;
	const char **roots;
	size_t n_roots;
	const char *private_dir;
	char *const *argv;
};

/**
 * ckpt_run - start the command in a new group and wait for its end
 * @ret_status: its exit status, 128 + signal when one killed it
 *
 * The command gets a pid, a mount and a time namespace, a session of its own,
 * /dev/null as input, the group's log as output and error, and a TMPDIR that is
 * a root.  Huge pages are off, for their dirty bits are too coarse.  The group
 * stays known after its end, so that it can be restored.
 */
int ckpt_run(const struct ckpt_run_params *params, int *ret_status, struct ckpt_err *err);

/*
 * What of it can be refused before anything is made: the name, the roots, the
 * private directory, the command.  ckpt_run does the same first.
 */
int ckpt_run_check(const struct ckpt_run_params *params, struct ckpt_err *err);

#endif
