// SPDX-License-Identifier: GPL-2.0-or-later
/* Restores where the vdso is another: the image's is exchanged, this kernel's is the new one. */
#include <fcntl.h>
#include <openssl/sha.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/proc_group.h"
#include "lib/restore_cycle.h"
#include "lib/vdso_made.h"
#include "proc/build.h"
#include "proc/remote.h"
#include "proc/stop.h"

#define FUNCTIONS 16

/* Where the functions of this kernel's are, under the names that the program knows. */
static void own_places(struct vdso_function ret[FUNCTIONS])
{
	static const char *const names[] = {
		"__vdso_clock_gettime", "__vdso_gettimeofday", "__vdso_time", "__vdso_getcpu",
		"__vdso_clock_getres", "__vdso_getrandom",
	};
	size_t n = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (vdso_own_at(names[i]))
			ret[n++] = (struct vdso_function){ names[i], vdso_own_at(names[i]) };
	}
	ret[n] = (struct vdso_function){ 0 };
}

static void hash_again(struct ckpt_image *image)
{
	SHA256(image->vdso, image->vdso_len, image->vdso_hash);
}

/* From now on the image is one of a kernel with such a vdso. */
static void exchange(struct ckpt_image *image, const struct vdso_function *list)
{
	assert_true(image->vdso_len >= VDSO_MADE_LEN);
	vdso_made(image->vdso, image->vdso_len, list);
	hash_again(image);
}

/* The same code, and yet another vdso: its end is no code. */
static void exchange_nothing(struct ckpt_image *image)
{
	image->vdso[image->vdso_len - 1] ^= 1;
	hash_again(image);
}

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
	struct vdso_function own[FUNCTIONS];
	struct ckpt_restore_result result;
	struct ckpt_restore *r = NULL;

	own_places(own);
	cycle_save_program("vdso_calls", NULL, private, &s);
	exchange(&s.image, own);
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
	exchange(&s.image, moved);
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

static uint64_t place_of_vdso(const struct ckpt_mm *mm)
{
	for (size_t i = 0; i < mm->n_areas; i++) {
		if (mm->areas[i].kind == CKPT_AREA_KIND_VDSO)
			return mm->areas[i].start;
	}
	return 0;
}

/* Restored elsewhere, saved there, restored there, and once more elsewhere. */
static void goes_on_again(bool private)
{
	struct saved s[3] = { 0 };
	struct vdso_function own[FUNCTIONS];
	struct ckpt_restore_result result;
	struct ckpt_restore *r = NULL;
	uint64_t place;

	own_places(own);
	cycle_save_program("vdso_calls", NULL, private, &s[0]);
	place = place_of_vdso(&s[0].image.mms[0]);
	exchange(&s[0].image, own);
	cycle_restore(&s[0], &r, &result);
	cycle_save_again(r, &s[1]);
	check_areas(&s[1].image, place);
	assert_true(ckpt_vdso_hash_is(s[1].image.vdso, s[1].image.vdso_len,
				      s[1].image.vdso_hash));
	cycle_restore(&s[1], &r, &result);
	cycle_save_again(r, &s[2]);
	check_areas(&s[2].image, place);
	exchange(&s[2].image, own);
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
	struct vdso_function own[FUNCTIONS];
	struct ckpt_restore_result result;
	struct ckpt_restore *r = NULL;
	struct ckpt_vdso v;

	(void)state;
	own_places(own);
	cycle_save_program("vdso_calls", NULL, true, &s);
	cycle_restore(&s, &r, &result);
	assert_int_equal(ckpt_vdso_survey(result.root_pid, &v, NULL), 0);
	assert_int_equal(v.base + v.part[v.n - 1].offset, place_of_vdso(&s.image.mms[0]));
	go(r, own);
}

static void refuse(struct saved *s, int status, const char *says)
{
	struct ckpt_restore_params params = { .image = &s->image, .source = &s->source };
	struct ckpt_err err = CKPT_ERR_INIT;

	assert_int_equal(ckpt_restore_preflight(&params, &err), -1);
	if (err.status != (enum ckpt_status)status || !strstr(err.text, says))
		fail_msg("\"%s\" (status %d) does not say \"%s\"", err.text, err.status, says);
}

