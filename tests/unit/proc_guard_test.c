// SPDX-License-Identifier: GPL-2.0-or-later
/* Guard regions over a restore. Natively as root; on Linux 6.15 and newer, which show them. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/refused.h"
#include "lib/restore_cycle.h"
#include "proc/build.h"
#include "proc/guard.h"
#include "proc/image-check.h"

#define PROGRAM "guards"

/* Of the process that has most of them. */
static const struct ckpt_mm *guarded(const struct ckpt_image *image)
{
	const struct ckpt_mm *mm = image->mms;

	for (size_t i = 0; i < image->n_mms; i++) {
		if (image->mms[i].n_guards > mm->n_guards)
			mm = &image->mms[i];
	}
	return mm;
}

static bool makes_guards(void)
{
	void *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool makes = page != MAP_FAILED && !madvise(page, 4096, CKPT_GUARD_INSTALL);

	munmap(page, 4096);
	return makes;
}

static void restored(bool private)
{
	cleanup_with(cycle_saved_done) struct saved first = { 0 };
	cleanup_with(cycle_saved_done) struct saved second = { 0 };
	size_t n;

	if (!makes_guards())
		skip();
	cycle_save_program(PROGRAM, NULL, private, &first);
	n = guarded(&first.image)->n_guards;
	assert_in_range(n, 18, 20);
	cycle_restore_and_save(&first, 0, &second);
	assert_int_equal(guarded(&second.image)->n_guards, n);
	assert_memory_equal(guarded(&first.image)->guards, guarded(&second.image)->guards,
			    n * sizeof(struct ckpt_guard));
	cycle_go_on(&second);
}

static void test_restored(void **state)
{
	(void)state;
	restored(true);
}

static void test_restored_beside_us(void **state)
{
	(void)state;
	restored(false);
}

static void test_parts(void **state)
{
	struct ckpt_guard list[] = { { 0x2000, 0x4000 }, { 0x4000, 0x5000 }, { 0x8000, 0x9000 } };
	const struct ckpt_mm mm = { .guards = list, .n_guards = 3 };
	struct ckpt_guard g;

	(void)state;
	g = ckpt_guard_next(&mm, 0, 0x3000);
	assert_true(g.start == 0x2000 && g.end == 0x3000);
	g = ckpt_guard_next(&mm, 0x3000, 0x9000);
	assert_true(g.start == 0x3000 && g.end == 0x4000);
	g = ckpt_guard_next(&mm, 0x4000, 0x9000);
	assert_true(g.start == 0x4000 && g.end == 0x5000);
	g = ckpt_guard_next(&mm, 0x5000, 0x8000);
	assert_true(g.start == 0x8000 && g.end == 0x8000);
	g = ckpt_guard_next(&mm, 0x9000, 0xa000);
	assert_true(g.start == 0xa000 && g.end == 0xa000);
}

#define UNSOUND(change) do { \
	struct ckpt_guard list[] = { { 0x2000, 0x4000 }, { 0x5000, 0x6000 } }; \
	struct ckpt_area areas[] = { \
		{ .start = 0x2000, .end = 0x4000, .kind = CKPT_AREA_KIND_ANON }, \
		{ .start = 0x4000, .end = 0x6000, .kind = CKPT_AREA_KIND_FILE_SHARED }, \
	}; \
	const struct ckpt_mm mm = { .areas = areas, .n_areas = 2, .guards = list, .n_guards = 2 }; \
	struct ckpt_err err = CKPT_ERR_INIT; \
	assert_int_equal(ckpt_guards_check(&mm, &err), 0); \
	change; \
	assert_int_equal(ckpt_guards_check(&mm, &err), -1); \
	assert_int_equal(err.status, CKPT_DAMAGED); \
} while (0)

static void test_unsound(void **state)
{
	(void)state;
	UNSOUND(list[0].start = 0x1000);
	UNSOUND(list[0].end = 0x5000);
	UNSOUND(list[0].end = list[0].start);
	UNSOUND(list[0].start += 8);
	UNSOUND(list[1].start = 0x3000);
	UNSOUND(list[1].end = 0x7000);
	UNSOUND(list[1] = list[0]);
	UNSOUND(list[1].start = list[1].end = 0x8000);
	UNSOUND(areas[1].kind = CKPT_AREA_KIND_VVAR);
	UNSOUND(areas[1].start = 0x6000);
}

/* Guard regions cannot be made any more, as on an older kernel. */
static int forbid(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, CKPT_GUARD_INSTALL, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { .len = 6, .filter = code };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static int without(void *arg, struct ckpt_err *err)
{
	struct ckpt_guard list = { 0x2000, 0x3000 };
	struct ckpt_area area = { .start = 0x2000, .end = 0x4000, .kind = CKPT_AREA_KIND_ANON };
	const struct ckpt_mm mm = { .areas = &area, .n_areas = 1, .guards = &list, .n_guards = 1 };
	const struct ckpt_task task = { .pid = 5, .comm = "guarded" };

	(void)arg;
	if (forbid())
		_exit(2);
	return ckpt_guards_machine(&mm, &task, err);
}

static void test_kernel_without(void **state)
{
	(void)state;
	refused_aside(without, NULL, "pid 5 (guarded) has a guard region at 0x2000, as this kernel "
		      "makes none");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_restored),
		cmocka_unit_test(test_restored_beside_us),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_unsound),
		cmocka_unit_test(test_kernel_without),
	};

	return cmocka_run_group_tests_name("proc guard", tests, cycle_setup, cycle_teardown);
}
