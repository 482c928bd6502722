// SPDX-License-Identifier: GPL-2.0-or-later
/* Contradictions of shared memory in an image are found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/pages.h"
#include "proc/image-check.h"
#include "proc/image.h"

#define PAGE CKPT_PAGE_LEN
#define AT 0x10000u

/**
 * struct parts - a sound image: a memfd by descriptor and by mapping, and a segment that is
 * attached whole, as two areas
 */
struct parts {
	struct ckpt_image image;
	struct ckpt_shm shms[2];
	struct ckpt_file files[3];
	struct ckpt_area areas[3];
	struct ckpt_mm mm;
	struct ckpt_fd fd;
	struct ckpt_fdtable table;
	struct ckpt_task task;
};

static char name[CKPT_SHM_NAME_MAX + 2];

static void make(struct parts *p)
{
	*p = (struct parts){
		.shms = {
			{ .kind = CKPT_SHM_MEMFD, .name = name, .size = 5, .space = 1 },
			{ .kind = CKPT_SHM_SYSV, .size = 2 * PAGE - 1, .space = 2, .id = 7 },
		},
		.files = {
			{ .kind = CKPT_FILE_REG },
			{ .kind = CKPT_FILE_SHM, .object = 0 },
			{ .kind = CKPT_FILE_SHM, .object = 1 },
		},
		.areas = {
			{ .start = AT, .end = AT + PAGE, .kind = CKPT_AREA_KIND_FILE_PRIVATE,
			  .file = 1 },
			{ .start = 2 * AT, .end = 2 * AT + PAGE, .file = 2,
			  .kind = CKPT_AREA_KIND_FILE_SHARED },
			{ .start = 2 * AT + PAGE, .end = 2 * AT + 2 * PAGE, .file = 2,
			  .pgoff = PAGE, .kind = CKPT_AREA_KIND_FILE_SHARED },
		},
		.mm = { .areas = p->areas, .n_areas = 3 },
		.fd = { .file = 1 },
		.table = { .fds = &p->fd, .n_fds = 1 },
		.task = { .pid = 2, .comm = "task" },
		.image = {
			.shms = p->shms, .n_shms = 2, .files = p->files, .n_files = 3,
			.mms = &p->mm, .n_mms = 1, .fdtables = &p->table, .n_fdtables = 1,
			.tasks = &p->task, .n_tasks = 1,
		},
	};
	memset(name, 'n', CKPT_SHM_NAME_MAX);
	name[CKPT_SHM_NAME_MAX] = 0;
}

static void test_sound(void **state)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	struct parts p;

	(void)state;
	make(&p);
	if (ckpt_shms_check(&p.image, &err) || ckpt_shms_restorable(&p.image, NULL, &err))
		fail_msg("%s", err.text);
	p.mm.exe = 1;
	assert_int_equal(ckpt_shms_check(&p.image, &err), 0);
	p.task.state = CKPT_TASK_ZOMBIE;
	p.task.mm = CKPT_NONE;
	assert_int_equal(ckpt_shms_restorable(&p.image, NULL, &err), 0);
}

static void expect_bad(void (*spoil)(struct parts *))
{
	struct ckpt_err err = CKPT_ERR_INIT;
	struct parts p;

	make(&p);
	spoil(&p);
	assert_int_equal(ckpt_shms_check(&p.image, &err), -1);
	assert_int_equal(err.status, CKPT_DAMAGED);
}

static void expect_refused(void (*spoil)(struct parts *))
{
	struct ckpt_err err = CKPT_ERR_INIT;
	struct parts p;

	make(&p);
	spoil(&p);
	assert_int_equal(ckpt_shms_check(&p.image, &err), 0);
	assert_int_equal(ckpt_shms_restorable(&p.image, NULL, &err), -1);
	assert_int_equal(err.status, CKPT_REFUSED);
	assert_non_null(strstr(err.text, "has a part of System V segment 7"));
}

#define SPOIL(what, expect, change) \
	static void spoil_##what(struct parts *p) { change; } \
	static void test_##what(void **state) { (void)state; expect(spoil_##what); }

SPOIL(kind, expect_bad, p->shms[0].kind = 3)
SPOIL(space, expect_bad, p->shms[0].space = CKPT_SPACE_MAX + 1)
SPOIL(size, expect_bad, p->shms[0].size = 1ull << 63)
SPOIL(nothing, expect_bad, p->shms[1].size = 0)
SPOIL(no_name, expect_bad, p->shms[0].name = NULL)
SPOIL(long_name, expect_bad, p->shms[0].name[CKPT_SHM_NAME_MAX] = 'n')
SPOIL(seals, expect_bad, p->shms[0].seals = 0x40)
SPOIL(id, expect_bad, p->shms[1].id = -1)
SPOIL(mode, expect_bad, p->shms[1].mode = 01000)
SPOIL(one_space, expect_bad, p->shms[1].space = 1)
SPOIL(one_id, expect_bad, (p->shms[0].kind = CKPT_SHM_SYSV, p->shms[0].id = 7))
SPOIL(exe, expect_bad, p->mm.exe = 2)
SPOIL(private, expect_bad, p->areas[1].kind = CKPT_AREA_KIND_FILE_PRIVATE)
SPOIL(fd, expect_bad, p->fd.file = 2)
SPOIL(only_end, expect_refused, p->areas[1].file = 1)
SPOIL(only_begin, expect_refused, p->mm.n_areas = 2)
SPOIL(apart, expect_refused, (p->areas[2].start += PAGE, p->areas[2].end += PAGE))
SPOIL(again, expect_refused, p->areas[2].pgoff = 0)
SPOIL(too_long, expect_refused, p->areas[2].end += PAGE)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sound), cmocka_unit_test(test_kind),
		cmocka_unit_test(test_space), cmocka_unit_test(test_size),
		cmocka_unit_test(test_nothing), cmocka_unit_test(test_no_name),
		cmocka_unit_test(test_long_name), cmocka_unit_test(test_seals),
		cmocka_unit_test(test_mode),
		cmocka_unit_test(test_id), cmocka_unit_test(test_one_space),
		cmocka_unit_test(test_one_id), cmocka_unit_test(test_exe),
		cmocka_unit_test(test_private), cmocka_unit_test(test_fd),
		cmocka_unit_test(test_only_end), cmocka_unit_test(test_only_begin),
		cmocka_unit_test(test_apart), cmocka_unit_test(test_again),
		cmocka_unit_test(test_too_long),
	};

	return cmocka_run_group_tests_name("proc image shm", tests, NULL, NULL);
}