static void pass(struct saved *s)
{
	struct ckpt_restore_params params = { .image = &s->image, .source = &s->source };
	struct ckpt_err err = CKPT_ERR_INIT;

	cycle_check(ckpt_restore_preflight(&params, &err), &err);
}

/* Write a word into the memory of an image; where its page is not stored it is then. */
static void poke(struct saved *s, uint64_t at, uint64_t word)
{
	const struct ckpt_sink sink = mem_sink(&s->store);
	const uint32_t space = s->image.mms[0].space;
	uint8_t page[CKPT_PAGE_LEN];
	enum ckpt_page_kind kind;

	assert_int_equal(s->source.get(s->source.self, space, at >> 12, page, &kind, NULL), 0);
	memcpy(page + at % CKPT_PAGE_LEN, &word, sizeof(word));
	assert_int_equal(sink.put(sink.self, space, at >> 12, page, 1, NULL), 0);
}

static void refuses_who_is_inside(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	struct vdso_function own[FUNCTIONS];
	struct user_regs_struct *regs;
	uint64_t base, rip;

	(void)state;
	own_places(own);
	cycle_save_program("vdso_calls", NULL, true, &s);
	exchange(&s.image, own);
	base = place_of_vdso(&s.image.mms[0]);
	regs = &s.image.tasks[0].threads[1].regs;
	pass(&s);
	rip = regs->rip;
	regs->rip = base + own[0].at + 4;
	refuse(&s, CKPT_REFUSED, "(vdso_calls) was in the vdso of Linux");
	refuse(&s, CKPT_REFUSED, "boot that kernel, or take another checkpoint there");
	/* at its beginning it is not inside */
	regs->rip = base + own[0].at;
	pass(&s);
	regs->rip = rip;
	/* nor is what lies below the stack, or points to a beginning, or is not in the code */
	poke(&s, (regs->rsp & ~7ull) - 8, base + own[0].at + 4);
	poke(&s, (regs->rsp & ~7ull) + 16, base + own[0].at);
	poke(&s, (regs->rsp & ~7ull) + 24, base + 8);
	pass(&s);
	poke(&s, (regs->rsp & ~7ull) + 32, base + own[0].at + 4);
	refuse(&s, CKPT_REFUSED, "was interrupted by a signal in the vdso of Linux");
}

/* What a call inside of the vdso has left on a stack says nothing. */
static void passes_over_returns(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	struct vdso_function own[FUNCTIONS];
	uint64_t base, sp;

	(void)state;
	own_places(own);
	cycle_save_program("vdso_calls", NULL, true, &s);
	exchange(&s.image, own);
	s.image.vdso[own[0].at + 8] = 0xe8;
	hash_again(&s.image);
	base = place_of_vdso(&s.image.mms[0]);
	sp = s.image.tasks[0].threads[0].regs.rsp & ~7ull;
	poke(&s, sp + 64, base + own[0].at + 13);
	pass(&s);
	poke(&s, sp + 64, base + own[0].at + 12);
	refuse(&s, CKPT_REFUSED, "interrupted by a signal");
}

static void refuses_interrupted(const char *how)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };

	cycle_save_program("vdso_interrupted", (char *)how, true, &s);
	pass(&s);
	exchange_nothing(&s.image);
	refuse(&s, CKPT_REFUSED, "(vdso_interrupte) was interrupted by a signal in the vdso");
}

static void refuses_what_a_handler_interrupted(void **state)
{
	(void)state;
	refuses_interrupted(NULL);
}

/* The handler that is running is on a stack of its own, the one below it is not. */
static void refuses_what_two_handlers_interrupted(void **state)
{
	(void)state;
	refuses_interrupted("nested");
}

