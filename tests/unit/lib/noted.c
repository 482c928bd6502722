// SPDX-License-Identifier: GPL-2.0-or-later
/* A process whose writes are noted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "base/pages.h"
#include "lib/noted.h"

int noted_set_up(void **state)
{
	struct noted *e = calloc(1, sizeof(*e));
	struct ckpt_err err = CKPT_ERR_INIT;

	assert_non_null(e);
	watched_start(&e->w, NULL);
	assert_int_equal(ckpt_notes_adopt(&e->notes, e->w.pid, watched_userfault(&e->w), &err), 0);
	*state = e;
	return 0;
}

int noted_tear_down(void **state)
{
	struct noted *e = *state;

	ckpt_notes_done(&e->notes);
	assert_int_equal(watched_registered(e->w.pid), 0);
	watched_end(&e->w);
	copy_done(&e->copy);
	free(e);
	return 0;
}

uint64_t noted_do(struct noted *e, uint64_t (*what)(uint64_t), uint64_t arg)
{
	return watched_do(&e->w, what, arg);
}

void noted_checkpoint(struct noted *e)
{
	copy_round(&e->copy, &e->notes, e->w.pid);
	ckpt_notes_commit(&e->notes);
}

const void *page_at(uint64_t mem, uint64_t page)
{
	return (const void *)(mem + page * CKPT_PAGE_LEN);
}
