// SPDX-License-Identifier: GPL-2.0-or-later
/* Vdsos as bytes: what is read in them, crafted ones, and what leads from one to another. */
#include <elf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "base/pages.h"
#include "lib/vdso_made.h"

static const struct vdso_function plain[] = {
	{ "__vdso_clock_gettime", 0x900 }, { "clock_gettime", 0x900 },
	{ "__vdso_gettimeofday", 0x940 }, { "__vdso_time", 0x980 }, { "__vdso_getcpu", 0x9c0 },
	{ "__vdso_clock_getres", 0xa00 }, { "__vdso_getrandom", 0xa40 },
	{ "__vdso_sgx_enter_enclave", 0xa80 }, { NULL }
};

static void reads_own(void **state)
{
	struct ckpt_vdso_code own;
	uint64_t at = vdso_own_at("__vdso_clock_gettime");

	(void)state;
	vdso_own(&own);
	assert_true(own.n >= 8);
	assert_int_equal(at, vdso_own_at("clock_gettime"));
	assert_true(at >= own.start && at < own.end);
	assert_false(ckpt_vdso_inside(&own, at));
	assert_true(ckpt_vdso_inside(&own, at + 1));
	assert_true(ckpt_vdso_inside(&own, own.start + 1));
	assert_false(ckpt_vdso_inside(&own, own.end));
	assert_false(ckpt_vdso_inside(&own, own.start - 1));
	assert_false(ckpt_vdso_inside(&own, -8ull));
}

static void reads_made(void **state)
{
	uint8_t data[VDSO_MADE_LEN];
	struct ckpt_vdso_code c;

	(void)state;
	vdso_made(data, sizeof(data), plain);
	assert_null(ckpt_vdso_parse(data, sizeof(data), &c));
	assert_int_equal(c.n, 8);
	assert_int_equal(c.start, VDSO_MADE_TEXT);
	assert_int_equal(c.end, VDSO_MADE_END);
	for (size_t i = 0; i < c.n; i++)
		assert_int_equal(c.symbol[i].at, plain[i].at);
	data[0x900] = 0xe8;
	assert_true(ckpt_vdso_returns(&c, 0x905));
	assert_false(ckpt_vdso_returns(&c, 0x904));
	assert_false(ckpt_vdso_returns(&c, 2));
	assert_false(ckpt_vdso_returns(&c, VDSO_MADE_END + 1));
}

/* A made one with another number somewhere; @size 0: cut to @value bytes. */
static const struct {
	size_t at, size;
	uint64_t value;
	const char *wrong;
} crafted[] = {
#define HEAD(member, value, wrong) \
	{ offsetof(Elf64_Ehdr, member), sizeof(((Elf64_Ehdr *)0)->member), value, wrong }
#define SECTION(i, member, value, wrong) \
	{ VDSO_MADE_SECTIONS + (i) * sizeof(Elf64_Shdr) + offsetof(Elf64_Shdr, member), \
	  sizeof(((Elf64_Shdr *)0)->member), value, wrong }
#define SYMBOL(i, member, value, wrong) \
	{ VDSO_MADE_SYMBOLS + (i) * sizeof(Elf64_Sym) + offsetof(Elf64_Sym, member), \
	  sizeof(((Elf64_Sym *)0)->member), value, wrong }
	{ 0, 0, 0, "is too short" },
	{ 0, 0, sizeof(Elf64_Ehdr) - 1, "is too short" },
	{ 0, 0, 0x1000, "has a table that is not in it" },
	{ 0, 0, VDSO_MADE_SECTIONS + 4 * sizeof(Elf64_Shdr) - 1, "has a table that is not in it" },
	{ 0, 1, 0, "is no shared object" },
	{ EI_CLASS, 1, ELFCLASS32, "is no shared object" },
	HEAD(e_machine, EM_386, "is no shared object"),
	HEAD(e_type, ET_EXEC, "is no shared object"),
	HEAD(e_shentsize, 1, "is no shared object"),
	HEAD(e_shoff, VDSO_MADE_LEN, "has a table that is not in it"),
	HEAD(e_shoff, ~0ull, "has a table that is not in it"),
	HEAD(e_shnum, 0xffff, "has a table that is not in it"),
	HEAD(e_shnum, 3, "has no code"),
	HEAD(e_shnum, 0, "has no code"),
	SECTION(1, sh_type, SHT_SYMTAB, "has no functions"),
	SECTION(1, sh_size, 0, "has no functions"),
	SECTION(1, sh_size, 25, "has a table that is not in it"),
	SECTION(1, sh_size, 24ull << 58, "has a table that is not in it"),
	SECTION(1, sh_offset, ~0ull, "has a table that is not in it"),
	SECTION(1, sh_offset, VDSO_MADE_LEN - 24, "has a table that is not in it"),
	SECTION(1, sh_link, 4, "has names in a section that is not there"),
	SECTION(1, sh_link, ~0u, "has names in a section that is not there"),
	SECTION(2, sh_size, ~0ull, "has a table that is not in it"),
	SECTION(2, sh_size, 8, "has a function whose name is not in it"),
	SECTION(2, sh_size, 0, "has a function whose name is not in it"),
	SECTION(2, sh_offset, VDSO_MADE_LEN, "has a table that is not in it"),
	SECTION(3, sh_size, ~0ull, "has code that is not in it"),
	SECTION(3, sh_offset, VDSO_MADE_LEN + 1, "has code that is not in it"),
	SECTION(3, sh_addr, 0x10000, "has code that is not in it"),
	SECTION(3, sh_flags, SHF_ALLOC, "has no code"),
	SECTION(3, sh_size, 0x100, "has a function that is not in its code"),
	SYMBOL(1, st_name, ~0u, "has a function whose name is not in it"),
	SYMBOL(1, st_value, ~0ull, "has a function that is not in its code"),
	SYMBOL(1, st_value, VDSO_MADE_END, "has a function that is not in its code"),
	SYMBOL(1, st_value, VDSO_MADE_TEXT - 1, "has a function that is not in its code"),
	SYMBOL(1, st_value, VDSO_MADE_END - 4, "has functions that overlap"),
	SYMBOL(1, st_value, 0x944, "has functions that overlap"),
	SYMBOL(3, st_value, 0x904, "has functions that overlap"),
};

