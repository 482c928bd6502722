/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What ckpt-tool and the tracker's process say to each other
 *
 * A request and its reply are one message each, over a Unix socket.  What is longer lies in a
 * memfd of the caller, the board, which comes with BEGIN: first what is asked, then over it
 * what is answered.
 */
#ifndef CKPT_TRACK_TRACKER_WIRE_H
#define CKPT_TRACK_TRACKER_WIRE_H

#include "base/buf.h"
#include "base/err.h"
#include "track/take.h"

enum ckpt_tracker_op {
	CKPT_TRACKER_BEGIN = 1,	/* with the board */
	CKPT_TRACKER_MISSING,	/* board: pids; then those that are not watched */
	CKPT_TRACKER_ADOPT,	/* with the userfaultfd of @pid */
	CKPT_TRACKER_WATCH,	/* board: pids of the group, stopped; then what is told ahead */
	CKPT_TRACKER_AHEAD,	/* board: the take of what is told while the group runs */
	CKPT_TRACKER_ROUND,	/* board: pids of the group; then the take of who is watched */
	CKPT_TRACKER_MORE,	/* board: pids of who is watched since then; then their take */
	CKPT_TRACKER_COMMIT,
	CKPT_TRACKER_QUIT,	/* answered when nothing is registered any more */
};

/* Another version of the tool may find a process of this one. */
#define CKPT_TRACKER_VERSION 4

/**
 * struct ckpt_tracker_request - an order
 * @n: pids on the board
 * @cgroup: BEGIN: inode number of the directory of the group's cgroup
 * @pid_space: BEGIN: inode number of the caller's pid namespace
 * @id: COMMIT: of the checkpoint
 */
struct ckpt_tracker_request {
	uint32_t version, op, n;
	int32_t pid;
	uint64_t cgroup, pid_space;
	uint8_t id[CKPT_ID_LEN];
};

/**
 * struct ckpt_tracker_reply - what became of it
 * @err: its status is CKPT_OK when it was done
 * @len: bytes on the board
 */
struct ckpt_tracker_reply {
	uint64_t epoch, load_cookie, generation, estimate, len;
	uint8_t committed[CKPT_ID_LEN];
	struct ckpt_err err;
};

/* One message, with descriptor @fd unless that is -1. Return: 0 or -1. */
int ckpt_tracker_send(int sock, const void *message, size_t len, int fd);
/* Return: 0 with a descriptor or -1 in @ret_fd; -1 at the end, or when it is no such message. */
int ckpt_tracker_receive(int sock, void *message, size_t len, int *ret_fd);

/* The board. Return: 0 or -1. */
int ckpt_tracker_put(int board, const void *data, size_t len);
int ckpt_tracker_get(int board, void *data, size_t len);

/* A take as bytes. Return: 0 or -1. */
int ckpt_take_encode(const struct ckpt_take *take, struct ckpt_buf *ret);
int ckpt_take_decode(const void *data, size_t len, struct ckpt_take *ret, struct ckpt_err *err);

#endif
