/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sockets: what all families have in common, and where each goes its own way
 *
 * A file of kind CKPT_FILE_SOCKET leads to an entry of image->sockets of its own.  A family has
 * a list in the image beside it, and files <family>-read.c and <family>-build.c.
 */
#ifndef CKPT_PROC_SOCKET_H
#define CKPT_PROC_SOCKET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "proc/build.h"
#include "proc/read.h"

/* An option that is kept; @len: of its value at most; @off: not where it is 0, as in a new one. */
struct ckpt_socket_option_name {
	uint32_t level, name, len;
	bool off;
};

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif
#define CKPT_SOCKET_OPTION_MAX 64u	/* bytes of a value */

/*
 * socket-read.c: does descriptor @fd of a process, running or not, lead to a socket of a family
 * that is restored?  Nothing is opened.
 */
bool ckpt_socket_restorable(pid_t pid, int fd);
/* Is socket @own of the network namespace of the tree? */
int ckpt_socket_is_ours(const struct ckpt_reader *r, int own, bool *ret, struct ckpt_err *err);
/* A descriptor and its common options; and when every table is read, how they are connected. */
int ckpt_read_socket(struct ckpt_reader *r, struct ckpt_file *f, struct ckpt_err *err);
int ckpt_read_sockets(struct ckpt_reader *r, struct ckpt_err *err);
/*
 * Add options of @own, a descriptor of ours of socket @s, in their order; one that this kernel
 * or this kind of socket does not have is left out.
 */
int ckpt_read_socket_options(struct ckpt_socket *s, int own,
			     const struct ckpt_socket_option_name *names, size_t n,
			     struct ckpt_err *err);

/* socket-build.c: all of them, in init; after the pipes, before what watches them */
int ckpt_build_sockets(struct ckpt_restore *r, struct ckpt_err *err);
/* The same once more to compare, when all is built. */
int ckpt_verify_sockets(struct ckpt_restore *r, struct ckpt_err *err);
/* Can this machine, and may we, make them?  Tried with sockets of our own. */
int ckpt_socket_try(const struct ckpt_image *image, struct ckpt_err *err);
/*
 * A socket for file @index, made in init, with its options so far as they can be had before it is
 * bound.  Return: a descriptor of ours of it, or -1.
 */
int ckpt_build_socket(struct ckpt_restore *r, size_t index, struct ckpt_err *err);
/* Give @own, a descriptor of ours, those options of @s that it has not got already. */
int ckpt_build_socket_options(const struct ckpt_socket *s, int own, struct ckpt_err *err);

#endif
