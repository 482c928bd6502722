/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ipc namespaces: the settings of /proc/sys that each has for itself, and what is in them
 */
#ifndef CKPT_PROC_IPC_H
#define CKPT_PROC_IPC_H

#include <sys/ipc.h>

#include "proc/image.h"

/* The longest value. */
#define CKPT_IPC_VALUE_MAX 64
/* Segments that a new namespace takes; it has no limit else that one could exceed. */
#define CKPT_IPC_SEGMENTS 4096

/* Place of a setting in the order of the image, or -1: there is no such. */
int ckpt_ipc_place(const char *name);
/* Of the namespace that this thread is in; what this kernel lacks is left out. */
int ckpt_ipc_get(struct ckpt_ipc *ret, struct ckpt_err *err);
/* Write those that are not so yet. */
int ckpt_ipc_set(const struct ckpt_ipc *ipc, struct ckpt_err *err);

/* Semaphores of a set that a new namespace takes. */
#define CKPT_SEMS_MAX 32000u
#define CKPT_SEM_MOST 32767	/* value of a semaphore, and what is added to it at an end */

/* sysv.c: as the kernel tells it of @id. */
struct ckpt_ipc_id ckpt_ipc_id_of(int id, const struct ipc_perm *perm);
/*
 * The semaphores and message queues of @ipc, in a namespace that has none, that this thread is in.
 * Adjustments are not among them.
 */
int ckpt_ipc_fill(const struct ckpt_ipc *ipc, struct ckpt_err *err);
/* Are they there, in that of this thread, as @ipc has them? */
int ckpt_ipc_compare(const struct ckpt_ipc *ipc, struct ckpt_err *err);

/* sem-build.c, message-build.c: one of them. */
int ckpt_sem_make(const struct ckpt_sem_set *s, struct ckpt_err *err);
int ckpt_sem_compare(const struct ckpt_sem_set *s, struct ckpt_err *err);
int ckpt_message_queue_make(const struct ckpt_message_queue *q, struct ckpt_err *err);
int ckpt_message_queue_compare(const struct ckpt_message_queue *q, struct ckpt_err *err);
/* message-read.c: what waits in @q, which has no messages yet, but its id. */
int ckpt_message_queue_read(struct ckpt_message_queue *q, size_t n, size_t bytes,
			    struct ckpt_err *err);

/**
 * ckpt_ipc_make - one with an id, by its maker
 * @kind: "sem" or "msg", of /proc/sys/kernel/KIND_next_id
 * @get: makes it; returns its id or -1 with errno
 *
 * Return: 0, or -errno.
 */
int ckpt_ipc_make(const char *kind, const struct ckpt_ipc_id *id, int (*get)(const void *what),
		  const void *what);

#endif
