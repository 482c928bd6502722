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
/*
 * unix-queue-read.c: look at what waits in the socket of file @file, and take descriptors in it
 * for files; when all sockets are known, make messages of it.
 */
int ckpt_look_unix_queue(struct ckpt_reader *r, uint32_t file, struct ckpt_err *err);
bool ckpt_unix_looked(const struct ckpt_reader *r, uint32_t u);
int ckpt_read_unix_queue(struct ckpt_reader *r, const struct ckpt_file *f, struct ckpt_unix *u,
			 struct ckpt_err *err);
/* flight-read.c: the files that descriptors of a message in the socket of file @file lead to */
int ckpt_read_flight(struct ckpt_reader *r, uint32_t file, struct ckpt_unix_peeked *m,
		     struct ckpt_err *err);

#endif
