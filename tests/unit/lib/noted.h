/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Noted: a watched process whose writes are noted, and checkpoints of it
 */
#ifndef CKPT_TESTS_NOTED_H
#define CKPT_TESTS_NOTED_H

#include "lib/copy.h"
#include "lib/watched.h"

struct noted {
	struct watched w;
	struct ckpt_notes notes;
	struct copy copy;
};

/* Fixtures of one test, whose state is a struct noted. */
int noted_set_up(void **state);
int noted_tear_down(void **state);
#define NOTED_TEST(name) cmocka_unit_test_setup_teardown(name, noted_set_up, noted_tear_down)

uint64_t noted_do(struct noted *e, uint64_t (*what)(uint64_t), uint64_t arg);
/* A round that becomes a checkpoint. */
void noted_checkpoint(struct noted *e);
/* Page number @page of the memory at @mem. */
const void *page_at(uint64_t mem, uint64_t page);

#endif