static void finds_crafted(void **state)
{
	static uint8_t data[VDSO_MADE_LEN];
	struct ckpt_vdso_code before = { .len = 1 }, c;

	(void)state;
	for (size_t i = 0; i < sizeof(crafted) / sizeof(crafted[0]); i++) {
		/* all that is beyond it is poisoned */
		size_t len = crafted[i].size ? sizeof(data) : crafted[i].value;
		uint8_t *copy = test_malloc(len + 1);
		const char *wrong;

		vdso_made(data, sizeof(data), plain);
		memcpy(data + crafted[i].at, &crafted[i].value, crafted[i].size);
		memcpy(copy, data, len);
		c = before;
		wrong = ckpt_vdso_parse(copy, len, &c);
		if (!wrong || !strstr(wrong, crafted[i].wrong))
			fail_msg("case %zu: \"%s\" instead of \"%s\"", i, wrong, crafted[i].wrong);
		assert_int_equal(c.len, 1);
		test_free(copy);
	}
}

static void finds_too_many(void **state)
{
	static uint8_t data[VDSO_MADE_LEN];
	const uint64_t size = (CKPT_VDSO_SYMBOLS + 2) * sizeof(Elf64_Sym);
	const size_t head = VDSO_MADE_SECTIONS + sizeof(Elf64_Shdr);
	struct ckpt_vdso_code c;
	uint64_t at = 0x1000;

	/* the same function again and again */
	(void)state;
	vdso_made(data, sizeof(data), plain);
	for (int i = 0; i < CKPT_VDSO_SYMBOLS + 2; i++)
		memcpy(data + at + i * sizeof(Elf64_Sym),
		       data + VDSO_MADE_SYMBOLS + sizeof(Elf64_Sym), sizeof(Elf64_Sym));
	memcpy(data + head + offsetof(Elf64_Shdr, sh_offset), &at, sizeof(at));
	memcpy(data + head + offsetof(Elf64_Shdr, sh_size), &size, sizeof(size));
	assert_string_equal(ckpt_vdso_parse(data, sizeof(data), &c),
			    "has more functions than are known");
}

/* Any byte may be anything: nothing is read that is not there. */
static void bears_any_byte(void **state)
{
	static uint8_t data[VDSO_MADE_LEN];
	uint8_t patched[VDSO_MADE_LEN];
	struct ckpt_vdso_code own, c;
	uint32_t seed = 1;

	(void)state;
	vdso_own(&own);
	for (int i = 0; i < 20000; i++) {
		vdso_made(data, sizeof(data), plain);
		for (int j = 0; j < 3; j++) {
			size_t part = (seed = seed * 1664525 + 1013904223) >> 30;
			const size_t starts[] = { 0, VDSO_MADE_SYMBOLS, VDSO_MADE_NAMES,
						  VDSO_MADE_SECTIONS };

			seed = seed * 1664525 + 1013904223;
			data[starts[part] + (seed >> 8) % 256] = seed >> 16;
		}
		if (!ckpt_vdso_parse(data, sizeof(data), &c))
			ckpt_vdso_patch(&c, 0x7000000, &own, 0x10000000, "x", patched, NULL);
	}
}

struct calls {
	long (*clock_gettime)(clockid_t clock, struct timespec *t);
	long (*gettimeofday)(struct timeval *t, void *zone);
	time_t (*time)(time_t *t);
	long (*getcpu)(unsigned int *cpu, unsigned int *node, void *cache);
	long (*clock_getres)(clockid_t clock, struct timespec *t);
	long (*getrandom)(void *to, size_t len, unsigned int flags, void *state, size_t size);
	long (*enclave)(void);
};

static int64_t ns_of(const struct timespec *t)
{
	return t->tv_sec * 1000000000ll + t->tv_nsec;
}

