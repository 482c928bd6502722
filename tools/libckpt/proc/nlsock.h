/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Netlink sockets: their number, groups and peer; what the kernel still answers is refused. */
#ifndef CKPT_PROC_NLSOCK_H
#define CKPT_PROC_NLSOCK_H

#include "proc/socket.h"

#define CKPT_NLSOCK_WORDS_MAX 64u	/* of 32 groups each */

/* nlsock-read.c: a descriptor @own of socket @s, which is file @f */
int ckpt_read_nlsock(struct ckpt_reader *r, const struct ckpt_file *f, struct ckpt_socket *s,
		     int own, struct ckpt_err *err);
/* nlsock-build.c: all of them, in init */
int ckpt_build_nlsocks(struct ckpt_restore *r, struct ckpt_err *err);
/* What this machine would refuse, tried with @own, which has the options of @s; one compared. */
int ckpt_nlsock_try(const struct ckpt_image *image, const struct ckpt_socket *s, int own,
		    struct ckpt_err *err);
int ckpt_verify_nlsock(const struct ckpt_restore *r, const struct ckpt_socket *s, int own,
		       struct ckpt_err *err);
/* nlsock-read.c: its addresses and groups; @ret->groups is allocated. */
int ckpt_nlsock_get(int own, struct ckpt_nlsock *ret, struct ckpt_err *err);

#endif
