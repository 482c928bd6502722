// SPDX-License-Identifier: GPL-2.0-or-later
/* Epolls of an image that watch epolls: how deep, and how long it takes to see it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "proc/image-check.h"

#define N 200
#define DEEP 5

/* Epoll number i is file number i; file number N is a pipe. */
struct model {
	struct ckpt_image image;
	struct ckpt_file files[N + 1];
	struct ckpt_epoll epolls[N];
	struct ckpt_epoll_target targets[N][N];
};

static struct model m;

static void make(void)
{
	memset(&m, 0, sizeof(m));
	m.image = (struct ckpt_image){
		.files = m.files, .n_files = N + 1, .epolls = m.epolls, .n_epolls = N,
	};
	for (uint32_t i = 0; i < N; i++) {
		m.files[i] = (struct ckpt_file){ .kind = CKPT_FILE_EPOLL, .object = i };
		m.epolls[i].targets = m.targets[i];
	}
	m.files[N].kind = CKPT_FILE_PIPE;
}

static void watch(uint32_t epoll, uint32_t file)
{
	struct ckpt_epoll *e = &m.epolls[epoll];

	e->targets[e->n_targets++] = (struct ckpt_epoll_target){ .fd = 3, .file = file };
}

static void expect_bad(void)
{
	struct ckpt_err err = CKPT_ERR_INIT;

	assert_int_equal(ckpt_epolls_check(&m.image, &err), -1);
	assert_int_equal(err.status, CKPT_DAMAGED);
	assert_non_null(strstr(err.text, "watches itself"));
}

/* A chain of as many as there may be, and of one more, from either end. */
static void test_chain(void **state)
{
	(void)state;
	for (int back = 0; back < 2; back++) {
		make();
		for (uint32_t i = 0; i < DEEP; i++)
			watch(back ? i + 1 : i, back ? i : i + 1);
		watch(back ? 0 : DEEP, N);
		assert_int_equal(ckpt_epolls_check(&m.image, NULL), 0);
		if (back)
			watch(DEEP + 1, DEEP);
		else
			watch(DEEP, DEEP + 1);
		expect_bad();
	}
}

static void test_ring(void **state)
{
	(void)state;
	make();
	watch(0, 1);
	watch(1, 2);
	watch(2, 0);
	expect_bad();
}

/* Ways through it are without number; a look at each would never end. */
static void test_crowd(void **state)
{
	(void)state;
	make();
	for (uint32_t i = 0; i < N; i++) {
		for (uint32_t j = 0; j < N; j++) {
			if (i % (DEEP + 1) + 1 == j % (DEEP + 1))
				watch(i, j);
		}
	}
	assert_int_equal(ckpt_epolls_check(&m.image, NULL), 0);
	watch(DEEP, 0);
	expect_bad();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chain),
		cmocka_unit_test(test_ring),
		cmocka_unit_test(test_crowd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
