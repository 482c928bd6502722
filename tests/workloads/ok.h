/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A program that checks itself: what is not as it should be is printed and counted, and a call
 * without which it cannot go on ends it
 */
#ifndef CKPT_TESTS_WORKLOADS_OK_H
#define CKPT_TESTS_WORKLOADS_OK_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static int wrong;

#define OK(condition) do { \
	if (!(condition)) { \
		printf("line %d: %s (errno %d)\n", __LINE__, #condition, errno); \
		wrong++; \
	} \
} while (0)

#define MUST(call) ({ \
	long must_ = (call); \
	if (must_ < 0) { \
		printf("line %d: %s (errno %d)\n", __LINE__, #call, errno); \
		exit(1); \
	} \
	must_; \
})

#endif
