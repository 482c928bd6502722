/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Building Unix sockets: the parts of unix-build.c in files of their own. */
#ifndef CKPT_PROC_UNIX_BUILD_H
#define CKPT_PROC_UNIX_BUILD_H

#include "proc/stand-in.h"
#include "proc/unix.h"

/**
 * struct ckpt_unix_builder - Unix sockets being made
 * @in: who makes them
 * @gone: by index in image->unixes: a descriptor of ours of the other end that will be closed,
 *	or -1
 * @files: likewise: a descriptor of init of its file as a path, which has no name any more, or -1
 */
struct ckpt_unix_builder {
	struct ckpt_restore *r;
	struct ckpt_stand_in in;
	int *gone;
	int64_t *files;
};

/**
 * ckpt_unix_bind - give socket @fd of init a name
 * @of: where its file belongs, with what owner, mode and time; without a path: nowhere
 * @ret_file: NULL, or a descriptor of init of its file as a path, -1 where it has none
 */
int ckpt_unix_bind(struct ckpt_restore *r, int64_t fd, const uint8_t *name, size_t len,
		   const struct ckpt_unix *of, int64_t *ret_file, struct ckpt_err *err);
/* Connect socket @fd, by @s, to the one with this name, or whose file is @file of init. */
int ckpt_unix_connect(const struct ckpt_site *s, int64_t fd, const uint8_t *name, size_t len,
		      int64_t file, struct ckpt_err *err);

/*
 * The file of socket @index, through which it is connected to, as a descriptor of init that
 * ckpt_unix_reached is to close, or -1: it has none.
 */
int ckpt_unix_reach(struct ckpt_unix_builder *b, uint32_t index, int64_t *ret_file,
		    struct ckpt_err *err);
int ckpt_unix_reached(struct ckpt_unix_builder *b, uint32_t index, int64_t file,
		      struct ckpt_err *err);

/* A stand-in for who made the other end of @u; NULL: it does not matter who. */
const struct ckpt_site *ckpt_unix_maker(struct ckpt_unix_builder *b, const struct ckpt_unix *u,
					struct ckpt_err *err);
/* unix-waiting-build.c: connections to socket @index, which listens, that nobody accepts yet */
int ckpt_unix_knock(struct ckpt_unix_builder *b, uint32_t index, struct ckpt_err *err);
/* unix-fill-build.c: room in @from to send all of these at once; its options come later */
int ckpt_unix_make_room(int from, const struct ckpt_unix_message *messages, size_t n,
			struct ckpt_err *err);

/* unix-fill-build.c: what waits, what is shut, what is closed, options and owner */
int ckpt_unix_fill(struct ckpt_unix_builder *b, struct ckpt_err *err);

#endif
