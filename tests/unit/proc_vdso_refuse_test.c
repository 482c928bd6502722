// SPDX-License-Identifier: GPL-2.0-or-later
/* Who cannot go on with another vdso, and who cannot be captured with the one it has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/proc_group.h"
#include "lib/restore_cycle.h"
#include "lib/vdso_made.h"
#include "proc/build.h"
#include "proc/stop.h"

/* The same code, and yet another vdso: its end is no code. */
static void exchange_nothing(struct ckpt_image *image)
{
	image->vdso[image->vdso_len - 1] ^= 1;
	vdso_hash_again(image);
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
	struct vdso_function own[VDSO_FUNCTIONS];
	struct user_regs_struct *regs;
	uint64_t base, rip;

	(void)state;
	vdso_own_places(own);
	cycle_save_program("vdso_calls", NULL, true, &s);
	vdso_exchange(&s.image, own);
	base = vdso_place(&s.image.mms[0]);
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
	struct vdso_function own[VDSO_FUNCTIONS];
	uint64_t base, sp;

	(void)state;
	vdso_own_places(own);
	cycle_save_program("vdso_calls", NULL, true, &s);
	vdso_exchange(&s.image, own);
	s.image.vdso[own[0].at + 8] = 0xe8;
	vdso_hash_again(&s.image);
	base = vdso_place(&s.image.mms[0]);
	sp = s.image.tasks[0].threads[0].regs.rsp & ~7ull;
	poke(&s, sp + 64, base + own[0].at + 13);
	pass(&s);
	poke(&s, sp + 64, base + own[0].at + 12);
	refuse(&s, CKPT_REFUSED, "interrupted by a signal");
}

/* What the kernel saves of a thread for a signal: stack, instruction, flags, segments. */
static void poke_context(struct saved *s, uint64_t at, uint64_t sp, uint64_t ip)
{
	const uint64_t words[] = { sp, ip, 0x246, 0x002b000000000033 };

	for (size_t i = 0; i < 4; i++)
		poke(s, at + i * 8, words[i]);
}

/* The byte that would be a call before where the signal came is a part of something else. */
static void knows_a_context_from_a_return(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	struct vdso_function own[VDSO_FUNCTIONS];
	uint64_t base, sp;

	(void)state;
	vdso_own_places(own);
	cycle_save_program("vdso_calls", NULL, true, &s);
	vdso_exchange(&s.image, own);
	s.image.vdso[own[0].at + 8] = 0xe8;
	vdso_hash_again(&s.image);
	base = vdso_place(&s.image.mms[0]);
	sp = s.image.tasks[0].threads[0].regs.rsp & ~7ull;
	poke_context(&s, sp + 64, sp, base + own[0].at);
	pass(&s);
	poke_context(&s, sp + 64, sp, base + own[0].at + 13);
	refuse(&s, CKPT_REFUSED, "was interrupted by a signal in the vdso of Linux");
	/* no segment of code */
	poke(&s, sp + 88, 0x002b000000000034);
	pass(&s);
}

/* Memory that is neither a stack nor the vdso: @nth page of the largest area. */
static uint64_t elsewhere(const struct saved *s, uint64_t nth)
{
	const struct ckpt_area *found = NULL;
	const uint64_t sp = s->image.tasks[0].threads[0].regs.rsp;

	for (size_t i = 0; i < s->image.mms[0].n_areas; i++) {
		const struct ckpt_area *a = &s->image.mms[0].areas[i];

		if (a->kind == CKPT_AREA_KIND_ANON && (sp < a->start || sp >= a->end) &&
		    (!found || a->end - a->start > found->end - found->start))
			found = a;
	}
	assert_non_null(found);
	assert_in_range(nth, 0, (found->end - found->start) / CKPT_PAGE_LEN - 1);
	return found->end - (nth + 1) * CKPT_PAGE_LEN;
}

/* More contexts than signals can nest: that none of them came in the vdso cannot be known. */
static void refuses_too_many_contexts(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	struct vdso_function own[VDSO_FUNCTIONS];
	uint64_t sp;

	(void)state;
	vdso_own_places(own);
	cycle_save_program("vdso_calls", NULL, true, &s);
	vdso_exchange(&s.image, own);
	sp = s.image.tasks[0].threads[0].regs.rsp & ~7ull;
	for (uint64_t i = 0; i < CKPT_NSIG; i++)
		poke_context(&s, sp + 64 + i * 32, elsewhere(&s, 0) + 4000 - i * 8, 0);
	pass(&s);
	poke_context(&s, sp + 64 + CKPT_NSIG * 32, elsewhere(&s, 1), 0);
	refuse(&s, CKPT_REFUSED, "by so many signals that one may have come in the vdso of Linux");
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
	refuses_interrupted("disarmed");
}

