/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What an ipc namespace of a tree's own holds, but for segments, which are memory
 */
#ifndef CKPT_PROC_IMAGE_IPC_H
#define CKPT_PROC_IMAGE_IPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A file below /proc/sys, and what it says, without the end of the line. */
struct ckpt_ipc_setting {
	char *name;
	char *value;
};

/**
 * struct ckpt_ipc_id - by what a semaphore set or message queue is known, and whose it is
 * @id, @key: the latter 0: it has none
 * @uid, @gid, @mode: as IPC_SET changes them
 * @cuid, @cgid: of its maker
 */
struct ckpt_ipc_id {
	int32_t id, key;
	uint32_t uid, gid, cuid, cgid, mode;
};

/**
 * struct ckpt_sem_undo - what the end of a process adds to a semaphore (SEM_UNDO)
 * @pid: in the tree
 * @sem: number in its set
 */
struct ckpt_sem_undo {
	int32_t pid;
	uint32_t sem;
	int32_t adjust;
};

/**
 * struct ckpt_sem_set - a set of semaphores
 * @used: somebody has made a semop(2) on it
 */
struct ckpt_sem_set {
	struct ckpt_ipc_id id;
	bool used;
	uint16_t *values;
	size_t n_values;
	struct ckpt_sem_undo *undos;
	size_t n_undos;
};

struct ckpt_message {
	int64_t type;
	uint8_t *data;
	size_t len;
};

/**
 * struct ckpt_message_queue - of System V
 * @room: bytes that may wait in it
 * @messages: the one that has waited longest first
 */
struct ckpt_message_queue {
	struct ckpt_ipc_id id;
	uint64_t room;
	struct ckpt_message *messages;
	size_t n_messages;
};

/* What an ipc namespace has for itself; sets and queues by rising id. */
struct ckpt_ipc {
	struct ckpt_ipc_setting *settings;
	size_t n_settings;
	struct ckpt_sem_set *sems;
	size_t n_sems;
	struct ckpt_message_queue *queues;
	size_t n_queues;
};

#endif
