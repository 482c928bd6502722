// SPDX-License-Identifier: GPL-2.0-or-later
/* Sealed memory over a restore. Natively as root; on Linux 6.10 and newer. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/refused.h"
#include "lib/restore_cycle.h"
#include "proc/build.h"

#ifndef SYS_mseal
#define SYS_mseal 462
#endif

static size_t sealed(const struct ckpt_image *image)
{
	size_t n = 0;

	for (size_t i = 0; i < image->n_mms; i++) {
		for (size_t j = 0; j < image->mms[i].n_areas; j++) {
			const struct ckpt_area *a = &image->mms[i].areas[j];

			n += a->kind <= CKPT_AREA_KIND_FILE_SHARED &&
			     a->flags & CKPT_AREA_F_SEALED;
		}
	}
	return n;
}

static void restored(bool private)
{
	cleanup_with(cycle_saved_done) struct saved first = { 0 };
	cleanup_with(cycle_saved_done) struct saved second = { 0 };

	if (syscall(SYS_mseal, 4096, 0, 1) && errno == ENOSYS)
		skip();
	cycle_save_program("sealed", NULL, private, &first);
	assert_int_equal(sealed(&first.image), 7);
	cycle_restore_and_save(&first, 0, &second);
	assert_int_equal(sealed(&second.image), 7);
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

/* As on a kernel that does not know the call. */
static int without(void *arg, struct ckpt_err *err)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mseal, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { .len = 4, .filter = code };
	struct ckpt_area area = { .start = 0x2000, .end = 0x4000, .file = CKPT_NONE,
				  .kind = CKPT_AREA_KIND_ANON, .flags = CKPT_AREA_F_SEALED };
	struct ckpt_mm mm = { .areas = &area, .n_areas = 1 };
	struct ckpt_thread thread = { .tid = 5 };
	struct ckpt_task task = { .pid = 5, .comm = "sealed", .threads = &thread,
				  .n_threads = 1 };
	const struct ckpt_image image = { .tasks = &task, .n_tasks = 1, .mms = &mm, .n_mms = 1 };

	(void)arg;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		_exit(2);
	return ckpt_machine_check(&image, err);
}

static void test_kernel_without(void **state)
{
	(void)state;
	refused_aside(without, NULL, "pid 5 (sealed) has memory at 0x2000 of a kind that this "
		      "kernel does not make");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_restored),
		cmocka_unit_test(test_restored_beside_us),
		cmocka_unit_test(test_kernel_without),
	};

	return cmocka_run_group_tests_name("proc sealed", tests, cycle_setup, cycle_teardown);
}