static void refuses_what_it_cannot_lead(void **state)
{
	static const struct vdso_function strange[] = { { "__vdso_teleport", 0x900 }, { NULL } };
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	struct vdso_function own[FUNCTIONS];
	struct ckpt_area *a;
	size_t len;

	(void)state;
	own_places(own);
	cycle_save_program("vdso_calls", NULL, true, &s);
	exchange(&s.image, strange);
	refuse(&s, CKPT_REFUSED, "has a function '__vdso_teleport' that this kernel lacks");
	exchange(&s.image, own);
	for (a = s.image.mms[0].areas; a->kind != CKPT_AREA_KIND_VDSO;)
		a++;
	a->end -= CKPT_PAGE_LEN;
	refuse(&s, CKPT_REFUSED, "the vdso of an address space is not whole");
	a->end += CKPT_PAGE_LEN;
	/* what older versions have stored */
	len = s.image.vdso_len;
	s.image.vdso_len = 0;
	refuse(&s, CKPT_REFUSED, "the vdso of this kernel is not that of Linux");
	s.image.vdso_len = len;
	s.image.vdso_hash[0] ^= 1;
	refuse(&s, CKPT_DAMAGED, "its vdso has another hash");
	s.image.vdso_hash[0] ^= 1;
	s.image.vdso_len--;
	refuse(&s, CKPT_DAMAGED, "a vdso has");
	s.image.vdso_len++;
	s.image.vdso[1] = 0;
	hash_again(&s.image);
	refuse(&s, CKPT_DAMAGED, "process image: the vdso is no shared object");
}

/* Who gets at the old vdso after it was built is found out. */
static void compares_the_old_vdso(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	struct ckpt_restore_params params = { .image = &s.image, .source = &s.source,
					      .cgroup = cycle_cgroup_dir };
	struct vdso_function own[FUNCTIONS];
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_restore *r = NULL;
	uint8_t byte = 0;

	(void)state;
	own_places(own);
	cycle_save_program("vdso_calls", NULL, true, &s);
	exchange(&s.image, own);
	params.stdio[0] = params.stdio[1] = params.stdio[2] = open("/dev/null", O_RDWR | O_CLOEXEC);
	cycle_check(ckpt_restore_build(&params, &r, &err) || ckpt_restore_verify(r, &err), &err);
	cycle_check(ckpt_remote_write(ckpt_restore_root(r), place_of_vdso(&s.image.mms[0]) +
				      own[0].at, &byte, 1, &err), &err);
	assert_int_equal(ckpt_restore_verify(r, &err), -1);
	assert_int_equal(err.status, CKPT_DAMAGED);
	assert_non_null(strstr(err.text, "its vdso is not that of the checkpoint"));
	ckpt_restore_close(r);
	close(params.stdio[0]);
	cycle_fresh_cgroup();
}

/* As a debugger does that stops who calls there. */
static void change_own_vdso(void)
{
	char *code = (char *)getauxval(AT_SYSINFO_EHDR);

	if (mprotect(code, VDSO_MADE_LEN, PROT_READ | PROT_WRITE | PROT_EXEC))
		_exit(1);
	code[VDSO_MADE_LEN - 1] ^= 1;
}

static void be(void)
{
}

static void refuses_who_has_changed_its_own(void **state)
{
	struct ckpt_stop_params params = { .hold_ms = 60000 };
	char cgroup[256];

	(void)state;
	assert_int_equal(proc_group_make("vdso", cgroup, sizeof(cgroup)), 0);
	params.cgroup = cgroup;
	assert_true(proc_group_spawn(cgroup, be) > 0);
	assert_true(proc_group_spawn(cgroup, change_own_vdso) > 0);
	proc_group_refused(&params, "has another vdso than the process before it");
	proc_group_end(cgroup);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(goes_on_with_functions_at_the_same_places),
		cmocka_unit_test(goes_on_with_host_pids),
		cmocka_unit_test(goes_on_with_functions_elsewhere),
		cmocka_unit_test(goes_on_from_kernel_to_kernel),
		cmocka_unit_test(leaves_the_same_where_it_was),
		cmocka_unit_test(refuses_who_is_inside),
		cmocka_unit_test(passes_over_returns),
		cmocka_unit_test(refuses_what_a_handler_interrupted),
		cmocka_unit_test(refuses_what_two_handlers_interrupted),
		cmocka_unit_test(refuses_what_it_cannot_lead),
		cmocka_unit_test(compares_the_old_vdso),
		cmocka_unit_test(refuses_who_has_changed_its_own),
	};

	return cmocka_run_group_tests(tests, cycle_setup, cycle_teardown);
}
