// SPDX-License-Identifier: GPL-2.0-or-later
/* Lineage: a delta only on top of exactly the checkpoint the tracker was told of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "flow/lineage.h"

#define BOOT "11111111-2222-3333-4444-555555555555"

static void setup(struct ckpt_newest *newest, struct ckpt_epoch *epoch)
{
	*newest = (struct ckpt_newest){ .id = 7, .lineage = { .boot_id = BOOT, .cookie = 5,
							     .generation = 2, .epoch = 9 } };
	*epoch = (struct ckpt_epoch){ .epoch = 10, .round = 1, .load_cookie = 5, .generation = 2 };
	memset(newest->uuid, 0xab, sizeof(newest->uuid));
	memset(epoch->committed, 0xab, sizeof(epoch->committed));
}

static void everything_equal_holds(void **state)
{
	struct ckpt_newest newest;
	struct ckpt_epoch epoch;

	(void)state;
	setup(&newest, &epoch);
	assert_true(ckpt_lineage_holds(&newest, &epoch, BOOT));
}

static void any_difference_breaks_it(void **state)
{
	struct ckpt_newest newest;
	struct ckpt_epoch epoch;

	(void)state;
	setup(&newest, &epoch);
	assert_false(ckpt_lineage_holds(&newest, &epoch, "another boot"));
	epoch.lost = 1;
	assert_false(ckpt_lineage_holds(&newest, &epoch, BOOT));
	setup(&newest, &epoch);
	epoch.load_cookie = 6;
	assert_false(ckpt_lineage_holds(&newest, &epoch, BOOT));
	setup(&newest, &epoch);
	epoch.generation = 3;
	assert_false(ckpt_lineage_holds(&newest, &epoch, BOOT));
	/* Another store: its newest checkpoint is not the one committed last. */
	setup(&newest, &epoch);
	newest.uuid[15] ^= 1;
	assert_false(ckpt_lineage_holds(&newest, &epoch, BOOT));
}

static void a_tracker_without_memory_never_holds(void **state)
{
	struct ckpt_newest newest;
	struct ckpt_epoch epoch;

	(void)state;
	setup(&newest, &epoch);
	newest.lineage.cookie = epoch.load_cookie = 0;
	newest.lineage.generation = epoch.generation = 0;
	memset(newest.uuid, 0, sizeof(newest.uuid));
	memset(epoch.committed, 0, sizeof(epoch.committed));
	assert_false(ckpt_lineage_holds(&newest, &epoch, BOOT));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_equal_holds),
		cmocka_unit_test(any_difference_breaks_it),
		cmocka_unit_test(a_tracker_without_memory_never_holds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
