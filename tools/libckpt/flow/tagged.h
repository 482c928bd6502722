/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Run state of a group: where a named group lives on this machine now
 *
 * Kept as /run/ckpt/NAME.json, so that it goes with the boot: written by run,
 * tag and restore, removed by untag.
 */
#ifndef CKPT_FLOW_TAGGED_H
#define CKPT_FLOW_TAGGED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define CKPT_RUN_DIR "/run/ckpt"

/* Where the tracker `pagemap-scan` of group @name listens; allocated, NULL without memory. */
char *ckpt_tagged_tracker(const char *name);

/**
 * struct ckpt_tagged - one group
 * @name: [A-Za-z0-9._-]{1,63}
 * @cgroup: its cgroup, NULL for a group that was only seen by pid
 * @roots: absolute paths without links, the private directory of run included
 * @root_pid: its first process, 0 when unknown
 */
struct ckpt_tagged {
	char *name;
	char *cgroup;
	char **roots;
	size_t n_roots;
	int32_t root_pid;
};

void ckpt_tagged_done(struct ckpt_tagged *g);

/* Refuse what is no group name. */
int ckpt_tagged_check_name(const char *name, struct ckpt_err *err);
int ckpt_tagged_init(struct ckpt_tagged *g, const char *name, const char *cgroup,
		    struct ckpt_err *err);
/* Add a root: a directory, resolved; refused when it is none or inside another. */
int ckpt_tagged_add_root(struct ckpt_tagged *g, const char *path, struct ckpt_err *err);
/* Refuse a directory that would overlap a root, whether it is there yet or not. */
int ckpt_tagged_refuse_new(const struct ckpt_tagged *g, const char *path, struct ckpt_err *err);

/* The first root of @g that holds @path or, with @upwards, lies in it; NULL when none does. */
const char *ckpt_tagged_overlap(const struct ckpt_tagged *g, const char *path, bool upwards);

int ckpt_tagged_save(const struct ckpt_tagged *g, struct ckpt_err *err);
int ckpt_tagged_load(const char *name, struct ckpt_tagged *ret, struct ckpt_err *err);
bool ckpt_tagged_exists(const char *name);
int ckpt_tagged_forget(const char *name, struct ckpt_err *err);
/* Remove what the restored tree has written to its output, CKPT_RUN_DIR/NAME.out. */
int ckpt_tagged_drop_output(const char *name, struct ckpt_err *err);
/* Names of all groups of this boot, allocated, sorted. */
int ckpt_tagged_names(char ***ret_names, size_t *ret_n, struct ckpt_err *err);
void ckpt_tagged_names_free(char **names, size_t n);

/* Whether a task of the group lives. */
int ckpt_tagged_alive(const struct ckpt_tagged *g, bool *ret, struct ckpt_err *err);

#endif