static void call_all(const struct calls *c)
{
	uint8_t bytes[32] = { 0 }, none[32] = { 0 };
	struct timespec a, b, d, res;
	unsigned int cpu = ~0u;
	struct timeval tv;
	time_t now;

	for (int i = 0; i < 1000; i++) {
		assert_int_equal(c->clock_gettime(CLOCK_MONOTONIC, &a), 0);
		assert_int_equal(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &b), 0);
		assert_int_equal(c->clock_gettime(CLOCK_MONOTONIC, &d), 0);
		assert_true(ns_of(&a) <= ns_of(&b) && ns_of(&b) <= ns_of(&d));
	}
	assert_int_equal(c->clock_gettime(12345, &a), -EINVAL);
	assert_int_equal(c->gettimeofday(&tv, NULL), 0);
	now = c->time(NULL);
	assert_true(now >= tv.tv_sec && now - tv.tv_sec < 5);
	assert_int_equal(c->getcpu(&cpu, NULL, NULL), 0);
	assert_true(cpu < 1024);
	assert_int_equal(c->clock_getres(CLOCK_MONOTONIC, &res), 0);
	assert_int_equal(ns_of(&res), 1);
	assert_int_equal(c->getrandom(bytes, sizeof(bytes), 0, none, 144), sizeof(bytes));
	assert_memory_not_equal(bytes, none, sizeof(bytes));
	assert_int_equal(c->getrandom(NULL, 0, 0, none, ~0ul), -ENOSYS);
	assert_int_equal(c->enclave(), -EINVAL);
}

/* Patch the made one to lead to @is, put it at or near @hint, and call what it exports then. */
static void run_patched(void *hint, const struct ckpt_vdso_code *is, uint64_t is_base)
{
	uint8_t data[VDSO_MADE_LEN];
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_vdso_code was;
	uint8_t *at = mmap(hint, VDSO_MADE_LEN, PROT_READ | PROT_WRITE | PROT_EXEC,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(at, MAP_FAILED);
	vdso_made(data, sizeof(data), plain);
	assert_null(ckpt_vdso_parse(data, sizeof(data), &was));
	if (ckpt_vdso_patch(&was, (uintptr_t)at, is, is_base, "0", at, &err))
		fail_msg("%s", err.text);
	assert_memory_equal(at, data, 0x900);
	call_all(&(struct calls){
		(void *)(at + 0x900), (void *)(at + 0x940), (void *)(at + 0x980),
		(void *)(at + 0x9c0), (void *)(at + 0xa00), (void *)(at + 0xa40),
		(void *)(at + 0xa80),
	});
	munmap(at, VDSO_MADE_LEN);
}

static void leads_to_own(void **state)
{
	struct ckpt_vdso_code own;

	(void)state;
	vdso_own(&own);
	run_patched((void *)(((uintptr_t)own.data & ~0xfffull) - 0x100000), &own,
		    (uintptr_t)own.data);
	run_patched((void *)0x10000000, &own, (uintptr_t)own.data);
}

static void does_without(void **state)
{
	static const struct vdso_function other[] = { { "something_else", 0x900 }, { NULL } };
	uint8_t data[VDSO_MADE_LEN];
	struct ckpt_vdso_code is;

	(void)state;
	vdso_made(data, sizeof(data), other);
	assert_null(ckpt_vdso_parse(data, sizeof(data), &is));
	run_patched(NULL, &is, 0x1000);
}

static void refuses_to_lead(void **state)
{
	static const struct vdso_function strange[] = { { "__vdso_teleport", 0x900 }, { NULL } };
	static const struct vdso_function near[] = {
		{ "__vdso_time", 0x900 }, { "__vdso_getcpu", 0x905 }, { NULL }
	};
	uint8_t data[VDSO_MADE_LEN], patched[VDSO_MADE_LEN];
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_vdso_code own, was;

	(void)state;
	vdso_own(&own);
	vdso_made(data, sizeof(data), strange);
	assert_null(ckpt_vdso_parse(data, sizeof(data), &was));
	assert_int_equal(ckpt_vdso_patch(&was, 0, &own, 0x10000, "9.9", patched, &err), -1);
	assert_int_equal(err.status, CKPT_REFUSED);
	assert_non_null(strstr(err.text, "the vdso of Linux 9.9"));
	assert_non_null(strstr(err.text, "a function '__vdso_teleport' that this kernel lacks"));
	vdso_made(data, sizeof(data), near);
	assert_null(ckpt_vdso_parse(data, sizeof(data), &was));
	assert_int_equal(ckpt_vdso_patch(&was, 0, &own, 0x10000, "9.9", patched, NULL), 0);
	ckpt_err_clear(&err);
	assert_int_equal(ckpt_vdso_patch(&was, 0, &own, 1ull << 40, "9.9", patched, &err), -1);
	assert_int_equal(err.status, CKPT_REFUSED);
	assert_non_null(strstr(err.text, "the function '__vdso_time'"));
	assert_non_null(strstr(err.text, "too short"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_own),
		cmocka_unit_test(reads_made),
		cmocka_unit_test(finds_crafted),
		cmocka_unit_test(finds_too_many),
		cmocka_unit_test(bears_any_byte),
		cmocka_unit_test(leads_to_own),
		cmocka_unit_test(does_without),
		cmocka_unit_test(refuses_to_lead),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
