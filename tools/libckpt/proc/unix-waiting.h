/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Connections that wait in a Unix socket until they are accepted
 *
 * The end that accept will give has no descriptor yet, so that nothing tells of it but the memory
 * of the kernel: who has connected, and what he has sent.
 */
#ifndef CKPT_PROC_UNIX_WAITING_H
#define CKPT_PROC_UNIX_WAITING_H

#include "proc/peek.h"
#include "proc/unix-peek.h"
#include "proc/unix.h"

#define CKPT_WAITING_MAX 512u	/* connections in one socket */
#define CKPT_WAITING_BYTES (1u << 20)	/* that wait in one of them */

/* unix-waiting-peek.c: make the program that sees them. Return: 0, or -1: it cannot be had. */
int ckpt_waiting_peek_open(struct ckpt_waiting_peek *ret);
void ckpt_waiting_peek_close(struct ckpt_waiting_peek *peek);

/**
 * ckpt_waiting_peek - what waits in @own, a descriptor of ours of a socket of @type that listens
 * @u: who made it is known; its list is filled, but for clients
 * @ret_odd: why it cannot be made again, NULL: it can; or the kernel did not tell
 *
 * Return: 0, or -1 when the kernel does not tell.
 */
int ckpt_waiting_peek(const struct ckpt_waiting_peek *peek, int own, uint32_t type,
		      struct ckpt_unix *u, const char **ret_odd);
void ckpt_waiting_forget(struct ckpt_unix *u);

/* unix-waiting-read.c: into @u, when it is looked at; when all are known, who they are of. */
int ckpt_read_waiting(struct ckpt_reader *r, const struct ckpt_file *f, int diag, int own,
		      struct ckpt_unix *u, struct ckpt_err *err);
int ckpt_read_waiting_clients(struct ckpt_reader *r, struct ckpt_err *err);

#endif
