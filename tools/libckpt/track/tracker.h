/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tracker: how it is known what changed since the last checkpoint
 *
 * Three exist: `kmod` asks the module, `pagemap-scan` has the kernel note what is written to
 * memory (Linux 6.7), `full` knows nothing and reports every populated page and no inode, so
 * that everything is read and compared.
 */
#ifndef CKPT_TRACK_TRACKER_H
#define CKPT_TRACK_TRACKER_H

#include <stdbool.h>

#include "base/err.h"
#include "track/take.h"

/**
 * struct ckpt_epoch - what a tracker says of an epoch step
 * @epoch: its number
 * @round: 1 after begin
 * @committed: 16-byte id of the checkpoint committed last, zeros for none
 * @load_cookie, @generation: identity of the module load and of the group;
 *	both 0 for trackers without memory of their own, and where it is not to be had: then
 *	nothing is reported as clean
 * @lost: events that could not be recorded: the next checkpoint must be full
 * @estimate: about how many pages a round would report now; 0: unknown
 */
struct ckpt_epoch {
	uint64_t epoch;
	uint32_t round;
	uint8_t committed[CKPT_ID_LEN];
	uint64_t load_cookie;
	uint64_t generation;
	uint64_t lost;
	uint64_t estimate;
};

/**
 * struct ckpt_tracker - one open tracker of one group
 * @name: "kmod", "pagemap-scan" or "full"
 * @live: rounds on the running group are worth while
 * @delta: what it reports is worth something on top of the checkpoint committed last alone
 * @missing: NULL, or: its one round is walked while the group is stopped, and of those of
 *	@pids that it returns it wants a userfaultfd first
 * @adopt: with that: here is one, which stays the caller's; without it the process is not told
 * @watch: with that, in a stop before, after adopt: the same as @ahead, of stopped @pids
 * @ahead: with that, before: pages to be copied while the group runs, which the round then does not
 *	tell as dirty unless they were written again
 * @more: with that: after @pages of the group, the same of @pids adopted since, added to @take
 * @inodes_known: change sets exist; else files are found by a scan
 */
struct ckpt_tracker {
	const char *name;
	bool live;
	bool delta;
	bool inodes_known;
	void *self;
	int (*begin)(void *self, struct ckpt_epoch *ret, struct ckpt_err *err);
	int (*next)(void *self, bool final, struct ckpt_epoch *ret, struct ckpt_err *err);
	int (*missing)(void *self, const int32_t *pids, size_t n, int32_t **ret_pids,
		       size_t *ret_n, struct ckpt_err *err);
	void (*adopt)(void *self, int32_t pid, int fd);
	int (*watch)(void *self, const int32_t *pids, size_t n_pids, struct ckpt_take *ret,
		     struct ckpt_err *err);
	int (*ahead)(void *self, struct ckpt_take *ret, struct ckpt_err *err);
	int (*more)(void *self, const int32_t *pids, size_t n_pids, struct ckpt_take *take,
		    struct ckpt_err *err);
	/* Memory and inodes of the round walked last; @pids: processes of the group. */
	int (*pages)(void *self, const int32_t *pids, size_t n_pids, struct ckpt_take *ret,
		     struct ckpt_err *err);
	int (*inodes)(void *self, struct ckpt_inode_take *ret, struct ckpt_err *err);
	int (*commit)(void *self, const uint8_t id[CKPT_ID_LEN], struct ckpt_err *err);
	int (*abort)(void *self, struct ckpt_err *err);
	void (*close)(void *self);
};

/* Close @t; an epoch still open is aborted. */
void ckpt_tracker_close(struct ckpt_tracker *t);

/*
 * Refused where the kernel does not note what is written (err->os ENOSYS).  @path: of the socket
 * of the group's own process, which begin starts where there is none; @dir: directory of the
 * group's cgroup.
 */
int ckpt_tracker_open_scan(const char *path, const char *dir, struct ckpt_tracker *ret,
			   struct ckpt_err *err);
/* Its name where it works, else that of the one that knows nothing. */
const char *ckpt_tracker_native(void);
int ckpt_tracker_open_full(struct ckpt_tracker *ret, struct ckpt_err *err);
/*
 * Refused when the module is not loaded, does not know @group, or knows it by
 * another cgroup than @cgroup (err->os ENOENT), and when it is of another
 * version (EPROTO).  Its change sets count only when it follows all of @roots.
 */
int ckpt_tracker_open_kmod(const char *group, const char *cgroup, char *const *roots,
			   size_t n_roots, struct ckpt_tracker *ret, struct ckpt_err *err);

#endif
