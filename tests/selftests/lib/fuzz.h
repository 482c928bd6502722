/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Requests of the module's family, valid and spoilt, as a seed decides
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/ckpt.h>

#define FUZZ_ROOM (1 << 16)

/* What the requests are about; the one that sends them makes it. */
#define FUZZ_ALIVE	"alive"		/* group that nothing may remove or commit */
#define FUZZ_VICTIM	"victim"	/* group that anything may happen to */
#define FUZZ_KEPT	"/tmp/fuzz/kept"	/* root of the former that nothing may remove */

/**
 * struct fuzz - one who writes requests
 * @rnd: state of the numbers that decide
 * @family: id of the family
 * @epoch: number of the epoch it heard of last
 * @began: the group it asked last to begin one for
 * @rooted: the group it asked last to add a root to
 * @root: that root
 */
struct fuzz {
	uint64_t rnd;
	int family;
	uint64_t epoch;
	const char *began;
	const char *rooted;
	const char *root;
};

/**
 * struct fuzz_message - one request
 * @len: bytes to send
 * @cmd: the operation it asks for
 * @request: it is one of this family, so that the answer is the module's
 * @ack: it asks for an answer
 * @bytes: what is sent
 */
struct fuzz_message {
	size_t len;
	uint8_t cmd;
	bool request;
	bool ack;
	unsigned char bytes[FUZZ_ROOM] __attribute__((aligned(8)));
};

/* Number from 0 up to, and not with, @n. */
uint64_t fuzz_below(struct fuzz *f, uint64_t n);
void fuzz_write(struct fuzz *f, uint32_t seq, struct fuzz_message *ret);

/* What a file of /sys/kernel/ckpt takes. */
enum fuzz_kind { FUZZ_TAG, FUZZ_NAME, FUZZ_PATH, FUZZ_NUMBER, FUZZ_BYTES };

/* A line for such a file, or not.  Return: its length. */
size_t fuzz_line(struct fuzz *f, enum fuzz_kind kind, char *buf, size_t room);

#endif
