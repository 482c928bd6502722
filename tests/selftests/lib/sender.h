/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who sends requests at random, hears what is answered and counts it
 */
#ifndef TESTS_SENDER_H
#define TESTS_SENDER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/fuzz.h"

#define ERRNOS 134

/* Answers by operation and errno; the last row is of operations that are none, then sysfs. */
enum { ROW_NONE = CKPT_CMD_MAX + 1, ROW_SYSFS, ROWS };

extern const char *const sender_cmd_names[ROWS];

/**
 * struct answers - what all have heard, shared with the process that has no rights
 * @got: by row and errno
 * @sent: messages
 * @slipped: accepted from who may not
 */
struct answers {
	atomic_ulong got[ROWS][ERRNOS];
	atomic_ulong sent;
	atomic_ulong slipped;
};

extern struct answers *answers;

/**
 * struct sender - who sends; the request of an answer is found by its number
 * @fuzz: what it sends
 * @nr: how many in a batch
 * @rights: it may do what it asks for
 */
struct sender {
	struct fuzz fuzz;
	unsigned int nr;
	bool rights;
	int fd;
	uint32_t seq;
	struct { uint32_t seq; uint8_t cmd; bool request; bool ack; } asked[256];
	struct fuzz_message message;
	unsigned char heard[FUZZ_ROOM] __attribute__((aligned(8)));
};

/* Before any is sent; dies on errors. */
void answers_make(void);

/* Send a batch on a socket of its own.  @arg: the sender; for a thread. */
void *sender_batch(void *arg);

/* The same in a process that is nobody.  Return: it, which exits with 0. */
pid_t sender_without_rights(struct sender *s);

#endif