static void refuses_what_it_cannot_lead(void **state)
{
	static const struct vdso_function strange[] = { { "__vdso_teleport", 0x900 }, { NULL } };
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	struct vdso_function own[VDSO_FUNCTIONS];
	struct ckpt_area *a;
	size_t len;

	(void)state;
	vdso_own_places(own);
	cycle_save_program("vdso_calls", NULL, true, &s);
	vdso_exchange(&s.image, strange);
	refuse(&s, CKPT_REFUSED, "has a function '__vdso_teleport' that this kernel lacks");
	vdso_exchange(&s.image, own);
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
	vdso_hash_again(&s.image);
	refuse(&s, CKPT_DAMAGED, "process image: the vdso is no shared object");
}

static char *vdso_at(size_t *ret_len)
{
	struct ckpt_vdso v;

	if (ckpt_vdso_survey(getpid(), &v, NULL))
		_exit(1);
	*ret_len = v.part[v.n - 1].len;
	return (char *)v.base + v.part[v.n - 1].offset;
}

/* As a debugger does that stops who calls there, or who fakes the time. */
static void change(void)
{
	size_t len;
	char *code = vdso_at(&len);

	if (mprotect(code, len, PROT_READ | PROT_WRITE | PROT_EXEC))
		_exit(1);
	code[len - 1] ^= 1;
	if (mprotect(code, len, PROT_READ | PROT_EXEC))
		_exit(1);
}

static void let_it_be_changed(void)
{
	size_t len;
	char *code = vdso_at(&len);

	if (mprotect(code, len, PROT_READ | PROT_WRITE | PROT_EXEC))
		_exit(1);
}

static void move_code(void)
{
	size_t len;
	char *code = vdso_at(&len);
	void *to = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (to == MAP_FAILED ||
	    mremap(code, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, to) != to)
		_exit(1);
}

static void unmap_data(void)
{
	struct ckpt_vdso v;

	if (ckpt_vdso_survey(getpid(), &v, NULL) || munmap((void *)v.base, v.part[0].len))
		_exit(1);
}

/* A restore would give it one of the kernel's again: it is refused while it runs. */
static void refuses_who_has_changed_its_own(void **state)
{
	static const struct proc_group_refusal cases[] = {
		{ change, "has another vdso than ckpt-tool: one of them has changed its own" },
		{ let_it_be_changed, "has unmapped, moved or protected a part of its vdso" },
		{ move_code, "has unmapped, moved or protected a part of its vdso" },
		{ unmap_data, "has unmapped, moved or protected a part of its vdso" },
	};

	(void)state;
	proc_group_refusals(cases, sizeof(cases) / sizeof(cases[0]));
}

/* All that a process can have is taken. */
static void refuses_where_no_room_is(void **state)
{
	struct ckpt_area all = { .end = 1ull << 47, .file = CKPT_NONE };
	const struct ckpt_mm mm = { .areas = &all, .n_areas = 1 };
	struct ckpt_err err = CKPT_ERR_INIT;
	uint64_t at = 0;

	(void)state;
	assert_int_equal(ckpt_vdso_room(&mm, 0x7ffff0000000, NULL, 0x6000, &at, &err), -1);
	assert_int_equal(err.status, CKPT_REFUSED);
	assert_non_null(strstr(err.text, "leaves no room of 24576 bytes for the vdso"));
	all.start = 0x700000000000;
	assert_int_equal(ckpt_vdso_room(&mm, 0x7ffff0000000, NULL, 0x6000, &at, &err), 0);
	assert_true(at && at + 0x6000 <= all.start);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_who_is_inside),
		cmocka_unit_test(passes_over_returns),
		cmocka_unit_test(knows_a_context_from_a_return),
		cmocka_unit_test(refuses_too_many_contexts),
		cmocka_unit_test(refuses_what_a_handler_interrupted),
		cmocka_unit_test(refuses_what_two_handlers_interrupted),
		cmocka_unit_test(refuses_what_it_cannot_lead),
		cmocka_unit_test(refuses_where_no_room_is),
		cmocka_unit_test(refuses_who_has_changed_its_own),
	};

	return cmocka_run_group_tests(tests, cycle_setup, cycle_teardown);
}
