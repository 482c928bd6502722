/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tracker's process: holds the userfaultfds of a group between its checkpoints
 *
 * It is started by the first checkpoint, stands apart from whoever starts it (base/apart.h), and
 * ends with the group: when no task lives in its cgroup.  Its end, of whatever kind, leaves the
 * group as if nobody had ever watched it; the next checkpoint is full then.
 */
#ifndef CKPT_TRACK_TRACKER_MAIN_H
#define CKPT_TRACK_TRACKER_MAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/**
 * ckpt_tracker_spawn - start it, and wait until it listens
 * @path: of its socket; what is there is replaced
 * @dir: directory of the group's cgroup
 */
int ckpt_tracker_spawn(const char *path, const char *dir, struct ckpt_err *err);

/**
 * ckpt_tracker_end - end one that listens at @path, orderly or not
 *
 * Nothing in the group is registered by it afterwards.  Return: 0, also when there was none.
 */
int ckpt_tracker_end(const char *path, struct ckpt_err *err);

/* Connect to it. Return: a socket, or -1. */
int ckpt_tracker_connect(const char *path);
/* Is there one? */
bool ckpt_tracker_listens(const char *path);

/* For the process itself: a socket at @path that root alone can connect to, or -1. */
int ckpt_tracker_listen(const char *path);
/* What names a cgroup or a namespace; 0: it is not there. */
uint64_t ckpt_tracker_inode(const char *path);
/* Its body; @ready: gets a byte once it listens. */
void ckpt_tracker_main(const char *path, const char *dir, int ready) __attribute__((noreturn));

#endif
