/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading Unix sockets: the parts of unix-read.c in files of their own. */
#ifndef CKPT_PROC_UNIX_READ_H
#define CKPT_PROC_UNIX_READ_H

#include "proc/unix.h"

/* @why: follows "holds a Unix socket on descriptor N" */
int ckpt_unix_refuse(const struct ckpt_reader *r, const struct ckpt_file *f, struct ckpt_err *err,
		     const char *why);

/*
 * unix-peer-read.c: who made the other end, as its process may ask; and at the end the pids of
 * those in the pid namespace of the tree, who may have ended.
 */
int ckpt_read_unix_peer(struct ckpt_reader *r, const struct ckpt_file *f, int own,
			struct ckpt_unix *u, struct ckpt_err *err);
int ckpt_read_unix_pids(struct ckpt_reader *r, struct ckpt_err *err);
/* unix-path-read.c: the file of a socket that has its name from one */
int ckpt_read_unix_path(struct ckpt_reader *r, const struct ckpt_file *f, int own,
			struct ckpt_unix *u, struct ckpt_err *err);
/* unix-queue-read.c: what waits in it */
int ckpt_read_unix_queue(struct ckpt_reader *r, const struct ckpt_file *f, struct ckpt_unix *u,
			 struct ckpt_err *err);

#endif
