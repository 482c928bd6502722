/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Netlink client of the module
 *
 * One client is one socket: the epoch that it begins belongs to it until it
 * commits, aborts or closes; closing, or the death of the process, makes the
 * module abort.  Not for use by two threads at once.
 *
 * A refusal by the module carries the module's own sentence in err->text and
 * its errno in err->os.
 */
#ifndef CKPT_NL_CLIENT_H
#define CKPT_NL_CLIENT_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/ckpt.h>

#include "base/err.h"
#include "nl/message.h"

struct ckpt_nl;

/**
 * ckpt_nl_open - connect to the module
 * @ret: the client; ckpt_nl_close ends it
 *
 * Return: 0, or -1: CKPT_REFUSED when the module is not loaded (err->os
 * ENOENT) or speaks another version of the interface (EPROTO).
 */
int ckpt_nl_open(struct ckpt_nl **ret, struct ckpt_err *err);
void ckpt_nl_close(struct ckpt_nl *nl);

static inline void ckpt_cleanup_nl(struct ckpt_nl **nl)
{
	ckpt_nl_close(*nl);
}

#define cleanup_nl __attribute__((cleanup(ckpt_cleanup_nl)))

/* Tag @cgroup, a path as in the 0:: line of /proc/PID/cgroup; untag it. */
int ckpt_nl_group_new(struct ckpt_nl *nl, const char *name, const char *cgroup,
		      struct ckpt_err *err);
int ckpt_nl_group_del(struct ckpt_nl *nl, const char *name, struct ckpt_err *err);
/* Free @ret with ckpt_nl_group_done. */
int ckpt_nl_group_get(struct ckpt_nl *nl, const char *name, struct ckpt_nl_group *ret,
		      struct ckpt_err *err);

/*
 * Callbacks of the dumps: what is passed is valid during the call.  To end
 * the dump a callback sets @err and returns -1; it must not use the client.
 */
typedef int ckpt_nl_group_fn(const struct ckpt_nl_group *group, void *data, struct ckpt_err *err);
typedef int ckpt_nl_area_fn(const struct ckpt_nl_area *area, void *data, struct ckpt_err *err);
typedef int ckpt_nl_inode_fn(const struct ckpt_nl_inode *inode, void *data, struct ckpt_err *err);

int ckpt_nl_group_list(struct ckpt_nl *nl, ckpt_nl_group_fn *fn, void *data, struct ckpt_err *err);

/* @path: absolute, in the caller's mount namespace. */
int ckpt_nl_root_add(struct ckpt_nl *nl, const char *name, const char *path, struct ckpt_err *err);
int ckpt_nl_root_del(struct ckpt_nl *nl, const char *name, const char *path, struct ckpt_err *err);

int ckpt_nl_epoch_begin(struct ckpt_nl *nl, const char *name, struct ckpt_nl_round *ret,
			struct ckpt_err *err);
/* @final: every task of the group is stopped. */
int ckpt_nl_epoch_next(struct ckpt_nl *nl, const char *name, bool final,
		       struct ckpt_nl_round *ret, struct ckpt_err *err);
/* @id: of the checkpoint that is durable now. */
int ckpt_nl_epoch_commit(struct ckpt_nl *nl, const char *name, uint64_t epoch,
			 const uint8_t id[CKPT_ID_LEN], struct ckpt_err *err);
int ckpt_nl_epoch_abort(struct ckpt_nl *nl, const char *name, uint64_t epoch,
			struct ckpt_err *err);

/* What the last round took. */
int ckpt_nl_page_dump(struct ckpt_nl *nl, const char *name, ckpt_nl_area_fn *fn, void *data,
		      struct ckpt_err *err);
int ckpt_nl_inode_dump(struct ckpt_nl *nl, const char *name, ckpt_nl_inode_fn *fn, void *data,
		       struct ckpt_err *err);

#endif
