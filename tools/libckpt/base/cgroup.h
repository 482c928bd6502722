/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cgroup v2 directories
 *
 * A cgroup is named as in the 0:: line of /proc/PID/cgroup ("/ckpt/name");
 * where the hierarchy is mounted is found in /proc/self/mountinfo.
 */
#ifndef CKPT_BASE_CGROUP_H
#define CKPT_BASE_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/* The directory of @cgroup; allocated. */
int ckpt_cgroup_dir(const char *cgroup, char **ret_dir, struct ckpt_err *err);
/* The directory of the nearest cgroup above @cgroup that is there; allocated. */
int ckpt_cgroup_above(const char *cgroup, char **ret_dir, struct ckpt_err *err);
/* The cgroup of a process; allocated. */
int ckpt_cgroup_of(pid_t pid, char **ret_cgroup, struct ckpt_err *err);
/* Make @cgroup and its parents. */
int ckpt_cgroup_make(const char *cgroup, struct ckpt_err *err);
/* Remove @cgroup and what is empty below it. */
int ckpt_cgroup_remove(const char *cgroup, struct ckpt_err *err);
/*
 * A cgroup in which tasks can be born.  Linux 6.14 and newer kill whatever
 * clone3(CLONE_INTO_CGROUP) puts into a cgroup whose cgroup.kill was ever
 * written (its kill_seq is compared with that of the parent's cgroup), so an
 * empty one is made anew.
 */
int ckpt_cgroup_renew(const char *cgroup, struct ckpt_err *err);
/* Move a process; 0 is the caller. */
int ckpt_cgroup_enter(const char *cgroup, pid_t pid, struct ckpt_err *err);
/* Whether a task lives in @cgroup or below; false when there is no such cgroup. */
int ckpt_cgroup_populated(const char *cgroup, bool *ret, struct ckpt_err *err);
/* Whether a cgroup above @cgroup is frozen: what is made in @cgroup then never runs. */
int ckpt_cgroup_frozen_above(const char *cgroup, bool *ret, struct ckpt_err *err);
/* Pids of every process in @cgroup and below, allocated. */
int ckpt_cgroup_pids(const char *cgroup, int32_t **ret_pids, size_t *ret_n, struct ckpt_err *err);
/* The same of the cgroup whose directory is @dir. */
int ckpt_cgroup_dir_pids(const char *dir, int32_t **ret_pids, size_t *ret_n, struct ckpt_err *err);
/* Kill everything in @cgroup and wait until it is empty, at most @timeout_ms. */
int ckpt_cgroup_kill(const char *cgroup, int timeout_ms, struct ckpt_err *err);
/* Whether @cgroup is @group or lies below it. */
bool ckpt_cgroup_inside(const char *cgroup, const char *group);

#endif
