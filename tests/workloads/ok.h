/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A program that checks itself: what is not as it should be is printed and counted
 */
#ifndef CKPT_TESTS_WORKLOADS_OK_H
#define CKPT_TESTS_WORKLOADS_OK_H

#include <errno.h>
#include <stdio.h>

static int wrong;

#define OK(condition) do { \
	if (!(condition)) { \
		printf("line %d: %s (errno %d)\n", __LINE__, #condition, errno); \
		wrong++; \
	} \
} while (0)

#endif
