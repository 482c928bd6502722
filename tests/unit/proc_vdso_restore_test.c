// SPDX-License-Identifier: GPL-2.0-or-later
/* Restores where the vdso is another: the image's is exchanged, this kernel's is the new one. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/restore_cycle.h"
#include "lib/vdso_made.h"
#include "proc/build.h"
#include "proc/remote.h"
#include "proc/stop.h"

/* Let the program go on, which finds its functions at these places, to its end. */
static void go(struct ckpt_restore *r, const struct vdso_function *list)
{
	char new[96], path[96];
	FILE *f;

	snprintf(new, sizeof(new), "/tmp/ckpt-restore-test-%d/new", getpid());
	snprintf(path, sizeof(path), "/tmp/ckpt-restore-test-%d/go", getpid());
	f = fopen(new, "we");
	assert_non_null(f);
	for (; list->name; list++)
		fprintf(f, "%s %lx\n", list->name, list->at);
	assert_int_equal(fclose(f) || rename(new, path), 0);
	cycle_finish(r, 0);
	unlink(path);
	assert_non_null(strstr(cycle_read_output(), "all well"));
}

static void same_places(bool private)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	struct vdso_function own[VDSO_FUNCTIONS];
	struct ckpt_restore_result result;
	struct ckpt_restore *r = NULL;

	vdso_own_places(own);
	cycle_save_program("vdso_calls", NULL, private, &s);
	vdso_exchange(&s.image, own);
	cycle_restore(&s, &r, &result);
	go(r, own);
}

static void goes_on_with_functions_at_the_same_places(void **state)
{
	(void)state;
	same_places(true);
}

static void goes_on_with_host_pids(void **state)
{
	(void)state;
	same_places(false);
}

/* One more function than this kernel has, one fewer, the others elsewhere. */
static void goes_on_with_functions_elsewhere(void **state)
{
	static const struct vdso_function moved[] = {
		{ "__vdso_getcpu", 0x840 }, { "clock_gettime", 0x1230 },
		{ "__vdso_clock_gettime", 0x1230 }, { "__vdso_gettimeofday", 0xfe0 },
		{ "__vdso_clock_getres", 0x1765 }, { "__vdso_sgx_enter_enclave", 0x900 },
		{ "__vdso_getrandom", 0x1440 }, { NULL }
	};
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	struct ckpt_restore_result result;
	struct ckpt_restore *r = NULL;

	(void)state;
	cycle_save_program("vdso_calls", NULL, true, &s);
	vdso_exchange(&s.image, moved);
	cycle_restore(&s, &r, &result);
	go(r, moved);
}

/* What capture finds then: memory at the old place, this kernel's vdso elsewhere. */
static void check_areas(const struct ckpt_image *image, uint64_t place)
{
	size_t old = 0, new = 0;

	for (size_t i = 0; i < image->mms[0].n_areas; i++) {
		const struct ckpt_area *a = &image->mms[0].areas[i];

		old += a->start == place && a->kind == CKPT_AREA_KIND_ANON && a->prot == 5;
		new += a->start != place && a->kind == CKPT_AREA_KIND_VDSO;
	}
	assert_int_equal(old, 1);
	assert_int_equal(new, 1);
}

/* Restored elsewhere, saved there, restored there, and once more elsewhere. */
static void goes_on_again(bool private)
{
	struct saved s[3] = { 0 };
	struct vdso_function own[VDSO_FUNCTIONS];
	struct ckpt_restore_result result;
	struct ckpt_restore *r = NULL;
	uint64_t place;

	vdso_own_places(own);
	cycle_save_program("vdso_calls", NULL, private, &s[0]);
	place = vdso_place(&s[0].image.mms[0]);
	vdso_exchange(&s[0].image, own);
	cycle_restore(&s[0], &r, &result);
	cycle_save_again(r, &s[1]);
	check_areas(&s[1].image, place);
	assert_true(ckpt_vdso_hash_is(s[1].image.vdso, s[1].image.vdso_len,
				      s[1].image.vdso_hash));
	cycle_restore(&s[1], &r, &result);
	cycle_save_again(r, &s[2]);
	check_areas(&s[2].image, place);
	vdso_exchange(&s[2].image, own);
	cycle_restore(&s[2], &r, &result);
	go(r, own);
	for (size_t i = 0; i < 3; i++)
		cycle_saved_done(&s[i]);
}

static void goes_on_from_kernel_to_kernel(void **state)
{
	(void)state;
	goes_on_again(true);
	goes_on_again(false);
}

/* The path for one vdso stays what it was. */
static void leaves_the_same_where_it_was(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	struct vdso_function own[VDSO_FUNCTIONS];
	struct ckpt_restore_result result;
	struct ckpt_restore *r = NULL;
	struct ckpt_vdso v;

	(void)state;
	vdso_own_places(own);
	cycle_save_program("vdso_calls", NULL, true, &s);
	cycle_restore(&s, &r, &result);
	assert_int_equal(ckpt_vdso_survey(result.root_pid, &v, NULL), 0);
	assert_int_equal(v.base + v.part[v.n - 1].offset, vdso_place(&s.image.mms[0]));
	go(r, own);
}

/* Who gets at the old vdso after it was built is found out. */
static void compares_the_old_vdso(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	struct ckpt_restore_params params = { .image = &s.image, .source = &s.source,
					      .cgroup = cycle_cgroup_dir };
	struct vdso_function own[VDSO_FUNCTIONS];
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_restore *r = NULL;
	uint8_t byte = 0;

	(void)state;
	vdso_own_places(own);
	cycle_save_program("vdso_calls", NULL, true, &s);
	vdso_exchange(&s.image, own);
	params.stdio[0] = params.stdio[1] = params.stdio[2] = open("/dev/null", O_RDWR | O_CLOEXEC);
	cycle_check(ckpt_restore_build(&params, &r, &err) || ckpt_restore_verify(r, &err), &err);
	cycle_check(ckpt_remote_write(ckpt_restore_root(r), vdso_place(&s.image.mms[0]) +
				      own[0].at, &byte, 1, &err), &err);
	assert_int_equal(ckpt_restore_verify(r, &err), -1);
	assert_int_equal(err.status, CKPT_DAMAGED);
	assert_non_null(strstr(err.text, "its vdso is not that of the checkpoint"));
	ckpt_restore_close(r);
	close(params.stdio[0]);
	cycle_fresh_cgroup();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(goes_on_with_functions_at_the_same_places),
		cmocka_unit_test(goes_on_with_host_pids),
		cmocka_unit_test(goes_on_with_functions_elsewhere),
		cmocka_unit_test(goes_on_from_kernel_to_kernel),
		cmocka_unit_test(leaves_the_same_where_it_was),
		cmocka_unit_test(compares_the_old_vdso),
	};

	return cmocka_run_group_tests(tests, cycle_setup, cycle_teardown);
}
