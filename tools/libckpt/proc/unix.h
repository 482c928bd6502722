/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unix sockets: what reading, building and comparing share
 */
#ifndef CKPT_PROC_UNIX_H
#define CKPT_PROC_UNIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "proc/socket.h"

#define CKPT_UNIX_NAME_MAX 109u	/* bytes of a name as the kernel keeps it */
#define CKPT_UNIX_FILES_MAX 253u	/* descriptors that come with a message */

#define CKPT_UNIX_SHUT_BOTH 3u	/* RCV_SHUTDOWN and SEND_SHUTDOWN */

/**
 * struct ckpt_unix_diag - what the kernel tells of a Unix socket by its inode number
 * @state: TCP_ESTABLISHED, TCP_CLOSE or TCP_LISTEN
 * @connected: it has a peer
 * @peer: inode number of that, 0: closed, or not accepted yet
 * @waiting, @backlog: of one that listens
 */
struct ckpt_unix_diag {
	uint8_t state, shutdown;
	bool connected;
	uint32_t peer;
	uint32_t waiting, backlog;
};

/* unix-diag.c: a socket to ask by, and a question. Return of the latter: 0, -1. */
int ckpt_unix_diag_open(struct ckpt_err *err);
int ckpt_unix_diag(int diag, uint64_t ino, struct ckpt_unix_diag *ret, struct ckpt_err *err);
/* Of one that listens: inode numbers of who has connected, in order; 0: it is closed. */
int ckpt_unix_diag_waiting(int diag, uint64_t ino, uint32_t **ret, size_t *ret_n,
			   struct ckpt_err *err);
/* Is some socket bound to this file? Return: 1, 0, -1. */
int ckpt_unix_diag_bound(int diag, uint64_t dev, uint64_t ino, struct ckpt_err *err);

/**
 * struct ckpt_unix_peeked - a message as it was looked at
 * @fds: descriptors of ours, closed by ckpt_unix_queue_done; -1: not ours any more
 * @files: when they are known, their indices in image->files
 * @from, @from_len: name of the sender
 */
struct ckpt_unix_peeked {
	uint8_t *data;
	size_t len;
	int *fds;
	size_t n_fds;
	uint32_t *files;
	uint8_t from[CKPT_UNIX_NAME_MAX];
	size_t from_len;
};

/* @looked: of one that is being captured: it was looked into */
struct ckpt_unix_queue {
	struct ckpt_unix_peeked *messages;
	size_t n;
	bool looked;
};

/*
 * unix-queue.c: copy what waits in @own, a descriptor of ours of a socket of @type that has no
 * error to tell, and leave it there.  @guarded: as it was also when we are killed meanwhile.
 */
int ckpt_unix_peek(int own, uint32_t type, bool guarded, struct ckpt_unix_queue *ret,
		   struct ckpt_err *err);
void ckpt_unix_queue_done(struct ckpt_unix_queue *queue);
/* Does it tell something of each message beside it, as SO_PASSCRED asks for? */
bool ckpt_unix_tells_more(int own);

/* A name as getsockname (or getpeername) gives it; 0 bytes: none. */
size_t ckpt_unix_name_of(int own, bool peer, uint8_t ret[CKPT_UNIX_NAME_MAX]);
/* The same to read: @ for the byte 0. */
const char *ckpt_unix_name_text(const uint8_t *name, size_t len, char ret[CKPT_UNIX_NAME_MAX + 1]);

/*
 * unix-read.c: when every table is read, each by itself, with what waits in it; that may be
 * more files.  Then how they are connected.
 */
int ckpt_look_unixes(struct ckpt_reader *r, struct ckpt_err *err);
int ckpt_read_unixes(struct ckpt_reader *r, struct ckpt_err *err);
void ckpt_unix_queues_done(struct ckpt_reader *r);
/* Can a message bring this file? It is open in init when sockets are filled. */
static inline bool ckpt_unix_brings(uint32_t kind)
{
	return kind != CKPT_FILE_OUTER && kind != CKPT_FILE_PIDFD &&
	       kind != CKPT_FILE_URING && kind != CKPT_FILE_PROC;
}

/* unix-read.c: by its inode number at capture, or CKPT_NONE. */
uint32_t ckpt_unix_by_ino(const struct ckpt_image *image, uint64_t ino);

/* unix-check.c: how @u waits to be accepted, NULL: it does not. */
const struct ckpt_unix_waiting *ckpt_unix_waits(const struct ckpt_image *image, uint32_t u);
/* unix-waiting-build.c: of one that listens: @own, a descriptor of ours */
int ckpt_verify_waiting(const struct ckpt_restore *r, const struct ckpt_unix *u, uint32_t type,
			int diag, int own, struct ckpt_err *err);
/* unix-check.c: does a message bring file @index of the image? */
bool ckpt_unix_brought(const struct ckpt_image *image, size_t index);

/* It has the name of a file that has none any more. */
static inline bool ckpt_unix_lost_file(const struct ckpt_unix *u)
{
	return u->name_len && u->name[0] && !u->path;
}

/* What is shut at one end as seen from the other: reading for writing. */
static inline uint32_t ckpt_unix_shut_there(uint32_t shutdown)
{
	return (shutdown & 1) << 1 | shutdown >> 1;
}

/* What @u has shut, and not @peer, which it is connected to. */
static inline uint32_t ckpt_unix_shut_alone(const struct ckpt_unix *u,
					    const struct ckpt_unix *peer)
{
	return u->shutdown & ~ckpt_unix_shut_there(peer->shutdown);
}

/* unix-build.c */
int ckpt_build_unixes(struct ckpt_restore *r, struct ckpt_err *err);
/* unix-verify.c: file @index of the image, by @own, a descriptor of ours */
int ckpt_verify_unix(const struct ckpt_restore *r, size_t index, int own, struct ckpt_err *err);
/* unix-verify.c: are names and places of files free here? */
int ckpt_unix_preflight(const struct ckpt_restore_params *params, struct ckpt_err *err);

/* Index of the file of a Unix socket of the image. */
static inline uint32_t ckpt_unix_file(const struct ckpt_image *image, uint32_t u)
{
	for (uint32_t i = 0; i < image->n_files; i++) {
		const struct ckpt_file *f = &image->files[i];

		if (f->kind == CKPT_FILE_SOCKET &&
		    image->sockets[f->object].family == AF_UNIX &&
		    image->sockets[f->object].part == u)
			return i;
	}
	return CKPT_NONE;
}

static inline const struct ckpt_socket *ckpt_unix_socket(const struct ckpt_image *image,
							 uint32_t u)
{
	return &image->sockets[image->files[ckpt_unix_file(image, u)].object];
}

#endif
